//! What the server says when it refuses or fails: the body of an error answer, or an error inside a stream.

use reqwest::StatusCode;
use serde::Deserialize;

/// What to do if the state of a sandbox forbids what was asked of it.
const REFUSED: &str = "`lazaret start` brings a stopped sandbox back, `lazaret resume` a paused one; `lazaret ps -a` shows which it is";

/// What the server said when it refused or failed.
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ServerError {
    /// HTTP status; 0 for an error inside a stream.
    pub(crate) status: u16,
    /// A word for programs.
    pub(crate) code: String,
    /// A sentence for people.
    pub(crate) message: String,
    /// What exactly went wrong with a program or a file, if that is what it is about.
    pub(crate) problem: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// The body of an error, as far as we use it.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorBody {
    code: String,
    message: String,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    error: ErrorBody,
    #[serde(default)]
    request_id: Option<String>,
}

impl From<ErrorBody> for ServerError {
    fn from(body: ErrorBody) -> Self {
        let message = match body.field {
            Some(field) if !body.message.contains(&field) => format!("{field}: {}", body.message),
            _ => body.message,
        };
        let hint = body.hint.or_else(|| (body.code == "refused").then(|| REFUSED.to_owned()));
        Self { status: 0, code: body.code, message, problem: body.problem, hint }
    }
}

impl ServerError {
    /// The error in an answer with `status` and `body`, and the request's id if it has one.
    pub(crate) fn parse(status: StatusCode, body: &[u8]) -> (Self, Option<String>) {
        match serde_json::from_slice::<Envelope>(body) {
            Ok(envelope) => (Self { status: status.as_u16(), ..envelope.error.into() }, envelope.request_id),
            // A proxy's answer, or another program's.
            Err(_) => {
                let error = Self {
                    status: status.as_u16(),
                    message: format!("the server answered {status} without an explanation"),
                    hint: Some("is the address that of a lazaret server? see --url".to_owned()),
                    ..Self::default()
                };
                (error, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_another_shape_is_still_an_error_with_advice() {
        let (error, request_id) = ServerError::parse(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(error.to_string(), "the server answered 502 Bad Gateway without an explanation");
        assert_eq!(error.hint.as_deref(), Some("is the address that of a lazaret server? see --url"));
        assert_eq!((error.status, request_id), (502, None));
    }

    #[test]
    fn the_field_at_fault_is_named_once() {
        for (message, want) in [
            ("must be positive", "pids: must be positive"),
            ("pids must be positive", "pids must be positive"),
        ] {
            let body = format!(r#"{{"error":{{"code":"invalid","message":"{message}","field":"pids"}}}}"#);
            assert_eq!(ServerError::parse(StatusCode::BAD_REQUEST, body.as_bytes()).0.to_string(), want);
        }
    }
}
