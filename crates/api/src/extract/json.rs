//! JSON bodies, of bounded size, with the field named that is wrong.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fields::rejection;
use super::object::Object;
use crate::body::collect;
use crate::context::RequestContext;
use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// A JSON body: of a request, which must have one, or of an answer.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be absent; an empty one reads as `{}`.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = read_json(request, app).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let is_empty = axum::body::HttpBody::is_end_stream(request.body());
        let bytes = if is_empty { Bytes::new() } else { read_json(request, app).await? };
        Ok(Self(parse(if bytes.is_empty() { b"{}" } else { &bytes })?))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The bytes of a JSON body, for a handler that looks at something else first.
pub(crate) async fn read_json(request: Request, app: &App) -> Result<Bytes, Rejection> {
    let (head, body) = request.into_parts();
    check_media_type(&head.headers, RequestContext::of(&head).strict_media_type)?;
    collect(body, app.settings.json_max_bytes, app.settings.body_idle_timeout).await
}

fn check_media_type(headers: &HeaderMap, strict: bool) -> Result<(), Rejection> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return if strict { Err(Rejection::WrongMediaType { expected: "application/json" }) } else { Ok(()) };
    };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"));
    if is_json { Ok(()) } else { Err(Rejection::WrongMediaType { expected: "application/json" }) }
}

/// Reads a JSON text, which every body here has as an object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let malformed = |reason: String| Rejection::Malformed { part: Part::Body, reason };
        match error.inner().classify() {
            serde_json::error::Category::Data => rejection(Part::Body, error.path(), error.inner()),
            _ => malformed(error.inner().to_string()),
        }
    })?;
    deserializer
        .end()
        .map_err(|error| Rejection::Malformed { part: Part::Body, reason: error.to_string() })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        pids: u32,
    }

    #[test]
    fn the_field_at_fault_is_named_with_its_path() {
        for (json, want) in [
            (r#"{}"#, "name: is missing"),
            (r#"{"name":5}"#, "name: must be a string, not integer `5`"),
            (r#"{"name":"a","x":1}"#, "x: is not a known field"),
            (r#"{"name":"a","name":"b"}"#, "name: is given twice"),
            (r#"{"name":"a","inner":{}}"#, "inner.pids: is missing"),
            (r#"{"name":"a","inner":{"pids":1,"y":2}}"#, "inner.y: is not a known field"),
            (r#"{"name":"a","list":[{"pids":"1"}]}"#, "list[0].pids: must be u32, not string \"1\""),
            (r#"{"name":"a","inner":{"pids":-1}}"#, "inner.pids: invalid value: integer `-1`, expected u32"),
            (r#"5"#, "the body cannot be read: must be an object, not integer `5`"),
            (r#"["a"]"#, "the body cannot be read: must be an object, not sequence"),
            (r#"{"#, "the body cannot be read: EOF while parsing an object at line 1 column 1"),
            (r#"{"name":"a"} x"#, "the body cannot be read: trailing characters at line 1 column 14"),
        ] {
            let got = parse::<Outer>(json.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(got.map(|_| ()), Err(want.to_owned()), "{json}");
        }
    }
}
