//! Frames of the guest, understood.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::byte_string::ByteString;
use crate::exec::{Attached, ExecState, Exited, Started};
use crate::failure::Failure;
use crate::frame::{Frame, FrameError, decode_cbor, encode_cbor, encode_frame};
use crate::kind::{GuestKind, Kind};
use crate::metadata::{Entry, Match, Metadata};

/// Anything the guest says. Bulk bytes are borrowed from the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestMessage<'a> {
    /// The request failed; nothing follows.
    Failure(Failure),
    /// The request succeeded; nothing follows.
    Done,
    /// Who the guest is.
    Hello(Hello),
    /// The program runs.
    Started(Started),
    /// Bytes of standard output, or of the terminal.
    Stdout(&'a [u8]),
    /// Bytes of standard error.
    Stderr(&'a [u8]),
    /// The program has ended; nothing follows.
    Exited(Exited),
    /// Output of a background exec follows.
    Attached(Attached),
    /// Output was lost.
    Skipped(Skipped),
    /// One retained background exec.
    ExecState(ExecState),
    /// Metadata of a file.
    Metadata(Metadata),
    /// Entries of a directory or tree.
    Entries(Vec<Entry>),
    /// The listing is complete; nothing follows.
    ListEnd(ListEnd),
    /// Bytes of the file being read.
    Data(&'a [u8]),
    /// The file is in place; nothing follows.
    Written(Written),
    /// Where a symbolic link points; nothing follows.
    Link(Link),
    /// The port is connected; its bytes follow, without frames.
    Connected,
    /// Lines that hold what was looked for.
    Matches(Vec<Match>),
    /// The text was replaced; nothing follows.
    Replaced(Replaced),
}

/// Payload of [`GuestMessage::Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] of the guest.
    #[n(0)]
    pub version: u32,
    /// The oldest host version that the guest answers.
    #[n(1)]
    pub oldest_host: u32,
}

/// Payload of [`GuestMessage::Skipped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Skipped {
    /// Offset of the next byte that follows.
    #[n(0)]
    pub offset: u64,
}

/// Payload of [`GuestMessage::ListEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ListEnd {
    /// There are more entries than were asked for, or than the guest reads.
    #[n(0)]
    pub truncated: bool,
}

/// Payload of [`GuestMessage::Written`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Written {
    /// Bytes received in this request.
    #[n(0)]
    pub bytes: u64,
    /// The file as it is now.
    #[n(1)]
    pub metadata: Metadata,
}

/// Payload of [`GuestMessage::Link`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Link {
    /// The target, as stored in the link.
    #[n(0)]
    pub points_to: ByteString,
}

/// Payload of [`GuestMessage::Replaced`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Replaced {
    /// How often the text was found; at none, the file is untouched.
    #[n(0)]
    pub count: u64,
}

impl<'a> GuestMessage<'a> {
    /// Appends the message as one frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when it does not fit; `out` is then unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            Self::Failure(failure) => encode_cbor(GuestKind::Failure, failure, out),
            Self::Done => encode_frame(GuestKind::Done, &[], out),
            Self::Hello(hello) => encode_cbor(GuestKind::Hello, hello, out),
            Self::Started(started) => encode_cbor(GuestKind::Started, started, out),
            Self::Stdout(bytes) => encode_frame(GuestKind::Stdout, bytes, out),
            Self::Stderr(bytes) => encode_frame(GuestKind::Stderr, bytes, out),
            Self::Exited(exited) => encode_cbor(GuestKind::Exited, exited, out),
            Self::Attached(attached) => encode_cbor(GuestKind::Attached, attached, out),
            Self::Skipped(skipped) => encode_cbor(GuestKind::Skipped, skipped, out),
            Self::ExecState(state) => encode_cbor(GuestKind::ExecState, state, out),
            Self::Metadata(metadata) => encode_cbor(GuestKind::Metadata, metadata, out),
            Self::Entries(entries) => encode_cbor(GuestKind::Entries, entries, out),
            Self::ListEnd(end) => encode_cbor(GuestKind::ListEnd, end, out),
            Self::Data(bytes) => encode_frame(GuestKind::Data, bytes, out),
            Self::Written(written) => encode_cbor(GuestKind::Written, written, out),
            Self::Link(link) => encode_cbor(GuestKind::Link, link, out),
            Self::Connected => encode_frame(GuestKind::Connected, &[], out),
            Self::Matches(matches) => encode_cbor(GuestKind::Matches, matches, out),
            Self::Replaced(replaced) => encode_cbor(GuestKind::Replaced, replaced, out),
        }
    }

    /// Reads the payload of a frame, which a hostile guest may have made.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn decode(frame: Frame<'a, GuestKind>) -> Result<Self, FrameError> {
        Ok(match frame.kind {
            GuestKind::Failure => Self::Failure(decode_cbor(frame)?),
            GuestKind::Done if frame.payload.is_empty() => Self::Done,
            GuestKind::Connected if frame.payload.is_empty() => Self::Connected,
            GuestKind::Done | GuestKind::Connected => {
                return Err(FrameError::Malformed { kind: frame.kind.byte() });
            }
            GuestKind::Hello => Self::Hello(decode_cbor(frame)?),
            GuestKind::Started => Self::Started(decode_cbor(frame)?),
            GuestKind::Stdout => Self::Stdout(frame.payload),
            GuestKind::Stderr => Self::Stderr(frame.payload),
            GuestKind::Exited => Self::Exited(decode_cbor(frame)?),
            GuestKind::Attached => Self::Attached(decode_cbor(frame)?),
            GuestKind::Skipped => Self::Skipped(decode_cbor(frame)?),
            GuestKind::ExecState => Self::ExecState(decode_cbor(frame)?),
            GuestKind::Metadata => Self::Metadata(decode_cbor(frame)?),
            GuestKind::Entries => Self::Entries(decode_cbor(frame)?),
            GuestKind::ListEnd => Self::ListEnd(decode_cbor(frame)?),
            GuestKind::Data => Self::Data(frame.payload),
            GuestKind::Written => Self::Written(decode_cbor(frame)?),
            GuestKind::Link => Self::Link(decode_cbor(frame)?),
            GuestKind::Matches => Self::Matches(decode_cbor(frame)?),
            GuestKind::Replaced => Self::Replaced(decode_cbor(frame)?),
        })
    }
}
