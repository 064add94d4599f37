//! Nouns of terminals: shells on a PTY that stay when nobody looks.

use std::collections::BTreeMap;

use crate::Timestamp;

/// A wanted terminal.
#[derive(Debug, Clone, Default)]
pub struct TerminalSpec {
    /// Its name, unique among the running terminals of its sandbox.
    pub name: String,
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
    /// Working directory; `None` for that of execs.
    pub cwd: Option<String>,
    /// Variables on top of those of execs.
    pub env: BTreeMap<String, String>,
}

/// An interactive shell on a PTY. It ends with its shell or with the sandbox's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// Its name.
    pub name: String,
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
    /// Working directory that it began in.
    pub cwd: String,
    /// The variables that were given for it.
    pub env: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}
