//! Frames of the host, understood.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::frame::{Frame, FrameError, decode_cbor, encode_cbor, encode_frame};
use crate::kind::{HostKind, Kind};
use crate::request::Request;

/// Anything the host says. Bulk bytes are borrowed from the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMessage<'a> {
    /// What the connection is for.
    Request(Request),
    /// Bytes for standard input.
    Stdin(&'a [u8]),
    /// Standard input has ended.
    StdinEnd,
    /// A signal for the process group of the exec.
    Signal(Signal),
    /// A new size of the terminal.
    Resize(Resize),
    /// Bytes of the file being written.
    Data(&'a [u8]),
    /// Keep the file.
    Commit,
}

/// Payload of [`HostMessage::Signal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signal {
    /// Signal number, 1 to [`crate::limits::SIGNAL_MAX`].
    #[n(0)]
    pub number: u32,
}

/// Payload of [`HostMessage::Resize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Resize {
    /// Height in characters.
    #[n(0)]
    pub rows: u16,
    /// Width in characters.
    #[n(1)]
    pub columns: u16,
}

impl<'a> HostMessage<'a> {
    /// Appends the message as one frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when it does not fit; `out` is then unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            Self::Request(request) => encode_cbor(HostKind::Request, request, out),
            Self::Stdin(bytes) => encode_frame(HostKind::Stdin, bytes, out),
            Self::StdinEnd => encode_frame(HostKind::StdinEnd, &[], out),
            Self::Signal(signal) => encode_cbor(HostKind::Signal, signal, out),
            Self::Resize(resize) => encode_cbor(HostKind::Resize, resize, out),
            Self::Data(bytes) => encode_frame(HostKind::Data, bytes, out),
            Self::Commit => encode_frame(HostKind::Commit, &[], out),
        }
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn decode(frame: Frame<'a, HostKind>) -> Result<Self, FrameError> {
        Ok(match frame.kind {
            HostKind::Request => Self::Request(decode_cbor(frame)?),
            HostKind::Stdin => Self::Stdin(frame.payload),
            HostKind::StdinEnd => empty(frame, Self::StdinEnd)?,
            HostKind::Signal => Self::Signal(decode_cbor(frame)?),
            HostKind::Resize => Self::Resize(decode_cbor(frame)?),
            HostKind::Data => Self::Data(frame.payload),
            HostKind::Commit => empty(frame, Self::Commit)?,
        })
    }
}

/// `message`, if the frame carries nothing.
fn empty<K: Kind, M>(frame: Frame<'_, K>, message: M) -> Result<M, FrameError> {
    if frame.payload.is_empty() {
        Ok(message)
    } else {
        Err(FrameError::Malformed { kind: frame.kind.byte() })
    }
}
