//! Failures in this dialect's words: status, type, code, param and message of each.
//!
//! A state conflict is a 400: both SDKs would retry a 409.

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lazaret_core::{Error, FileProblem, Kind, Limit, State, limits};

use super::exchange::{Note, request_type};
use super::wire::{Envelope, ErrorBody, ExtraFields};
use crate::context::RequestContext;
use crate::extract::PathParams;
use crate::failure::{Failure, FieldProblem, Part, Rejection, Sequence};
use crate::routing::Dialect;

/// The dialect.
pub(crate) struct OpenAi;

/// Seconds after which a client may try again where nothing better is known.
const RETRY_AFTER_S: u64 = 1;

/// The one version of the API that there has been.
const API_VERSION: &str = "2020-10-01";

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl Dialect for OpenAi {
    const NAME: &'static str = "openai";
    const STRICT_MEDIA_TYPE: bool = false;
    type Note = Note;

    fn note(head: &Parts) -> Note {
        Note::of(head)
    }

    fn add_headers(headers: &mut HeaderMap, took: Duration) {
        headers.insert("openai-version", HeaderValue::from_static(API_VERSION));
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        headers.insert("openai-processing-ms", took_ms.into());
    }

    fn failure(failure: &Failure, context: &RequestContext, note: &Note) -> Response {
        let (status, error) = match failure {
            Failure::Core(Error::Unauthenticated) => wrong_key(note),
            Failure::Core(error) => core(error, context),
            Failure::Rejected(rejection) => rejected(rejection, context),
        };
        let bifrost = note.is_bifrost();
        let extra_fields = request_type(context).filter(|_| bifrost).map(|request_type| ExtraFields {
            request_type,
            provider: note.provider().to_owned(),
            latency: None,
            chunk_index: None,
        });
        let envelope = Envelope {
            is_bifrost_error: bifrost.then_some(false),
            status_code: bifrost.then_some(status.as_u16()),
            extra_fields,
            error,
        };
        let mut response = (status, Json(envelope)).into_response();
        if let Some(seconds) = retry_after(failure, status) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS && matches!(failure, Failure::Core(_)) {
            // It is a quota, which waiting does not lift: the SDKs would send it twice more, to the same end.
            let name = HeaderName::from_static("x-should-retry");
            response.headers_mut().insert(name, HeaderValue::from_static("false"));
        }
        response
    }
}

fn retry_after(failure: &Failure, status: StatusCode) -> Option<u64> {
    let known = match failure {
        Failure::Core(Error::Unavailable { retry_after, .. }) => {
            retry_after.map(|span| span.as_secs().max(1))
        }
        Failure::Rejected(Rejection::TooMany { retry_after }) => {
            return Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
        }
        _ => None,
    };
    (status == StatusCode::SERVICE_UNAVAILABLE).then(|| known.unwrap_or(RETRY_AFTER_S))
}

/// An answer: status and body.
type Verdict = (StatusCode, ErrorBody);

fn invalid(
    status: StatusCode,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
) -> Verdict {
    (status, ErrorBody { message, kind: INVALID, param, code })
}

fn wrong_key(note: &Note) -> Verdict {
    let message = format!(
        "Incorrect API key provided: {}. The right one was printed by `lazaret serve` at its first start, or made \
         with `lazaret key create`.",
        note.masked_key()
    );
    invalid(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), None, message)
}

fn core(error: &Error, context: &RequestContext) -> Verdict {
    let bad = |code, param: Option<&str>, message: String| {
        invalid(StatusCode::BAD_REQUEST, code, param.map(str::to_owned), message)
    };
    match error {
        Error::Unauthenticated => {
            invalid(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), None, sentence(error))
        }
        Error::Forbidden { .. } => invalid(StatusCode::FORBIDDEN, None, None, sentence(error)),
        Error::Invalid { field: "body", reason } => bad(None, None, format!("The request body {reason}.")),
        Error::Invalid { field, reason } => {
            let param = param(field);
            bad(Some("invalid_value"), Some(param), format!("Invalid '{param}': {reason}."))
        }
        Error::NotFound { kind, id } => not_found(*kind, id, context),
        Error::Refused { state: State::Expired, .. } => bad(None, None, "Container is expired.".to_owned()),
        Error::Refused { state, .. } => bad(None, None, format!("Container is {state}.")),
        Error::Ended { state: State::Expired, .. } => bad(None, None, "Container is expired.".to_owned()),
        Error::Ended { state, reason, .. } => bad(None, None, format!("Container is {state}: {reason}.")),
        Error::AlreadyExists { .. } | Error::InUse { .. } | Error::Over { .. } => {
            bad(None, None, sentence(error))
        }
        Error::File { problem: problem @ (FileProblem::NoSpace | FileProblem::ReadOnly), .. } => {
            bad(None, None, format!("The container cannot take the file: {problem}."))
        }
        Error::File { problem, .. } => {
            bad(Some("invalid_value"), Some("file_path"), format!("The file cannot be used: {problem}."))
        }
        // Nothing of this contract runs git.
        Error::Exec { .. } | Error::Git { .. } | Error::PortClosed { .. } => bad(None, None, sentence(error)),
        Error::LimitReached(limit) => limited(*limit, error),
        Error::Unsupported { .. } => bad(Some("unsupported_operation"), None, sentence(error)),
        Error::Upstream { .. } => {
            let body = ErrorBody { message: sentence(error), kind: SERVER, param: None, code: None };
            (StatusCode::BAD_GATEWAY, body)
        }
        Error::Unavailable { .. } => {
            let message = "The server is temporarily unable to do this. Try again soon.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, ErrorBody { message, kind: SERVER, param: None, code: None })
        }
        Error::Internal(_) => internal(),
    }
}

