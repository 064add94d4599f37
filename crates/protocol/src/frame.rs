//! Frames: a length, a kind, a payload.
//!
//! ```text
//!   0        4      5                5 + len
//!   ├─ len ──┼─kind─┼─── payload ────┤        len: u32, little endian, counts the payload alone
//! ```
//!
//! The length is compared with the limit of the kind before anything is allocated, so a peer that lies costs
//! five bytes of reading. Reading from and writing to a socket is the caller's business.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::kind::Kind;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 5;

/// A checked header: the kind is known and the length is within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<K> {
    /// What the payload is.
    pub kind: K,
    /// Length of the payload in bytes, at most `kind.max_payload()`.
    pub len: usize,
}

/// A whole frame whose payload is not yet understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a, K> {
    /// What the payload is.
    pub kind: K,
    /// The bytes after the header.
    pub payload: &'a [u8],
}

/// Why bytes are not a frame, or a frame is not a message. The connection is of no use afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No kind of this direction has that byte.
    UnknownKind(u8),
    /// The header promises more than the kind may carry.
    TooLong {
        /// The kind's byte.
        kind: u8,
        /// The promised length in bytes.
        len: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// The payload is not the CBOR that the kind asks for.
    Malformed {
        /// The kind's byte.
        kind: u8,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "unknown frame kind {kind:#04x}"),
            Self::TooLong { kind, len, max } => {
                write!(f, "frame of kind {kind:#04x} is {len} bytes long, the limit is {max}")
            }
            Self::Malformed { kind } => write!(f, "malformed payload in a frame of kind {kind:#04x}"),
        }
    }
}

impl core::error::Error for FrameError {}

impl<K: Kind> Header<K> {
    /// A header for `len` bytes of payload.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when `kind` may not carry as much.
    pub fn new(kind: K, len: usize) -> Result<Self, FrameError> {
        let max = kind.max_payload();
        if len > max {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            return Err(FrameError::TooLong { kind: kind.byte(), len, max });
        }
        Ok(Self { kind, len })
    }

    /// Reads a header, trusting nothing in it.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] and [`FrameError::TooLong`].
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [a, b, c, d, kind_byte] = bytes;
        let kind = K::from_byte(kind_byte).ok_or(FrameError::UnknownKind(kind_byte))?;
        let len = u32::from_le_bytes([a, b, c, d]);
        let max = kind.max_payload();
        match usize::try_from(len) {
            Ok(len) if len <= max => Ok(Self { kind, len }),
            _ => Err(FrameError::TooLong { kind: kind_byte, len: u64::from(len), max }),
        }
    }

    /// The five bytes on the wire.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        // Both constructors keep `len` within a limit that is far below 4 GiB.
        let [a, b, c, d] = u32::try_from(self.len).unwrap_or(u32::MAX).to_le_bytes();
        [a, b, c, d, self.kind.byte()]
    }
}

/// Appends one frame with `payload` to `out`.
///
/// # Errors
/// [`FrameError::TooLong`]; `out` is then unchanged.
pub fn encode_frame<K: Kind>(kind: K, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let header = Header::new(kind, payload.len())?;
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(payload);
    Ok(())
}

