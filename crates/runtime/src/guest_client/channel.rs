//! One connection to a guest: whole messages in both directions, and nothing believed before it is checked.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use lazaret_core::ports::GuestStream;
use lazaret_protocol::guest_message::{Replaced, Written};
use lazaret_protocol::{
    Attached, Entry, ExecState, Exited, Frame, GuestKind, GuestMessage, HEADER_BYTES, Header, HostMessage,
    Match, Metadata, Request, RequestBody, Started,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::error::GuestError;

/// Bytes to ask the socket for when a frame begins. Most replies are smaller; a data frame gets its own room.
const READ_BYTES: usize = 8 * 1024;

/// What a guest says, with bulk bytes that share the buffer they were received in. Failures are errors instead.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Started(Started),
    Stdout(Bytes),
    Stderr(Bytes),
    Exited(Exited),
    Attached(Attached),
    Skipped(u64),
    ExecState(ExecState),
    Metadata(Metadata),
    Entries(Vec<Entry>),
    ListEnd {
        truncated: bool,
    },
    Data(Bytes),
    Written(Written),
    Connected,
    Matches(Vec<Match>),
    Replaced(Replaced),
    /// A message that answers nothing this client asks.
    Other(&'static str),
}

impl Reply {
    /// The error for a reply that has no place here.
    pub(super) fn unexpected(&self) -> GuestError {
        GuestError::Violation(match self {
            Self::Done => "done, out of place",
            Self::Started(_) => "a start, out of place",
            Self::Stdout(_) | Self::Stderr(_) => "output, out of place",
            Self::Exited(_) => "an exit, out of place",
            Self::Attached(_) => "an attachment, out of place",
            Self::Skipped(_) => "a gap, out of place",
            Self::ExecState(_) => "the state of an exec, out of place",
            Self::Metadata(_) => "metadata, out of place",
            Self::Entries(_) | Self::ListEnd { .. } => "a listing, out of place",
            Self::Data(_) => "data, out of place",
            Self::Written(_) => "a written file, out of place",
            Self::Connected => "a connection, out of place",
            Self::Matches(_) => "matches, out of place",
            Self::Replaced(_) => "a replacement, out of place",
            Self::Other(what) => what,
        })
    }
}

/// The receiving half.
pub(super) struct Receiver {
    stream: ReadHalf<GuestStream>,
    buffer: BytesMut,
}

/// The sending half.
pub(super) struct Sender {
    stream: WriteHalf<GuestStream>,
    buffer: Vec<u8>,
}

/// Both halves, and how long to wait.
pub(super) struct Channel {
    receiver: Receiver,
    sender: Sender,
    patience: Duration,
}

impl Channel {
    pub(super) fn new(stream: GuestStream, patience: Duration) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            receiver: Receiver { stream: reader, buffer: BytesMut::new() },
            sender: Sender { stream: writer, buffer: Vec::new() },
            patience,
        }
    }

    /// Sends the one request of the connection.
    pub(super) async fn request(&mut self, body: RequestBody) -> Result<(), GuestError> {
        self.send(&HostMessage::Request(Request::new(body))).await
    }

    /// Sends a message, which the guest must take in time.
    ///
    /// A guest that has refused takes no more; why, it has said before it closed the connection, so that is the error.
    pub(super) async fn send(&mut self, message: &HostMessage<'_>) -> Result<(), GuestError> {
        let sent = timeout(self.patience, self.sender.send(message)).await;
        match sent.unwrap_or(Err(GuestError::Silent(self.patience))) {
            Err(GuestError::Lost(error)) => match self.reply().await {
                Err(refused @ GuestError::Refused(_)) => Err(refused),
                _ => Err(GuestError::Lost(error)),
            },
            other => other,
        }
    }

    /// The next reply, which must come in time.
    pub(super) async fn reply(&mut self) -> Result<Reply, GuestError> {
        self.reply_within(self.patience).await
    }

    /// The next reply, for which the guest has another time.
    pub(super) async fn reply_within(&mut self, patience: Duration) -> Result<Reply, GuestError> {
        let reply = timeout(patience, self.receiver.receive()).await;
        reply.unwrap_or(Err(GuestError::Silent(patience)))
    }

    /// The connection without its frames, once the guest has said that none follow.
    pub(super) fn into_stream(self) -> GuestStream {
        let Receiver { stream, buffer } = self.receiver;
        // What came along with the last frame is the stream's beginning.
        let reader = AsyncReadExt::chain(std::io::Cursor::new(buffer.freeze()), stream);
        Box::new(tokio::io::join(reader, self.sender.stream))
    }

    /// The halves, for a conversation in which silence is normal.
    pub(super) fn split(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }
}

