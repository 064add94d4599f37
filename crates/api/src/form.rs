//! Multipart bodies whose parts come in any order: Python sends text first, Node sends the file first.
//!
//! ```text
//!   request body ──Paced──▶ multer ──▶ Part::Text (small, bounded) · Part::File (a stream, to be read before the next)
//!                    ▲                     │
//!                    └── held: bytes that the parser has and nobody got yet
//! ```
//!
//! The parser takes whatever its source has ready, without a bound, and so would hold a whole file, or the head of a
//! part that never ends. [`Paced`] gives it one chunk at a time and stops when it holds too much.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use lazaret_core::{Body, Error, Limit};
use multer::{Field, Multipart};

use crate::body::into_core;
use crate::failure::{Failure, FieldProblem, Part as RequestPart, Rejection, Sequence};

/// Longest text part: the longest path, and room.
const TEXT_MAX_BYTES: usize = 8 * 1024;
/// Most bytes that the parser may hold: the largest chunk that a connection gives, the head of a part, and room.
const HELD_MAX_BYTES: usize = 1024 * 1024;

/// How large a form may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormBounds {
    /// Most parts.
    pub(crate) parts_max: usize,
    /// Largest file, in bytes; `None` where what takes it has a bound of its own.
    pub(crate) file_max_bytes: Option<u64>,
}

impl FormBounds {
    /// Longest body: the largest file with every other part that is allowed.
    fn body_max_bytes(self) -> Option<u64> {
        let others = (self.parts_max * 2 * TEXT_MAX_BYTES) as u64;
        self.file_max_bytes.map(|file| file.saturating_add(others))
    }
}

/// A form that is being read.
pub(crate) struct Form {
    parts: Multipart<'static>,
    bounds: FormBounds,
    held: Arc<AtomicUsize>,
    seen: usize,
}

/// One part.
pub(crate) enum Part {
    /// A part with a file name, or one that is called `file` or ends in `.file`.
    File {
        /// The field's name.
        name: String,
        /// As the client gave it: it may have directories, or anything else.
        filename: String,
        /// At most [`FormBounds::file_max_bytes`]; more is an error of the stream.
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
    pub(crate) fn of(request: Request, idle: Duration, bounds: FormBounds) -> Result<Self, Failure> {
        let (head, body) = request.into_parts();
        let media_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(media_type)
            .map_err(|_| Rejection::WrongMediaType { expected: "multipart/form-data with a boundary" })?;
        let least = axum::body::HttpBody::size_hint(&body).lower();
        if bounds.body_max_bytes().is_some_and(|max| least > max) {
            return Err(Error::LimitReached(Limit::UploadBytes).into());
        }
        let held = Arc::<AtomicUsize>::default();
        let body = Paced { body: into_core(body, idle), held: Arc::clone(&held), rests: false };
        Ok(Self { parts: Multipart::new(body, boundary), bounds, held, seen: 0 })
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let Some(field) = self.parts.next_field().await.map_err(failure)? else { return Ok(None) };
        self.held.store(0, Ordering::Relaxed);
        self.seen += 1;
        if self.seen > self.bounds.parts_max {
            return Err(malformed(format!("has more than {} parts", self.bounds.parts_max)));
        }
        let name = field.name().unwrap_or_default().to_owned();
        match field.file_name().map(str::to_owned) {
            Some(filename) => Ok(Some(Part::File { name, filename, body: self.file(field) })),
            // A file whose client gave it no name at all.
            None if name == "file" || name.ends_with(".file") => {
                Ok(Some(Part::File { name, filename: String::new(), body: self.file(field) }))
            }
            None => {
                let value = self.text(field, &name).await?;
                Ok(Some(Part::Text { name, value }))
            }
        }
    }

    fn file(&self, field: Field<'static>) -> Body {
        let (mut left, held) = (self.bounds.file_max_bytes.unwrap_or(u64::MAX), Arc::clone(&self.held));
        let take = move |chunk: Result<Bytes, multer::Error>| {
            let chunk = chunk.map_err(core_error)?;
            held.store(0, Ordering::Relaxed);
            left = left.checked_sub(chunk.len() as u64).ok_or(Error::LimitReached(Limit::UploadBytes))?;
            Ok(chunk)
        };
        field.map(take).boxed()
    }

    async fn text(&self, mut field: Field<'static>, name: &str) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(failure)? {
            self.held.store(0, Ordering::Relaxed);
            bytes.extend_from_slice(&chunk);
            if bytes.len() > TEXT_MAX_BYTES {
                let problem =
                    FieldProblem::TooLong { of: Sequence::String, got: bytes.len(), max: TEXT_MAX_BYTES };
                let field = name.to_owned();
                return Err(Rejection::Field { part: RequestPart::Body, field, problem }.into());
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| malformed(format!("has a part '{}' that is not UTF-8", name.escape_debug())))
    }
}

/// The body, one chunk for each time that the parser is woken.
struct Paced {
    body: Body,
    held: Arc<AtomicUsize>,
    /// It has just given a chunk.
    rests: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(self.body.poll_next_unpin(context));
        if let Some(Ok(chunk)) = &chunk {
            let held = self.held.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
            if held > HELD_MAX_BYTES {
                let reason = format!("has a part whose head does not end within {HELD_MAX_BYTES} bytes");
                return Poll::Ready(Some(Err(Error::invalid("body", reason))));
            }
            self.rests = true;
        }
        Poll::Ready(chunk)
    }
}

/// What is wrong with the body as a whole, as a predicate.
fn malformed(reason: String) -> Failure {
    Error::invalid("body", reason).into()
}

fn failure(error: multer::Error) -> Failure {
    core_error(error).into()
}

/// The stream's own error if it had one, else what the parser found.
fn core_error(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => Error::invalid("body", format!("cannot be read: {source}")),
        },
        error => Error::invalid("body", format!("is not whole multipart data: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn the_parser_takes_no_more_of_a_file_than_is_read_of_it() {
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        let head = Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n");
        // All of it is ready at once, as from a fast client.
        let chunks = std::iter::once(head).chain(std::iter::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Bytes::from_static(&[b'x'; 64 * 1024])
        }));
        let body = axum::body::Body::from_stream(stream::iter(chunks.map(Ok::<_, std::io::Error>)));
        let request =
            Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=b").body(body).unwrap();
        let bounds = FormBounds { parts_max: 1, file_max_bytes: None };
        let form = Form::of(request, Duration::from_secs(1), bounds);
        let mut form = form.unwrap_or_else(|error| panic!("{error}"));
        let Ok(Some(Part::File { mut body, .. })) = form.next().await else { panic!("a file is first") };
        for read in 1..=50 {
            body.next().await.unwrap().unwrap();
            let given = given.load(Ordering::Relaxed);
            assert!(given <= read + 1, "{given} chunks taken, {read} read");
        }
    }
}
