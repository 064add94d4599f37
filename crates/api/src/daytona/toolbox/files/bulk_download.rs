//! Many files down, in one multipart answer that is made as it is read.
//!
//! ```text
//!   --B  name="file"  filename="as asked"  filename*=...  Content-Length   bytes of the file
//!   --B  name="error" filename="as asked"  ...            application/json the failure
//!   --B--
//! ```
//!
//! A file that cannot be opened is a part; one that fails midway, or is not as long as was said, cuts the answer short, without
//! its last line, so that nobody takes a part of it for the whole.

use std::collections::VecDeque;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lazaret_core::{Body, Error, ReadRange, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::super::error::ErrorBody;
use super::super::target::{Anything, Target};
use super::change::check_count;
use super::paths::Paths;
use super::wire::DownloadRequest;
use crate::body::from_core;
use crate::context::RequestContext;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// What RFC 8187 leaves unencoded in `filename*`.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Many files, each a part of the answer; one that cannot be read is a part that says why.
#[utoipa::path(post, path = "/files/bulk-download", operation_id = "DownloadFiles", tag = "files",
    request_body = DownloadRequest,
    responses(
        (status = 200, body = String, content_type = "multipart/form-data"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn download(
    State(app): State<App>,
    target: Target,
    context: RequestContext,
    Json(request): Json<DownloadRequest>,
) -> Result<Response, Failure> {
    check_count("paths", request.paths.len())?;
    let boundary = format!("lazaret-{}", Uuid::new_v4().simple());
    let kind = format!("multipart/form-data; boundary={boundary}");
    let writer =
        Writer { app, target, context, boundary, left: request.paths.into(), open: None, is_over: false };
    let body = stream::unfold(writer, |mut writer| async move {
        let chunk = writer.next().await?;
        if chunk.is_err() {
            writer.is_over = true;
        }
        Some((chunk, writer))
    });
    let mut response = Response::new(from_core(body.boxed()));
    *response.status_mut() = StatusCode::OK;
    let kind = HeaderValue::from_str(&kind).map_err(Error::internal)?;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// What is still to be written.
struct Writer {
    app: App,
    target: Target<Anything>,
    context: RequestContext,
    boundary: String,
    left: VecDeque<String>,
    /// The file whose bytes are due, and how many; `None` where its length is not known before its end, as in `/proc`.
    open: Option<(Body, Option<u64>)>,
    is_over: bool,
}

impl Writer {
    /// The next bytes; `None` after the last.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.is_over {
            return None;
        }
        if let Some((body, due)) = &mut self.open {
            match body.next().await {
                Some(Ok(chunk)) => {
                    if let Some(left) = due {
                        let Some(less) = left.checked_sub(chunk.len() as u64) else { return Some(changed()) };
                        *left = less;
                    }
                    return Some(Ok(chunk));
                }
                Some(Err(error)) => return Some(Err(error)),
                None if due.is_some_and(|left| left > 0) => return Some(changed()),
                None => self.open = None,
            }
            return Some(Ok(Bytes::from_static(b"\r\n")));
        }
        let Some(path) = self.left.pop_front() else {
            self.is_over = true;
            return Some(Ok(format!("--{}--\r\n", self.boundary).into()));
        };
        Some(Ok(self.begin(&path).await))
    }

    /// The head of a part, and for a failure all of it.
    async fn begin(&mut self, given: &str) -> Bytes {
        let opened = async {
            let path = Paths::of(&self.app, &self.target).resolve(given).await?;
            let Target { caller, id, .. } = &self.target;
            self.app.core.files.read(caller, *id, None, &path, ReadRange::default()).await
        };
        match opened.await {
            Ok((entry, body)) => {
                let due = Some(entry.bytes).filter(|bytes| *bytes > 0);
                self.open = Some((body, due));
                self.head("file", given, "application/octet-stream", due).into()
            }
            Err(error) => {
                let (_, failure) = ErrorBody::of(&error.into(), &self.context);
                let json = serde_json::to_vec(&failure).unwrap_or_default();
                let head = self.head("error", given, "application/json", Some(json.len() as u64));
                [head.as_bytes(), &json, b"\r\n"].concat().into()
            }
        }
    }

    fn head(&self, name: &str, given: &str, kind: &str, bytes: Option<u64>) -> String {
        let length = bytes.map(|bytes| format!("Content-Length: {bytes}\r\n")).unwrap_or_default();
        format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{}\"; filename*=utf-8''{}\r\n\
             Content-Type: {kind}\r\n{length}\r\n",
            self.boundary,
            quoted(given),
            utf8_percent_encode(given, ATTRIBUTE),
        )
    }
}

/// The file is not what its head says.
fn changed() -> Result<Bytes> {
    let source = "a file changed its length while it was read".into();
    Err(Error::Unavailable { retry_after: None, source })
}

/// For a quoted string: quotes and backslashes escaped, and nothing that ends the line.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push('_'),
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_carry_nothing_into_the_head_of_a_part() {
        assert_eq!(quoted("a \"b\\c\" é\r\nx: y"), "a \\\"b\\\\c\\\" é__x: y");
    }
}