fn internal() -> Verdict {
    let message = "The server had an error while processing your request.".to_owned();
    (StatusCode::INTERNAL_SERVER_ERROR, ErrorBody { message, kind: SERVER, param: None, code: None })
}

fn limited(limit: Limit, error: &Error) -> Verdict {
    match limit {
        Limit::UploadBytes => {
            let message = format!("The file is too large: at most {} bytes.", limits::UPLOAD_MAX_BYTES);
            invalid(StatusCode::PAYLOAD_TOO_LARGE, None, None, message)
        }
        Limit::AnswerBytes | Limit::ImageSize => {
            invalid(StatusCode::PAYLOAD_TOO_LARGE, None, None, sentence(error))
        }
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
        | Limit::OpenDocuments => {
            let code = Some("rate_limit_exceeded");
            let body = ErrorBody { message: sentence(error), kind: "requests", param: None, code };
            (StatusCode::TOO_MANY_REQUESTS, body)
        }
        Limit::GuestConnections | Limit::HostDisk | Limit::IdRanges | Limit::Addresses => {
            let body = ErrorBody { message: sentence(error), kind: SERVER, param: None, code: None };
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

/// The texts about containers are matched by clients, to the letter. Ids are shown as the client wrote them.
fn not_found(kind: Kind, id: &str, context: &RequestContext) -> Verdict {
    let params = PathParams::of(context);
    let given = |name: &str| String::from_utf8_lossy(params.bytes(name)).into_owned();
    let (param, message) = match kind {
        Kind::Sandbox => (None, format!("Container with id '{}' not found.", given("container_id"))),
        Kind::CatalogueEntry => {
            let (file, container) = (given("file_id"), given("container_id"));
            (None, format!("File {file} not found on container {container}."))
        }
        Kind::Cursor => (Some("after"), "Resource not found.".to_owned()),
        Kind::Upload => {
            let in_path = given("file_id");
            let shown = id.parse().map_or_else(|_| id.to_owned(), crate::ids::file);
            if context.template.ends_with("/containers") {
                (Some("file_ids"), format!("No such File object: {shown}"))
            } else if in_path.is_empty() {
                (Some("file_id"), format!("No such File object: {shown}"))
            } else {
                (Some("id"), format!("No such File object: {in_path}"))
            }
        }
        // No request of this contract names an image: the server's own is missing.
        Kind::Image => return internal(),
        Kind::Account
        | Kind::Key
        | Kind::Exec
        | Kind::Context
        | Kind::Template
        | Kind::Volume
        | Kind::Session
        | Kind::Command
        | Kind::Terminal
        | Kind::LanguageServer => (None, format!("No such {kind}: {id}")),
    };
    invalid(StatusCode::NOT_FOUND, None, param.map(str::to_owned), message)
}

fn rejected(rejection: &Rejection, context: &RequestContext) -> Verdict {
    let bad = |code, param: Option<&str>, message: String| {
        invalid(StatusCode::BAD_REQUEST, code, param.map(str::to_owned), message)
    };
    match rejection {
        Rejection::UnknownPath => {
            let message = format!("Invalid URL ({} {})", context.method, context.uri.path());
            invalid(StatusCode::NOT_FOUND, None, None, message)
        }
        Rejection::WrongMethod => {
            let message = format!("Not allowed to {} on {}.", context.method, context.uri.path());
            invalid(StatusCode::METHOD_NOT_ALLOWED, Some("method_not_supported"), None, message)
        }
        Rejection::MissingKey => {
            let message = "You didn't provide an API key. Send it in an Authorization header: \
                           Authorization: Bearer YOUR_KEY.";
            invalid(StatusCode::UNAUTHORIZED, None, None, message.to_owned())
        }
        Rejection::TooMany { .. } => {
            let message =
                "Rate limit reached: too many requests with this key or from this address.".to_owned();
            let code = Some("rate_limit_exceeded");
            (StatusCode::TOO_MANY_REQUESTS, ErrorBody { message, kind: "requests", param: None, code })
        }
        Rejection::Malformed { part: Part::Body, reason } => {
            let why = capitalised(reason);
            bad(None, None, format!("We could not parse the JSON body of your request. {why}."))
        }
        Rejection::Malformed { reason, .. } => bad(None, None, reason.clone()),
        Rejection::Ambiguous { .. } | Rejection::PortFailed { .. } | Rejection::Worded { .. } => {
            bad(None, None, sentence(rejection))
        }
        Rejection::Field { field, problem, .. } => {
            let (code, message) = phrase(field, problem);
            bad(Some(code), Some(field), message)
        }
        Rejection::TooLarge { .. } => invalid(StatusCode::PAYLOAD_TOO_LARGE, None, None, sentence(rejection)),
        Rejection::WrongMediaType { .. } => {
            let code = Some("unsupported_content_type");
            invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, None, sentence(rejection))
        }
        Rejection::UnsatisfiableRange { .. } => {
            let message = sentence(rejection);
            invalid(StatusCode::RANGE_NOT_SATISFIABLE, None, None, message)
        }
        Rejection::SlowBody => invalid(StatusCode::REQUEST_TIMEOUT, None, None, sentence(rejection)),
        Rejection::TimedOut => {
            let message = sentence(rejection);
            (StatusCode::GATEWAY_TIMEOUT, ErrorBody { message, kind: SERVER, param: None, code: None })
        }
        Rejection::Panicked(_) => internal(),
    }
}

/// The core's word for a field in the contract's.
fn param(field: &'static str) -> &'static str {
    match field {
        "memory_bytes" => "memory_limit",
        "labels" => "metadata",
        "idle_timeout" => "expires_after.minutes",
        "files" => "file_ids",
        "path" => "file_path",
        "filename" => "file",
        "network" => "network_policy",
        "secrets" => "network_policy.domain_secrets",
        "network.domains" => "network_policy.allowed_domains",
        other => other,
    }
}

/// JSON's word, with its article, for what serde calls a type or a value.
fn type_word(serde: &str) -> &'static str {
    let word = serde.trim_start_matches("a ").trim_start_matches("an ");
    match word.split([' ', '`', '"']).next().unwrap_or_default() {
        "string" => "a string",
        "integer" | "i64" | "u64" | "i32" | "u32" | "u16" => "an integer",
        "floating" | "f64" => "a number",
        "boolean" => "a boolean",
        "null" | "unit" | "Option" | "option" => "null",
        "sequence" => "an array",
        "map" | "object" => "an object",
        _ => "another type",
    }
}

fn sentence(error: &impl Display) -> String {
    format!("{}.", capitalised(&error.to_string()))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Code and message of what is wrong with a field, in the style of the hosted API.
fn phrase(field: &str, problem: &FieldProblem) -> (&'static str, String) {
    match problem {
        FieldProblem::Missing => {
            ("missing_required_parameter", format!("Missing required parameter: '{field}'."))
        }
        FieldProblem::Duplicate => ("duplicate_parameter", format!("'{field}' was given more than once.")),
        FieldProblem::WrongType { expected, got } => {
            let (expected, got) = (type_word(expected), type_word(got));
            (
                "invalid_type",
                format!("Invalid type for '{field}': expected {expected}, but got {got} instead."),
            )
        }
        FieldProblem::NotOneOf { got, supported } => {
            let (got, list) = (got.escape_debug(), enumerated(supported));
            ("invalid_value", format!("Invalid value: '{got}'. Supported values are: {list}."))
        }
        FieldProblem::BelowMin { got, min } => (
            "integer_below_min_value",
            format!(
                "Invalid '{field}': integer below minimum value. Expected a value >= {min}, but got {got} instead."
            ),
        ),
        FieldProblem::AboveMax { got, max } => (
            "integer_above_max_value",
            format!(
                "Invalid '{field}': integer above maximum value. Expected a value <= {max}, but got {got} instead."
            ),
        ),
        FieldProblem::Empty(of) => {
            let (code, thing) = match of {
                Sequence::String => ("empty_string", "string"),
                Sequence::Array => ("empty_array", "array"),
            };
            let text = "with minimum length 1, but got an empty";
            let a = article(thing);
            (code, format!("Invalid '{field}': empty {thing}. Expected {a} {thing} {text} {thing} instead."))
        }
        FieldProblem::TooLong { of, got, max } => {
            let (code, thing) = match of {
                Sequence::String => ("string_above_max_length", "string"),
                Sequence::Array => ("array_above_max_length", "array"),
            };
            let a = article(thing);
            let text = format!(
                "Expected {a} {thing} with maximum length {max}, but got {a} {thing} with length {got} instead."
            );
            (code, format!("Invalid '{field}': {thing} too long. {text}"))
        }
        FieldProblem::Unsupported => (
            "unsupported_parameter",
            format!("Unsupported parameter: '{field}' is not supported by this server."),
        ),
        FieldProblem::Unknown | FieldProblem::Other(_) => {
            ("invalid_value", format!("Invalid '{field}': {problem}."))
        }
    }
}

fn article(thing: &str) -> &'static str {
    if thing.starts_with('a') { "an" } else { "a" }
}

/// `'a', 'b', and 'c'`.
fn enumerated(values: &[String]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("'{value}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [most @ .., last] => format!("{}, and {last}", most.join(", ")),
    }
}
