//! Server-sent events, as the server's streams carry them, with a bounded line.
//!
//! ```text
//!   id: 42
//!   event: stdout
//!   data: {"data_base64":"aGk="}
//!   (blank line: the event is complete)
//! ```
//!
//! Fields are those of the HTML standard's section on server-sent events; `retry` and comments are skipped.

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Response;
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::failure::Failure;

/// Longest line: a chunk of output in base64 takes 88 KiB.
const LINE_MAX_BYTES: usize = 1024 * 1024;
/// Most bytes of data in one event, over all its lines.
const DATA_MAX_BYTES: usize = 4 * LINE_MAX_BYTES;

/// One event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its kind; empty if it does not say.
    pub(crate) kind: String,
    /// Its position, if it has one.
    pub(crate) id: Option<String>,
    /// Its payload.
    pub(crate) data: String,
}

/// Events of one answer.
pub(crate) struct EventStream {
    lines: FramedRead<Box<dyn AsyncRead + Unpin + Send>, LinesCodec>,
}

impl EventStream {
    /// The events in the body of `response`.
    pub(crate) fn new(response: Response) -> Self {
        let body = response.bytes_stream().map_err(|error| std::io::Error::other(error.without_url()));
        Self::from_reader(StreamReader::new(body))
    }

    fn from_reader(reader: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let reader: Box<dyn AsyncRead + Unpin + Send> = Box::new(reader);
        Self { lines: FramedRead::new(reader, LinesCodec::new_with_max_length(LINE_MAX_BYTES)) }
    }

    /// The next event; `None` when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>> {
        let mut event = ServerEvent::default();
        let mut has_data = false;
        while let Some(line) = self.lines.next().await {
            let line = line.map_err(broken)?;
            if line.is_empty() {
                if has_data {
                    return Ok(Some(event));
                }
                event = ServerEvent::default();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.kind),
                "id" => event.id = Some(value.to_owned()),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                    has_data = true;
                    if event.data.len() > DATA_MAX_BYTES {
                        return Err(Failure::new("the server sent an event that is too long").into());
                    }
                }
                _ => {}
            }
        }
        // What was not finished by a blank line is discarded, as the standard says.
        Ok(None)
    }
}

fn broken(error: LinesCodecError) -> Failure {
    match error {
        LinesCodecError::MaxLineLengthExceeded => Failure::new("the server sent a line that is too long"),
        LinesCodecError::Io(error) => Failure::new("the stream from the server broke")
            .source(error)
            .hint("is the server still running? its log says why it stopped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &'static str) -> Vec<ServerEvent> {
        let mut stream = EventStream::from_reader(text.as_bytes());
        let mut events = Vec::new();
        while let Some(event) = stream.next().await.unwrap() {
            events.push(event);
        }
        events
    }

    fn event(kind: &str, id: Option<&str>, data: &str) -> ServerEvent {
        ServerEvent { kind: kind.to_owned(), id: id.map(str::to_owned), data: data.to_owned() }
    }

    #[tokio::test]
    async fn events_are_read_with_their_kind_position_and_lines_of_data() {
        let text = ": hello\n\nid: 7\r\nevent: stdout\r\ndata: {\"a\":1}\r\n\r\ndata:x\ndata: y\nretry: 5\n\nid: 8\n\n";
        assert_eq!(all(text).await, [event("stdout", Some("7"), "{\"a\":1}"), event("", None, "x\ny")]);
    }

    #[tokio::test]
    async fn an_event_that_the_stream_cuts_off_is_discarded() {
        assert_eq!(all("data: whole\n\ndata: half").await, [event("", None, "whole")]);
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused() {
        let endless = std::io::Cursor::new(vec![b'x'; LINE_MAX_BYTES + 2]);
        let error = EventStream::from_reader(endless).next().await.unwrap_err();
        assert_eq!(error.to_string(), "the server sent a line that is too long");
    }
}
