//! Pages of a listing, in creation order.

/// Direction of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// How many items at most; the dialect has checked its own bounds.
    pub limit: usize,
    /// Direction.
    pub order: Order,
    /// Start behind this item, which may have been deleted meanwhile.
    pub after: Option<C>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the asked order.
    pub items: Vec<T>,
    /// There is at least one more behind the last.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Cuts `items`, which were fetched with one more than `limit`, to a page.
    pub fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more }
    }
}