impl Sender {
    /// Sends a message, however long the guest takes to take it.
    pub(super) async fn send(&mut self, message: &HostMessage<'_>) -> Result<(), GuestError> {
        self.buffer.clear();
        message.encode(&mut self.buffer).map_err(GuestError::TooLong)?;
        self.stream.write_all(&self.buffer).await.map_err(GuestError::Lost)
    }
}

impl Receiver {
    /// The next reply, whenever it comes.
    pub(super) async fn receive(&mut self) -> Result<Reply, GuestError> {
        let (kind, payload) = self.frame().await?;
        // Bulk kinds first: their bytes are passed on as they are.
        match kind {
            GuestKind::Stdout => return Ok(Reply::Stdout(payload)),
            GuestKind::Stderr => return Ok(Reply::Stderr(payload)),
            GuestKind::Data => return Ok(Reply::Data(payload)),
            _ => {}
        }
        let message = GuestMessage::decode(Frame { kind, payload: &payload }).map_err(GuestError::Frame)?;
        Ok(match message {
            GuestMessage::Failure(failure) => return Err(GuestError::Refused(failure)),
            GuestMessage::Done => Reply::Done,
            GuestMessage::Started(started) => Reply::Started(started),
            GuestMessage::Exited(exited) => Reply::Exited(exited),
            GuestMessage::Attached(attached) => Reply::Attached(attached),
            GuestMessage::Skipped(skipped) => Reply::Skipped(skipped.offset),
            GuestMessage::ExecState(state) => Reply::ExecState(state),
            GuestMessage::Metadata(metadata) => Reply::Metadata(metadata),
            GuestMessage::Entries(entries) => Reply::Entries(entries),
            GuestMessage::ListEnd(end) => Reply::ListEnd { truncated: end.truncated },
            GuestMessage::Written(written) => Reply::Written(written),
            GuestMessage::Connected => Reply::Connected,
            GuestMessage::Matches(matches) => Reply::Matches(matches),
            GuestMessage::Replaced(replaced) => Reply::Replaced(replaced),
            GuestMessage::Hello(_) => Reply::Other("a greeting that nobody asked for"),
            GuestMessage::Link(_) => Reply::Other("a link that nobody asked for"),
            GuestMessage::Stdout(_) | GuestMessage::Stderr(_) | GuestMessage::Data(_) => {
                Reply::Other("bulk bytes in a control frame")
            }
        })
    }

    /// A whole frame. Reserves room for its payload only after the header has been checked.
    ///
    /// The protocol's own decoder borrows; here the payload becomes a `Bytes` that travels on without being copied.
    async fn frame(&mut self) -> Result<(GuestKind, Bytes), GuestError> {
        let header = loop {
            if let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() {
                break Header::<GuestKind>::decode(*header).map_err(GuestError::Frame)?;
            }
            self.fill(READ_BYTES).await?;
        };
        while self.buffer.len() < HEADER_BYTES + header.len {
            self.fill(HEADER_BYTES + header.len - self.buffer.len()).await?;
        }
        let mut frame = self.buffer.split_to(HEADER_BYTES + header.len).freeze();
        frame.advance(HEADER_BYTES);
        Ok((header.kind, frame))
    }

    /// Receives something; safe to drop while it waits.
    async fn fill(&mut self, room: usize) -> Result<(), GuestError> {
        self.buffer.reserve(room);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(GuestError::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(GuestError::Lost(error)),
        }
    }
}
