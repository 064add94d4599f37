//! Nouns of language servers in sandboxes: for which project one runs, and what it is asked.

use crate::{FilePath, Language};

/// What a language server is for; a sandbox has at most one for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LanguageProject {
    /// Its language.
    pub language: Language,
    /// Its directory, where the server starts and looks for what belongs to it.
    pub directory: FilePath,
}

/// A place in a document, as the Language Server Protocol counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// Lines before it.
    pub line: u32,
    /// UTF-16 code units before it in its line.
    pub character: u32,
}

/// How completion was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionTrigger {
    /// `CompletionTriggerKind` of the protocol: 1 by hand, 2 by a character, 3 again.
    pub kind: u32,
    /// The character, for kind 2.
    pub character: Option<String>,
}
