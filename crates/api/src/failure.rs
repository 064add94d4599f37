//! Why a request is refused, before a dialect has put it into its own words.
//!
//! ```text
//!   extractor or handler ──Failure──▶ response without a body ──▶ serve::<D> ──▶ D::failure: status and body
//! ```
//!
//! Handlers and extractors return [`Failure`]; it travels inside the response to the dialect's layer (`serve.rs`),
//! which logs it if it is ours to mend and lets the dialect render it. So no extractor needs to know its dialect.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lazaret_core::Error;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The core refused it.
    #[error(transparent)]
    Core(#[from] Error),
    /// It never reached the core.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// The part of a request that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The body.
    Body,
    /// The query string.
    Query,
    /// A header.
    Header,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Query => "query string",
            Self::Header => "header",
        })
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldProblem {
    /// It is required and absent.
    Missing,
    /// There is no field of this name.
    Unknown,
    /// It came twice.
    Duplicate,
    /// Its JSON type is another.
    WrongType {
        /// As serde words it, such as `a string`.
        expected: String,
        /// As serde words it, such as `integer 5`.
        got: String,
    },
    /// It is none of the values that there are.
    NotOneOf {
        /// What came.
        got: String,
        /// What there is.
        supported: Vec<String>,
    },
    /// It is smaller than it may be.
    BelowMin {
        /// What came.
        got: i64,
        /// The smallest value.
        min: i64,
    },
    /// It is larger than it may be.
    AboveMax {
        /// What came.
        got: i64,
        /// The largest value.
        max: i64,
    },
    /// It is a text or list without anything in it.
    Empty(Sequence),
    /// It is a text or list that is longer than it may be.
    TooLong {
        /// Of what.
        of: Sequence,
        /// How long it is.
        got: usize,
        /// How long it may be.
        max: usize,
    },
    /// It asks for what this server does not do.
    Unsupported,
    /// A sentence about it.
    Other(String),
}

/// What has a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Characters.
    String,
    /// Items.
    Array,
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Unknown => f.write_str("is not a known field"),
            Self::Duplicate => f.write_str("is given twice"),
            Self::WrongType { expected, got } => write!(f, "must be {expected}, not {got}"),
            Self::NotOneOf { got, supported } => {
                write!(f, "'{}' is not one of {}", got.escape_debug(), supported.join(", "))
            }
            Self::BelowMin { got, min } => write!(f, "must be at least {min}, not {got}"),
            Self::AboveMax { got, max } => write!(f, "must be at most {max}, not {got}"),
            Self::Empty(_) => f.write_str("is empty"),
            Self::TooLong { got, max, .. } => write!(f, "is longer than {max}: {got}"),
            Self::Unsupported => f.write_str("is not supported by this server"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// A request that never reached the core.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    /// No route has this path.
    #[error("there is nothing at this path")]
    UnknownPath,
    /// The path has routes, for other methods.
    #[error("the method is not allowed here")]
    WrongMethod,
    /// No header carries a key.
    #[error("the API key is missing")]
    MissingKey,
    /// The key has sent too many requests, or the address too many refused keys.
    #[error("too many requests")]
    TooMany {
        /// When the next one will be taken.
        retry_after: Duration,
    },
    /// A part is not what it claims to be, such as a JSON body that is not JSON.
    #[error("the {part} cannot be read: {reason}")]
    Malformed {
        /// Which part.
        part: Part,
        /// What is wrong.
        reason: String,
    },
    /// One field of a part is wrong.
    #[error("{field}: {problem}")]
    Field {
        /// Which part.
        part: Part,
        /// The field, with dots and indices where it is nested: `resources.pids`, `files[0].path`.
        field: String,
        /// What is wrong.
        problem: FieldProblem,
    },
    /// The body is too large for its route.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The body has the wrong media type.
    #[error("the body must be {expected}")]
    WrongMediaType {
        /// What is taken here.
        expected: &'static str,
    },
    /// The range lies outside the file.
    #[error("the range is not within the {bytes} bytes of the file")]
    UnsatisfiableRange {
        /// Size of the file.
        bytes: u64,
    },
    /// More than one sandbox has this name.
    #[error("{count} sandboxes are called {name}")]
    Ambiguous {
        /// The name, as given.
        name: String,
        /// How many have it.
        count: usize,
    },
    /// What listens on a port inside a sandbox did not behave as an HTTP server.
    #[error("what listens on port {port} of the sandbox {problem}")]
    PortFailed {
        /// The port.
        port: u16,
        /// What it did, or did not.
        problem: &'static str,
    },
    /// A refusal whose words a contract lays down, said by the one dialect that has them.
    #[error("{message}")]
    Worded {
        /// The status of the answer.
        status: StatusCode,
        /// A word for programs, where the dialect has such; empty elsewhere.
        code: &'static str,
        /// The sentence.
        message: String,
    },
    /// The client was silent for too long in the middle of its body.
    #[error("the body did not come in time")]
    SlowBody,
    /// The answer took longer than the route allows; what was begun may still happen.
    #[error("the answer took too long")]
    TimedOut,
    /// A defect of ours: the handler panicked, with this message.
    #[error("internal error")]
    Panicked(#[source] PanicMessage),
}

/// What a panic said.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
pub(crate) struct PanicMessage(pub(crate) String);

impl Rejection {
    /// A [`Rejection::Field`] of the query string.
    pub(crate) fn query(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { part: Part::Query, field: field.into(), problem: FieldProblem::Other(reason.into()) }
    }
}

/// The failure of a response on its way to the dialect's layer.
#[derive(Clone)]
pub(crate) struct Pending(pub(crate) Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Failure::from(self).into_response()
    }
}
