//! Multipart bodies as clients send them.

use crate::support::{Answer, Call};

const BOUNDARY: &str = "----lazaret7MA4YWxkTrZu0gW";

/// A form being put together, its parts in the order of the calls.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.part(format!("form-data; name=\"{name}\"").as_bytes(), value.as_bytes())
    }

    pub(crate) fn file(self, name: &str, filename: &str, content: &str) -> Self {
        let disposition = format!("form-data; name=\"{name}\"; filename=\"{filename}\"");
        self.part(disposition.as_bytes(), content.as_bytes())
    }

    /// A part whose disposition is given byte by byte.
    pub(crate) fn part(mut self, disposition: &[u8], content: &[u8]) -> Self {
        self.0.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: ").as_bytes());
        self.0.extend_from_slice(disposition);
        self.0.extend_from_slice(b"\r\nContent-Type: application/octet-stream\r\n\r\n");
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The parts so far, without the end of the body.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn finished(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }

    pub(crate) fn media_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    pub(crate) async fn send(self, call: Call) -> Answer {
        call.header("content-type", &Self::media_type()).body(self.finished()).send().await
    }
}
