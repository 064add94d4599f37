//! Text of a repository made fit for an answer: UTF-8, and bounded.

use lazaret_protocol::git::{LIST_MAX, TEXT_MAX};

/// `bytes` as text, with what is not UTF-8 replaced, and cut.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    cut(String::from_utf8_lossy(bytes).into_owned(), TEXT_MAX)
}

/// `text`, cut between characters at `most` bytes.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}

/// Counts the text of a list.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    spent: usize,
}

impl Budget {
    /// Whether there is room for an entry with these texts, which is then taken.
    pub(crate) fn take(&mut self, texts: &[&str]) -> bool {
        /// What an entry takes besides its texts, at most.
        const ENTRY: usize = 64;
        let wanted = texts.iter().fold(ENTRY, |sum, text| sum.saturating_add(text.len()));
        self.spent = self.spent.saturating_add(wanted);
        self.spent <= LIST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_a_list_where_its_budget_ends() {
        assert_eq!(cut("äää".to_owned(), 3), "ä");
        assert_eq!(lossy(b"a\xff"), "a\u{fffd}");
        let mut budget = Budget::default();
        let text = "x".repeat(LIST_MAX / 2);
        assert!(budget.take(&[&text]));
        assert!(!budget.take(&[&text, "y"]));
    }
}
