//! Nouns of interpreter contexts: code that runs in calls, with state kept between them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::services::InUse;
use crate::{ContextId, ExecExit, Language, Result, Timestamp};

/// An interpreter that keeps its variables from one cell to the next. It ends with the sandbox's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterContext {
    /// Its id.
    pub id: ContextId,
    /// What it speaks.
    pub language: Language,
    /// Working directory that it began in.
    pub cwd: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// It is the sandbox's own, which callers that name none share.
    pub is_default: bool,
}

/// A wanted context.
#[derive(Debug, Clone)]
pub struct ContextSpec {
    /// What it speaks.
    pub language: Language,
    /// Working directory; `None` for that of execs.
    pub cwd: Option<String>,
    /// Variables on top of those of execs.
    pub env: BTreeMap<String, String>,
}

/// Code to run in a context.
#[derive(Debug, Clone, Default)]
pub struct CellSpec {
    /// Source text.
    pub code: String,
    /// Variables for this cell alone.
    pub env: BTreeMap<String, String>,
    /// When to interrupt it, counted from when its turn comes; `None` for never.
    pub timeout: Option<Duration>,
}

/// One form of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// Its media type, as the code in the sandbox names it.
    pub media_type: String,
    /// What it holds: text in UTF-8 or an image's bytes, as the media type says.
    pub data: Bytes,
}

/// A value that the code showed, in every form that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// It is the value of the cell's last expression.
    pub is_value: bool,
    /// Its forms, the plain text first.
    pub representations: Vec<Representation>,
}

/// An error that the code did not catch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeError {
    /// Its class.
    pub name: String,
    /// Its message.
    pub value: String,
    /// Where it came from, as the interpreter prints it.
    pub traceback: String,
}

/// The end of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellOutput {
    /// Its time was up: it was interrupted.
    pub timed_out: bool,
    /// The context ended with it, in this way, and its variables are gone.
    pub context_ended: Option<ExecExit>,
    /// Output or values beyond their limits were dropped.
    pub truncated: bool,
    /// From when its turn came to its end.
    pub duration: Duration,
}

/// What a cell delivers, in order; [`CellEvent::Ended`] is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellEvent {
    /// Bytes of standard output.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// A value.
    Shown(Shown),
    /// The code failed.
    Failed(CodeError),
    /// The cell has ended and all that it printed was delivered.
    Ended(CellOutput),
}

/// A running cell. Dropping it interrupts the cell, and ends the context if that does not help.
#[derive(Debug)]
pub struct CellSession {
    /// From the cell; bounded, so a reader that does not read makes the code wait. An error is the last item. A channel
    /// that closes without [`CellEvent::Ended`] means that the sandbox died.
    pub events: mpsc::Receiver<Result<CellEvent>>,
    /// Keeps the sandbox in use for as long as the session lasts.
    pub guard: InUse,
}

/// A finished cell with its output in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellResult {
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// What it showed, in order.
    pub shown: Vec<Shown>,
    /// The error that ended it.
    pub error: Option<CodeError>,
    /// How it ended.
    pub output: CellOutput,
}