/// Appends one frame whose payload is the CBOR of `value`.
///
/// # Errors
/// [`FrameError::TooLong`]; `out` is then unchanged.
pub(crate) fn encode_cbor<K: Kind, T: minicbor::Encode<()>>(
    kind: K,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let encoded = minicbor::encode(value, &mut *out).map_err(|_| FrameError::Malformed { kind: kind.byte() });
    let header = encoded.and_then(|()| Header::new(kind, out.len() - start - HEADER_BYTES));
    match header {
        Ok(header) => {
            if let Some(place) = out.get_mut(start..start + HEADER_BYTES) {
                place.copy_from_slice(&header.encode());
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Reads a control payload.
///
/// Bytes after the value are refused: they would be a second opinion on what the frame says.
pub(crate) fn decode_cbor<'a, K: Kind, T: minicbor::Decode<'a, ()>>(
    frame: Frame<'a, K>,
) -> Result<T, FrameError> {
    let malformed = FrameError::Malformed { kind: frame.kind.byte() };
    let mut decoder = minicbor::Decoder::new(frame.payload);
    match decoder.decode::<T>() {
        Ok(value) if decoder.position() == frame.payload.len() => Ok(value),
        _ => Err(malformed),
    }
}

/// Cuts a stream of bytes, which may come in any pieces, into frames.
///
/// A frame that lies whole in the input is borrowed from it; only a frame that is split over inputs is copied.
/// Never holds more than one frame.
#[derive(Debug)]
pub struct Decoder<K> {
    /// The beginning of a split frame, header included; empty between frames.
    partial: Vec<u8>,
    /// `partial` was handed out as a whole frame and is to be cleared.
    delivered: bool,
    kind: PhantomData<K>,
}

impl<K: Kind> Default for Decoder<K> {
    fn default() -> Self {
        Self { partial: Vec::new(), delivered: false, kind: PhantomData }
    }
}

impl<K: Kind> Decoder<K> {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next frame, taking from the front of `input` what it needs; `None` when more input is needed, and
    /// `input` is then empty.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] and [`FrameError::TooLong`]. There is no way to go on after an error.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Frame<'a, K>>, FrameError> {
        if self.delivered {
            self.partial.clear();
            self.delivered = false;
        }
        if self.partial.is_empty()
            && let Some(frame) = take_frame(input)?
        {
            return Ok(Some(frame));
        }
        self.fill(HEADER_BYTES, input);
        let Some(header) = self.partial.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let header = Header::<K>::decode(*header)?;
        let whole = HEADER_BYTES + header.len;
        self.fill(whole, input);
        if self.partial.len() < whole {
            return Ok(None);
        }
        self.delivered = true;
        let payload = self.partial.get(HEADER_BYTES..).unwrap_or_default();
        Ok(Some(Frame { kind: header.kind, payload }))
    }

    /// Whether the stream may end here without cutting a frame in two.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.delivered || self.partial.is_empty()
    }

    /// Bytes that this decoder has reserved, for tests of its bound.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Moves bytes from the front of `input` until `partial` has `wanted` of them.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.reserve_exact(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
    }
}

/// Takes a whole frame from the front of `input`, or nothing when it is not whole yet.
fn take_frame<'a, K: Kind>(input: &mut &'a [u8]) -> Result<Option<Frame<'a, K>>, FrameError> {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let header = Header::decode(*header)?;
    let Some((payload, rest)) = rest.split_at_checked(header.len) else { return Ok(None) };
    *input = rest;
    Ok(Some(Frame { kind: header.kind, payload }))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::kind::{GuestKind, HostKind};
    use crate::limits::DATA_MAX;

    fn frame(kind: HostKind, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(kind, payload, &mut out).expect("a payload within the limit");
        out
    }

    #[test]
    fn a_frame_that_arrives_byte_by_byte_is_whole_at_its_last_byte() {
        let bytes = frame(HostKind::Stdin, b"hello");
        let mut decoder = Decoder::<HostKind>::new();
        for (at, byte) in bytes.iter().enumerate() {
            let one = [*byte];
            let mut input = one.as_slice();
            let got = decoder.next(&mut input).expect("valid bytes");
            assert_eq!(got.is_some(), at + 1 == bytes.len());
            if let Some(got) = got {
                assert_eq!((got.kind, got.payload), (HostKind::Stdin, b"hello".as_slice()));
            }
        }
        assert!(decoder.is_between_frames());
    }

    #[test]
    fn several_frames_in_one_input_come_out_in_order() {
        let mut bytes = frame(HostKind::Stdin, b"a");
        bytes.extend(frame(HostKind::StdinEnd, b""));
        bytes.extend(frame(HostKind::Commit, b""));
        let mut decoder = Decoder::<HostKind>::new();
        let mut input = bytes.as_slice();
        let mut kinds = vec![];
        while let Some(frame) = decoder.next(&mut input).expect("valid bytes") {
            kinds.push(frame.kind);
        }
        assert_eq!(kinds, [HostKind::Stdin, HostKind::StdinEnd, HostKind::Commit]);
    }

    #[test]
    fn a_length_past_the_limit_is_refused_from_the_header_alone() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.push(HostKind::Data.byte());
        let mut decoder = Decoder::<HostKind>::new();
        let want = FrameError::TooLong { kind: 6, len: u64::from(u32::MAX), max: DATA_MAX };
        assert_eq!(decoder.next(&mut bytes.as_slice()), Err(want));
        assert!(decoder.reserved_bytes() <= HEADER_BYTES);
    }

    #[test]
    fn a_frame_of_the_other_direction_is_unknown() {
        let bytes = frame(HostKind::Commit, b"");
        let mut decoder = Decoder::<GuestKind>::new();
        assert_eq!(decoder.next(&mut bytes.as_slice()), Err(FrameError::UnknownKind(7)));
    }

    #[test]
    fn a_payload_past_the_limit_is_not_sent_either() {
        let mut out = vec![1];
        let got = encode_frame(HostKind::Data, &vec![0; DATA_MAX + 1], &mut out);
        assert_eq!(got, Err(FrameError::TooLong { kind: 6, len: 65_537, max: DATA_MAX }));
        assert_eq!(out, [1]);
    }
}
