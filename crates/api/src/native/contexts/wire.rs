//! Contexts as JSON: requests, results, and the events of a stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A wanted context.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContext {
    /// `python`, which it is if this is absent: other languages keep no state here.
    pub(crate) language: Option<String>,
    /// Working directory; the sandbox's own if it is absent.
    pub(crate) cwd: Option<String>,
    /// Variables on top of the image's and the sandbox's.
    pub(crate) env: Option<BTreeMap<String, String>>,
}

/// An interpreter that keeps its variables.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Context {
    /// Its id.
    pub(crate) id: String,
    /// What it speaks.
    pub(crate) language: &'static str,
    /// Working directory that it began in.
    pub(crate) cwd: String,
    /// When it was made, RFC 3339.
    pub(crate) created_at: String,
    /// It is the one that callers who name none share.
    pub(crate) is_default: bool,
}

/// The contexts of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContextList {
    /// Oldest first.
    pub(crate) contexts: Vec<Context>,
}

/// Code to run in a context.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellRequest {
    /// Its source text.
    pub(crate) code: String,
    /// Variables for this cell alone.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// When to interrupt it. If absent: after 30 s where the answer comes in one piece, else never.
    pub(crate) timeout_ms: Option<u64>,
}

/// A value that the code showed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// It is the value of the last expression.
    pub(crate) is_value: bool,
    /// Its forms, the plain text first.
    pub(crate) representations: Vec<Representation>,
}

/// One form of a value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Representation {
    /// Its media type, as the code names it.
    pub(crate) media_type: String,
    /// What it holds, if that is text.
    pub(crate) text: Option<String>,
    /// What it holds otherwise, to the base 64.
    pub(crate) data_base64: Option<String>,
}

/// An error that the code did not catch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeError {
    /// Its class.
    pub(crate) name: String,
    /// Its message.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) traceback: String,
}

/// The end of a cell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CellEnded {
    /// Its time was up: it was interrupted.
    pub(crate) timed_out: bool,
    /// The context ended with it, and its variables are gone.
    pub(crate) context_ended: bool,
    /// The context's exit code, if it ended by itself.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended the context.
    pub(crate) signal: Option<u8>,
    /// Output or values beyond their limits were dropped.
    pub(crate) truncated: bool,
    /// From when its turn came to its end.
    pub(crate) duration_ms: u64,
}

/// A finished cell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CellResult {
    /// Standard output, with what is not UTF-8 replaced.
    pub(crate) stdout: String,
    /// Standard error, likewise.
    pub(crate) stderr: String,
    /// Standard output to the base 64, only if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdout_base64: Option<String>,
    /// Standard error to the base 64, only if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stderr_base64: Option<String>,
    /// What it showed, in order.
    pub(crate) shown: Vec<Shown>,
    /// The error that ended it.
    pub(crate) error: Option<CodeError>,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) ended: CellEnded,
}
