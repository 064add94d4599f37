//! Daytona's two APIs: `control`, about sandboxes, and `toolbox`, inside one.
//!
//! ```text
//!   /api/sandbox...                 control     made, listed, started, stopped; answers {statusCode, error, message, ...}
//!   /toolbox/{sandbox id}/...       toolbox     processes, files, git inside; answers {statusCode, code, source, ...}
//!   http://{port}-{sandbox id}.{domain}/    preview     whatever listens on the port inside
//! ```
//!
//! Both are here because a client speaks both with one key, and each has its own shape of an error. `/api` is shared with
//! dialects to come, so control owns its own first segments beneath it and nothing else.
//!
//! What they promise is `openapi/daytona-control.json` and `openapi/daytona-toolbox.json`; after a change of it, `cargo run -p
//! lazaret-api --example openapi daytona-control > crates/api/openapi/daytona-control.json` writes it anew.
//!
//! What is deliberately lenient, since the clients are newer than any server: unknown fields of bodies and unknown keys
//! of query strings are ignored.

mod activity;
pub(crate) mod control;
mod document;
mod preview;
mod status;
mod time;
pub(crate) mod toolbox;

pub(crate) use preview::by_host;

use axum::http::StatusCode;

use crate::failure::{Failure, Rejection};

/// A 400 with this sentence.
fn bad_request(sentence: &str) -> Failure {
    Rejection::Worded { status: StatusCode::BAD_REQUEST, code: "BAD_REQUEST", message: sentence.to_owned() }
        .into()
}

/// A 404 with this sentence.
fn not_found(sentence: &str) -> Failure {
    Rejection::Worded { status: StatusCode::NOT_FOUND, code: "NOT_FOUND", message: sentence.to_owned() }
        .into()
}
