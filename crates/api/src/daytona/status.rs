//! What both APIs say of a failure in the same way: its status, its sentence, the headers around them.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use lazaret_core::{Error, Kind, Limit};

use crate::context::RequestContext;
use crate::extract::PathParams;
use crate::failure::{Failure, FieldProblem, Rejection};
use crate::ids;

/// Seconds after which a client may try again where nothing better is known.
const RETRY_AFTER_S: u64 = 1;

/// The status of a request that never reached the core.
pub(super) const fn of_rejection(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::UnknownPath => StatusCode::NOT_FOUND,
        Rejection::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Rejection::MissingKey => StatusCode::UNAUTHORIZED,
        Rejection::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        Rejection::Malformed { .. } => StatusCode::BAD_REQUEST,
        Rejection::Field { problem, .. } => match problem {
            FieldProblem::Unsupported => StatusCode::NOT_IMPLEMENTED,
            FieldProblem::Missing
            | FieldProblem::Unknown
            | FieldProblem::Duplicate
            | FieldProblem::WrongType { .. }
            | FieldProblem::NotOneOf { .. }
            | FieldProblem::BelowMin { .. }
            | FieldProblem::AboveMax { .. }
            | FieldProblem::Empty(_)
            | FieldProblem::TooLong { .. }
            | FieldProblem::Other(_) => StatusCode::BAD_REQUEST,
        },
        Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::WrongMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Rejection::UnsatisfiableRange { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        Rejection::Ambiguous { .. } => StatusCode::CONFLICT,
        Rejection::PortFailed { .. } => StatusCode::BAD_GATEWAY,
        Rejection::Worded { status, .. } => *status,
        Rejection::SlowBody => StatusCode::REQUEST_TIMEOUT,
        Rejection::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Rejection::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of a bound that was reached: what the caller has used up, what one request asks too much of, and what the
/// host has no more of.
pub(super) const fn of_limit(limit: Limit) -> StatusCode {
    match limit {
        Limit::UploadBytes | Limit::AnswerBytes | Limit::ImageSize => StatusCode::PAYLOAD_TOO_LARGE,
        Limit::Sandboxes
        | Limit::StoredBytes
        | Limit::Keys
        | Limit::Withdrawals
        | Limit::Templates
        | Limit::Volumes
        | Limit::VolumeBytes
        | Limit::CatalogueEntries
        | Limit::BackgroundExecs
        | Limit::Contexts
        | Limit::WaitingCells
        | Limit::Sessions
        | Limit::WaitingCommands
        | Limit::Terminals
        | Limit::LanguageServers
        | Limit::LanguageRequests
        | Limit::OpenDocuments => StatusCode::TOO_MANY_REQUESTS,
        Limit::GuestConnections | Limit::HostDisk | Limit::IdRanges | Limit::Addresses => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// The failure's sentence, with what the client named as the client wrote it.
pub(super) fn sentence(failure: &Failure, context: &RequestContext) -> String {
    match failure {
        Failure::Core(Error::Unauthenticated) | Failure::Rejected(Rejection::MissingKey) => {
            "Invalid credentials".to_owned()
        }
        Failure::Core(Error::NotFound { kind: Kind::Sandbox, id }) => {
            let params = PathParams::of(context);
            let given = params.bytes("id");
            let shown = if given.is_empty() { wire_id(id) } else { String::from_utf8_lossy(given) };
            format!("Sandbox with ID or name {shown} not found")
        }
        Failure::Core(Error::AlreadyExists { kind: Kind::Sandbox, id }) => {
            format!("Sandbox with name {id} already exists")
        }
        Failure::Core(Error::NotFound { kind, id }) => format!("{kind} {} not found", wire_id(id)),
        Failure::Core(Error::Invalid { field, reason }) => format!("{}: {reason}", wire_name(field)),
        Failure::Rejected(Rejection::UnknownPath) => {
            format!("Cannot {} {}", context.method, context.uri.path())
        }
        other => other.to_string(),
    }
}

/// Where a field of the core stands in these clients' bodies.
fn wire_name(field: &str) -> &str {
    match field {
        "memory_bytes" => "memory",
        "cpu_millis" => "cpu",
        "disk_bytes" => "disk",
        "idle_timeout" => "autoStopInterval",
        "archive_stopped_after" => "autoArchiveInterval",
        "delete_stopped_after" => "autoDeleteInterval",
        "life" => "ttlMinutes",
        same => same,
    }
}

/// The core writes ids as 32 bare digits; a client knows them as UUIDs.
fn wire_id(id: &str) -> Cow<'_, str> {
    let bytes = (id.len() == 32).then(|| ids::parse_uuid(id)).flatten();
    bytes.map_or(Cow::Borrowed(id), |bytes| Cow::Owned(ids::uuid(&bytes)))
}

/// The headers of a failure.
pub(super) fn add_headers(headers: &mut HeaderMap, failure: &Failure, status: StatusCode) {
    let is_refused_key =
        matches!(failure, Failure::Core(Error::Unauthenticated) | Failure::Rejected(Rejection::MissingKey));
    if is_refused_key {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let waits = matches!(status, StatusCode::SERVICE_UNAVAILABLE)
        || matches!(failure, Failure::Rejected(Rejection::TooMany { .. }));
    if waits {
        headers.insert(RETRY_AFTER, retry_after_s(failure).into());
    }
}

fn retry_after_s(failure: &Failure) -> u64 {
    let round_up = |span: Duration| (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1);
    match failure {
        Failure::Core(
            Error::Unavailable { retry_after: Some(span), .. }
            | Error::Upstream { retry_after: Some(span), .. },
        )
        | Failure::Rejected(Rejection::TooMany { retry_after: span }) => round_up(*span),
        _ => RETRY_AFTER_S,
    }
}
