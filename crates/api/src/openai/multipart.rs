//! Multipart bodies whose parts come in any order: Python sends text first, Node sends the file first.
//!
//! A file part is handed out as a stream and has to be read to its end before the next part. Text parts are small and
//! bounded; the file's own bound is the core's.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use lazaret_core::{Body, Error, Limit, limits};
use multer::{Field, Multipart};

use super::problem;
use crate::body::into_core;
use crate::failure::{Failure, Part as RequestPart, Rejection};

/// Longest text part: the longest path, and room.
const TEXT_MAX_BYTES: usize = 8 * 1024;
/// Most parts of a body; the contract names five.
const PARTS_MAX: usize = 64;

/// A form that is being read.
pub(super) struct Form {
    parts: Multipart<'static>,
    seen: usize,
}

/// One part.
pub(super) enum Part {
    /// A part with a file name.
    File {
        /// The field's name.
        name: String,
        /// As the client gave it: it may have directories, or anything else.
        filename: String,
        /// At most [`limits::UPLOAD_MAX_BYTES`]; more is an error of the stream.
        body: Body,
    },
    /// A part without one.
    Text {
        /// The field's name.
        name: String,
        /// Its text.
        value: String,
    },
}

impl Form {
    /// The form in this request.
    pub(super) fn of(request: Request, idle: Duration) -> Result<Self, Failure> {
        let (head, body) = request.into_parts();
        let media_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(media_type)
            .map_err(|_| Rejection::WrongMediaType { expected: "multipart/form-data with a boundary" })?;
        let body = into_core(body, idle).map(|chunk| chunk.map_err(Box::new));
        Ok(Self { parts: Multipart::new(body, boundary), seen: 0 })
    }

    /// The next part; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let Some(field) = self.parts.next_field().await.map_err(failure)? else { return Ok(None) };
        self.seen += 1;
        if self.seen > PARTS_MAX {
            return Err(malformed(format!("it has more than {PARTS_MAX} parts")));
        }
        let name = field.name().unwrap_or_default().to_owned();
        match field.file_name().map(str::to_owned) {
            Some(filename) => Ok(Some(Part::File { name, filename, body: file(field) })),
            // A file whose client gave it no name at all.
            None if name == "file" => {
                Ok(Some(Part::File { name, filename: String::new(), body: file(field) }))
            }
            None => {
                let value = text(field, &name).await?;
                Ok(Some(Part::Text { name, value }))
            }
        }
    }
}

fn file(field: Field<'static>) -> Body {
    let mut left = limits::UPLOAD_MAX_BYTES;
    field
        .map(move |chunk| {
            let chunk = chunk.map_err(core_error)?;
            left = left.checked_sub(chunk.len() as u64).ok_or(Error::LimitReached(Limit::UploadBytes))?;
            Ok(chunk)
        })
        .boxed()
}

async fn text(mut field: Field<'static>, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(failure)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_MAX_BYTES {
            return Err(problem::string_too_long(name, TEXT_MAX_BYTES, bytes.len()).into());
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| malformed(format!("the part '{}' is not UTF-8", name.escape_debug())))
}

fn malformed(reason: String) -> Failure {
    Rejection::Malformed { part: RequestPart::Body, reason }.into()
}

fn failure(error: multer::Error) -> Failure {
    core_error(error).into()
}

/// The stream's own error if it had one, else what the parser found.
fn core_error(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<Box<Error>>() {
            Ok(error) => **error,
            Err(source) => Error::invalid("body", source.to_string()),
        },
        error => Error::invalid("body", error.to_string()),
    }
}
