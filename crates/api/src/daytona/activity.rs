//! The header by which a client of Daytona's proxy says that its request is no use of the sandbox.

use axum::http::HeaderMap;
use lazaret_core::Activity;

const HEADER: &str = "x-daytona-skip-last-activity-update";

/// Whether a request with these headers counts as use: it does unless the header says `true`.
pub(super) fn activity(headers: &HeaderMap) -> Activity {
    match headers.get(HEADER) {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"true") => Activity::Unnoticed,
        _ => Activity::Counts,
    }
}
