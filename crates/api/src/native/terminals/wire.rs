//! Terminals as JSON.

use std::collections::BTreeMap;

use lazaret_core::{Terminal as CoreTerminal, TerminalSpec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::native::time::rfc3339;

/// A wanted terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTerminal {
    /// Its name, unique among the running terminals of the sandbox.
    pub(crate) name: String,
    /// Lines of text, 24 if it is absent.
    pub(crate) rows: Option<u16>,
    /// Characters in a line, 80 if it is absent.
    pub(crate) cols: Option<u16>,
    /// Working directory; the sandbox's own if it is absent.
    pub(crate) cwd: Option<String>,
    /// Variables on top of the image's and the sandbox's.
    pub(crate) env: Option<BTreeMap<String, String>>,
}

impl From<NewTerminal> for TerminalSpec {
    fn from(new: NewTerminal) -> Self {
        Self {
            name: new.name,
            rows: new.rows.unwrap_or(24),
            cols: new.cols.unwrap_or(80),
            cwd: new.cwd,
            env: new.env.unwrap_or_default(),
        }
    }
}

/// An interactive shell on a PTY.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Terminal {
    /// Its name.
    pub(crate) name: String,
    /// Lines of text.
    pub(crate) rows: u16,
    /// Characters in a line.
    pub(crate) cols: u16,
    /// Working directory that it began in.
    pub(crate) cwd: String,
    /// When it was made, RFC 3339.
    pub(crate) created_at: String,
}

impl From<CoreTerminal> for Terminal {
    fn from(terminal: CoreTerminal) -> Self {
        let CoreTerminal { name, rows, cols, cwd, created_at, .. } = terminal;
        Self { name, rows, cols, cwd, created_at: rfc3339(created_at) }
    }
}

/// The terminals of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TerminalList {
    /// Oldest first.
    pub(crate) terminals: Vec<Terminal>,
}

/// The size of a terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    /// Lines of text.
    pub(crate) rows: u16,
    /// Characters in a line.
    pub(crate) cols: u16,
}
