//! The OpenAI Containers and Files API, with the fields of the Bifrost gateway.
//!
//! | File | Subject |
//! | --- | --- |
//! | `routes.rs` | every path, its aliases and handlers |
//! | `containers.rs`, `container_files.rs`, `files.rs` | handlers: convert, call, convert |
//! | `exchange.rs` | which of the two dialects a request speaks, and answers in it |
//! | `wire.rs`, `convert.rs`, `listing.rs` | what is on the wire, to and from the core's nouns |
//! | `paths.rs` | where files go under `/mnt/data` |
//! | `problem.rs`, `error.rs` | refusals of its own; one answer for each failure |
//!
//! Oddities that stay in this folder: success is always 200; unknown body fields are ignored; the texts
//! `Container is expired.` and `Container with id '...' not found.` are matched by clients and must not change; an
//! expired container is listed for 30 days; a state that OpenAI does not have (`stopped`, `paused`) is sent as its own
//! word, and refuses with a 400, since clients send what got a 409 again; a quota's 429 tells them not to.
//!
//! Not here: the Responses API, and running code, which this contract has no endpoint for.

mod container_files;
mod containers;
mod convert;
mod domain_secrets;
mod error;
mod exchange;
mod files;
mod listing;
mod paths;
mod problem;
mod routes;
mod wire;

pub(crate) use error::OpenAi;
pub(crate) use routes::routes;

use crate::form::FormBounds;

/// An uploaded file with its fields; the contract names five.
const FORM: FormBounds =
    FormBounds { parts_max: 64, file_max_bytes: Some(lazaret_core::limits::UPLOAD_MAX_BYTES) };
