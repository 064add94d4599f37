//! The framing of the Language Server Protocol. Pure.
//!
//! ```text
//!   Content-Length: N\r\n  (other fields)\r\n  \r\n  N bytes of JSON
//! ```
//!
//! The server belongs to the tenant: a header without an end, without a length, or with one past the limit is nonsense,
//! after which nothing more is read.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits;

const END_OF_HEADER: &[u8] = b"\r\n\r\n";

/// What no language server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nonsense {
    /// What should begin a frame does not.
    #[error("the header of a frame is none")]
    Header,
    /// More than a frame may hold.
    #[error("a frame is longer than {} bytes", limits::LANGUAGE_FRAME_MAX_BYTES)]
    Length,
    /// Neither a request, nor a notification, nor an answer.
    #[error("a frame holds no message")]
    Message,
    /// An answer to what was not asked.
    #[error("an answer belongs to no request")]
    Answer,
    /// It talks without end.
    #[error("more than {} bytes came unasked", limits::LANGUAGE_UNASKED_MAX_BYTES)]
    Unasked,
    /// Requests to us, whose answers it does not read.
    #[error("more requests came than answers were read")]
    Requests,
}

/// A message as one frame.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(format!("Content-Length: {}\r\n\r\n", message.len()).as_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}

/// Puts frames together from bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    /// Of the frame whose header has been read.
    length: Option<usize>,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's content; `None` until there is one.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Nonsense> {
        let length = match self.length {
            Some(length) => length,
            None => match self.header()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Takes a header away and says what length it gives.
    fn header(&mut self) -> Result<Option<usize>, Nonsense> {
        let start = &self.buffer[..self.buffer.len().min(limits::LANGUAGE_HEADER_MAX_BYTES)];
        let Some(end) = start.windows(END_OF_HEADER.len()).position(|window| window == END_OF_HEADER) else {
            let is_whole = start.len() == limits::LANGUAGE_HEADER_MAX_BYTES;
            return if is_whole { Err(Nonsense::Header) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&start[..end]).map_err(|_| Nonsense::Header)?;
        let mut length = None;
        for field in text.split("\r\n") {
            let (name, value) = field.split_once(':').ok_or(Nonsense::Header)?;
            if name.eq_ignore_ascii_case("content-length") && length.replace(value.trim()).is_some() {
                return Err(Nonsense::Header);
            }
        }
        let digits = length.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let digits = digits.filter(|digits| !digits.is_empty()).ok_or(Nonsense::Header)?;
        // Digits that are no number are too many.
        let length = digits.parse::<usize>().unwrap_or(usize::MAX);
        if length > limits::LANGUAGE_FRAME_MAX_BYTES {
            return Err(Nonsense::Length);
        }
        self.buffer.advance(end + END_OF_HEADER.len());
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_together_from_any_pieces() {
        let mut bytes = frame(b"{}").to_vec();
        bytes.extend_from_slice(b"content-type: application/json\r\nCONTENT-LENGTH:3 \r\n\r\n[1]");
        bytes.extend_from_slice(&frame(b""));
        for piece in [1, 2, 7, 20, bytes.len()] {
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(content) = decoder.next().expect("no nonsense") {
                    found.push(content);
                }
            }
            assert_eq!(found, ["{}", "[1]", ""].map(Bytes::from), "{piece}");
        }
    }

    #[test]
    fn what_is_no_frame_is_nonsense_before_anything_is_kept_for_it() {
        let endless = "x".repeat(limits::LANGUAGE_HEADER_MAX_BYTES);
        let long = format!("Content-Length: {}\r\n\r\n", limits::LANGUAGE_FRAME_MAX_BYTES + 1);
        for (bytes, want) in [
            (endless.as_str(), Nonsense::Header),
            ("hello\r\n\r\n", Nonsense::Header),
            ("Content-Type: a\r\n\r\n", Nonsense::Header),
            ("Content-Length: \r\n\r\n", Nonsense::Header),
            ("Content-Length: -1\r\n\r\n", Nonsense::Header),
            ("Content-Length: +1\r\n\r\n", Nonsense::Header),
            ("Content-Length: 1\r\nContent-Length: 2\r\n\r\n", Nonsense::Header),
            (long.as_str(), Nonsense::Length),
            ("Content-Length: 99999999999999999999999\r\n\r\n", Nonsense::Length),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes.as_bytes());
            assert_eq!(decoder.next(), Err(want), "{bytes}");
        }
    }
}
