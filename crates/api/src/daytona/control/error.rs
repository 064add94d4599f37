//! Failures in the control API's words: `{statusCode, error, message, path, timestamp}`.
//!
//! The clients sort failures by status alone, so the status says what the caller can do next: a state that another verb
//! changes just now is a 409, one that the verb does not fit is a 400, with the sentence of the contract.

use axum::Json;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use lazaret_core::{Error, State, UpstreamProblem, Verb};
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::RequestContext;
use crate::daytona::status;
use crate::daytona::time::iso8601;
use crate::failure::Failure;
use crate::routing::Dialect;

/// The dialect.
pub(crate) enum Control {}

/// The body of every failure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    /// The path that was asked.
    path: String,
    /// ISO 8601; when the request came.
    timestamp: String,
    /// The answer's status.
    status_code: u16,
    /// The status in words.
    error: &'static str,
    /// A sentence for people.
    message: String,
}

impl Dialect for Control {
    const NAME: &'static str = "daytona";
    const STRICT_MEDIA_TYPE: bool = false;
    type Note = ();

    fn note(_head: &Parts) {}

    fn failure(failure: &Failure, context: &RequestContext, _note: &()) -> Response {
        let (status, message) = answer(failure, context);
        let body = ErrorBody {
            path: context.uri.path().to_owned(),
            timestamp: iso8601(context.received_at),
            status_code: status.as_u16(),
            error: status.canonical_reason().unwrap_or("Error"),
            message,
        };
        let mut response = (status, Json(body)).into_response();
        status::add_headers(response.headers_mut(), failure, status);
        response
    }
}

fn answer(failure: &Failure, context: &RequestContext) -> (StatusCode, String) {
    let error = match failure {
        Failure::Rejected(rejection) => {
            return (status::of_rejection(rejection), status::sentence(failure, context));
        }
        Failure::Core(Error::Refused { state, verb, .. }) => return refused(*state, *verb),
        Failure::Core(error) => error,
    };
    let status = match error {
        Error::Unauthenticated => StatusCode::UNAUTHORIZED,
        Error::Forbidden { .. } => StatusCode::FORBIDDEN,
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::AlreadyExists { .. } | Error::InUse { .. } | Error::Ended { .. } => StatusCode::CONFLICT,
        Error::Over { .. } => StatusCode::GONE,
        Error::LimitReached(limit) => status::of_limit(*limit),
        Error::Upstream { problem, .. } => match problem {
            UpstreamProblem::NotAllowed => StatusCode::FORBIDDEN,
            UpstreamProblem::Throttled => StatusCode::SERVICE_UNAVAILABLE,
            UpstreamProblem::Stalled => StatusCode::GATEWAY_TIMEOUT,
            UpstreamProblem::Unreachable
            | UpstreamProblem::Ended
            | UpstreamProblem::Denied
            | UpstreamProblem::Failing
            | UpstreamProblem::Corrupt
            | UpstreamProblem::Malformed => StatusCode::BAD_GATEWAY,
        },
        Error::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        // Nothing of this API works with files or programs inside; what the start of a sandbox meets is the caller's.
        Error::Invalid { .. }
        | Error::Refused { .. }
        | Error::File { .. }
        | Error::Exec { .. }
        | Error::Git { .. }
        | Error::PortClosed { .. } => StatusCode::BAD_REQUEST,
    };
    (status, status::sentence(failure, context))
}

/// The sentences of the contract for a verb that does not fit the state.
fn refused(state: State, verb: Verb) -> (StatusCode, String) {
    let text = match (state, verb) {
        (State::Creating | State::Stopping | State::Archiving, _) => {
            return (StatusCode::CONFLICT, "Sandbox state change in progress".to_owned());
        }
        (State::Error, Verb::Start | Verb::Stop | Verb::Archive) => "Sandbox is in an errored state",
        (_, Verb::Start | Verb::Resume) => "Sandbox is not in valid state",
        (_, Verb::Stop) => "Sandbox is not in a stoppable state",
        (_, Verb::Pause | Verb::Use) => "Sandbox is not started",
        (_, Verb::Fork | Verb::Commit | Verb::Archive) => "Sandbox is not stopped",
        (_, Verb::Resize) => "Sandbox must be started or stopped to be resized",
        (_, Verb::Update | Verb::Expire | Verb::Delete) => "Sandbox is not in valid state",
    };
    (StatusCode::BAD_REQUEST, text.to_owned())
}
