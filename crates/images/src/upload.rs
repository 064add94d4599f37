//! From the server's stream of chunks to the blocking thread that reads them.
//!
//! ```text
//! Body ──pump (async)──▶ channel of a few chunks ──▶ UploadReader (blocking)
//! ```
//!
//! An upload ends only with its end message. When the request is given up half-way the pump is dropped, the channel
//! closes, and the reader fails instead of taking what it has for the whole.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt;
use lazaret_core::{Body, Error};
use tokio::sync::mpsc;

/// Chunks between the network and the disk. Each is at most what one read of a socket gives.
const CHUNKS: usize = 16;

/// A message of the channel.
enum Part {
    Chunk(Bytes),
    End,
    Failed(Error),
}

/// Sends a body on.
pub(crate) struct Pump {
    body: Body,
    sender: mpsc::Sender<Part>,
}

/// Reads what the pump sends. Only on threads that may block.
pub(crate) struct UploadReader {
    receiver: mpsc::Receiver<Part>,
    chunk: Bytes,
    ended: bool,
    failed: Option<Error>,
}

/// The two ends of an upload.
pub(crate) fn upload(body: Body) -> (Pump, UploadReader) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    (Pump { body, sender }, UploadReader { receiver, chunk: Bytes::new(), ended: false, failed: None })
}

impl Pump {
    /// Runs until the body has ended or nobody reads any more.
    pub(crate) async fn run(mut self) {
        loop {
            let (part, last) = match self.body.next().await {
                Some(Ok(chunk)) => (Part::Chunk(chunk), false),
                Some(Err(error)) => (Part::Failed(error), true),
                None => (Part::End, true),
            };
            if self.sender.send(part).await.is_err() || last {
                return;
            }
        }
    }
}

impl UploadReader {
    /// The body's own error, if that is what stopped the reading.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }
}

impl Read for UploadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.receiver.blocking_recv() {
                Some(Part::Chunk(chunk)) => self.chunk = chunk,
                Some(Part::End) => self.ended = true,
                Some(Part::Failed(error)) => {
                    self.failed = Some(error);
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload failed"));
                }
                None => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was given up"));
                }
            }
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(body: Body) -> (io::Result<Vec<u8>>, Option<Error>) {
        let (pump, mut reader) = upload(body);
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let outcome = reader.read_to_end(&mut bytes).map(|_| bytes);
            (outcome, reader.take_failure())
        });
        pump.run().await;
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn chunks_arrive_in_order_and_empty_ones_do_not_end_the_upload() {
        let chunks = ["one ", "", "two"].map(|chunk| Ok(Bytes::from(chunk)));
        assert_eq!(read(stream::iter(chunks).boxed()).await.0.unwrap(), b"one two");
    }

    #[tokio::test]
    async fn an_upload_that_fails_or_is_given_up_is_not_taken_for_a_short_one() {
        let chunks = [Ok(Bytes::from("one")), Err(Error::invalid("body", "cut"))];
        let (outcome, failure) = read(stream::iter(chunks).boxed()).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(matches!(failure, Some(Error::Invalid { field: "body", .. })));

        let (pump, mut reader) = upload(stream::pending().boxed());
        drop(pump);
        let outcome = tokio::task::spawn_blocking(move || reader.read(&mut [0; 8])).await.unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
