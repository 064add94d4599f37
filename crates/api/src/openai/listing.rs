//! Lists: the query's limit, order and cursor, and the envelope.
//!
//! The two dialects disagree about a limit that makes no sense: OpenAI refuses it, Bifrost takes its default.

use lazaret_core::{Error, Kind, Order, Page, PageRequest};

use super::exchange::{Exchange, pairs};
use super::problem;
use super::wire::List;
use crate::failure::Failure;

/// Bounds of `limit` on one route.
pub(super) struct Limits {
    pub(super) default: usize,
    pub(super) max: usize,
}

/// Containers and container files.
pub(super) const CONTAINER_LIMITS: Limits = Limits { default: 20, max: 100 };
/// Files.
pub(super) const FILE_LIMITS: Limits = Limits { default: 10_000, max: 10_000 };

/// A list's query. Unknown keys are ignored; of a repeated one the last counts.
pub(super) struct ListQuery {
    pairs: Vec<(String, String)>,
}

impl ListQuery {
    pub(super) fn of(exchange: &Exchange) -> Self {
        Self { pairs: pairs(exchange.context.uri.query().unwrap_or_default()) }
    }

    /// The value of a key; an empty one counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The wanted page; `parse` reads the dialect's form of an id.
    pub(super) fn page<C>(
        &self,
        exchange: &Exchange,
        limits: &Limits,
        parse: impl Fn(&str) -> Option<C>,
    ) -> Result<PageRequest<C>, Failure> {
        let after = match self.get("after") {
            None => None,
            Some(text) => Some(parse(text).ok_or_else(|| Error::not_found(Kind::Cursor, text))?),
        };
        let order = match self.get("order") {
            None | Some("desc") => Order::Descending,
            Some("asc") => Order::Ascending,
            Some(other) => return Err(problem::not_one_of("order", other, &["asc", "desc"]).into()),
        };
        Ok(PageRequest { limit: self.limit(exchange, limits)?, order, after })
    }

    fn limit(&self, exchange: &Exchange, limits: &Limits) -> Result<usize, Failure> {
        let Some(text) = self.get("limit") else { return Ok(limits.default) };
        let number = text.parse::<i64>().ok();
        if exchange.note.is_bifrost() {
            let wanted = number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
            return Ok(wanted.unwrap_or(limits.default).min(limits.max));
        }
        let number = number.ok_or_else(|| problem::not_an_integer("limit"))?;
        let max = i64::try_from(limits.max).unwrap_or(i64::MAX);
        let number = problem::check_integer("limit", number, 1, max)?;
        Ok(usize::try_from(number).unwrap_or(limits.max))
    }
}

/// The envelope around a page.
pub(super) fn envelope<N, T: From<N>>(
    exchange: &Exchange,
    page: Page<N>,
    id: impl Fn(&T) -> &String,
) -> List<T> {
    let data: Vec<T> = page.items.into_iter().map(T::from).collect();
    let last_id = data.last().map(|item| id(item).clone());
    List {
        object: "list",
        first_id: data.first().map(|item| id(item).clone()),
        after: last_id.clone().filter(|_| page.has_more && exchange.note.is_bifrost()),
        last_id,
        has_more: page.has_more,
        data,
    }
}
