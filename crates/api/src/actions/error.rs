//! Failures of requests that never became an action, in the shape of an action's output.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lazaret_core::Error;
use serde_json::json;

use super::catalogue;
use crate::context::RequestContext;
use crate::extract::PathParams;
use crate::failure::{Failure, Rejection};
use crate::routing::Dialect;

/// The dialect of the actions.
pub(crate) enum ActionsDialect {}

impl Dialect for ActionsDialect {
    const NAME: &'static str = "actions";
    const STRICT_MEDIA_TYPE: bool = false;
    type Note = ();

    fn note(_head: &axum::http::request::Parts) {}

    fn failure(failure: &Failure, context: &RequestContext, _note: &()) -> Response {
        let (status, sentence) = answer(failure);
        let params = PathParams::of(context);
        let name = std::str::from_utf8(params.bytes("name")).unwrap_or_default();
        let body = match catalogue::find(name) {
            Some(action) => action.refused(&sentence),
            None => json!({"success": false, "error": sentence}),
        };
        let mut response = (status, axum::Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Failure::Rejected(Rejection::TooMany { retry_after }) = failure {
            response.headers_mut().insert(RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        response
    }
}

fn answer(failure: &Failure) -> (StatusCode, String) {
    let status = match failure {
        Failure::Core(error) => match error {
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::Forbidden { .. } => StatusCode::FORBIDDEN,
            Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            // Only authentication is asked here; everything else the actions have made an answer of.
            Error::Invalid { .. }
            | Error::NotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::Refused { .. }
            | Error::Over { .. }
            | Error::InUse { .. }
            | Error::File { .. }
            | Error::Exec { .. }
            | Error::Ended { .. }
            | Error::Git { .. }
            | Error::LimitReached(_)
            | Error::Unsupported { .. }
            | Error::PortClosed { .. }
            | Error::Upstream { .. }
            | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Failure::Rejected(rejection) => match rejection {
            Rejection::UnknownPath => StatusCode::NOT_FOUND,
            Rejection::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::MissingKey => StatusCode::UNAUTHORIZED,
            Rejection::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::WrongMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejection::Worded { status, .. } => *status,
            Rejection::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Rejection::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Rejection::Malformed { .. }
            | Rejection::Field { .. }
            | Rejection::UnsatisfiableRange { .. }
            | Rejection::Ambiguous { .. }
            | Rejection::PortFailed { .. } => StatusCode::BAD_REQUEST,
        },
    };
    (status, failure.to_string())
}
