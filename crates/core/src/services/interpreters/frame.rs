//! What the server and the driver say to each other. Pure.
//!
//! ```text
//!   u32 LE length of the payload │ u8 kind │ u32 LE key of the child │ payload
//! ```
//!
//! The driver belongs to the tenant: a frame past its limit or of an unknown kind is a violation, after which nothing
//! more is read. The same table stands in `driver.py`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Frames of one child that may be on their way before the server grants more.
pub(super) const WINDOW: usize = 32;
/// Largest payload that the driver may send, in bytes: it reads pipes in pieces of 32 KiB.
const PAYLOAD_MAX: usize = 64 * 1024;
const HEADER_BYTES: usize = 9;

/// What the server asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    /// Fork a child that runs a script: fields are directory, path, source, how it prints, number of arguments,
    /// arguments, variables.
    Run = 1,
    /// Signal the child's group: one byte.
    Kill = 2,
    /// The child may send so many frames more: u32.
    Credit = 3,
    /// Fork a context: fields are directory, program, variables.
    Open = 4,
    /// A cell for a context: fields are source, variables.
    Cell = 5,
}

/// What the driver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is ready.
    Hello,
    /// The child runs, with this process id.
    Started(u32),
    /// There is no child, because of this errno.
    Declined(i32),
    /// There is no child: a new interpreter would find other files than this one did.
    Stale,
    /// Bytes of standard output.
    Out(Bytes),
    /// Bytes of standard error.
    Err(Bytes),
    /// Bytes of a context's records.
    Result(Bytes),
    /// The child has ended, with this code or minus this signal; output of its descendants was cut off.
    Exited(i32, bool),
}

/// The driver did not keep to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the interpreter said what no interpreter of ours says")]
pub(super) struct Violation;

/// An order as one frame.
pub(super) fn order(order: Order, key: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    // Bounded by what a request may hold, megabytes.
    frame.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    frame.put_u8(order as u8);
    frame.put_u32_le(key);
    frame.put_slice(payload);
    frame.freeze()
}

/// A list of byte strings, each with its length before it.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn push(&mut self, field: &[u8]) -> &mut Self {
        self.0.put_u32_le(u32::try_from(field.len()).unwrap_or(u32::MAX));
        self.0.put_slice(field);
        self
    }

    pub(super) fn variables<'a>(&mut self, env: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (name, value) in env {
            self.push(name.as_bytes()).push(value.as_bytes());
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a list back.
pub(super) fn fields(mut payload: Bytes) -> Result<Vec<Bytes>, Violation> {
    let mut found = Vec::new();
    while !payload.is_empty() {
        let length = payload.try_get_u32_le().map_err(|_| Violation)?;
        let length = usize::try_from(length).map_err(|_| Violation)?;
        if length > payload.len() {
            return Err(Violation);
        }
        found.push(payload.split_to(length));
    }
    Ok(found)
}

/// Puts frames together from bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame with the key of its child; `None` until there is one.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Said)>, Violation> {
        let mut header = self.buffer.as_ref();
        if header.len() < HEADER_BYTES {
            return Ok(None);
        }
        let length = usize::try_from(header.get_u32_le()).map_err(|_| Violation)?;
        let (kind, key) = (header.get_u8(), header.get_u32_le());
        if length > PAYLOAD_MAX {
            return Err(Violation);
        }
        if header.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        let mut payload = self.buffer.split_to(length).freeze();
        let said = match kind {
            1 => Said::Hello,
            2 => Said::Started(payload.try_get_u32_le().map_err(|_| Violation)?),
            3 => Said::Declined(payload.try_get_i32_le().map_err(|_| Violation)?),
            4 => Said::Stale,
            5 => Said::Out(payload),
            6 => Said::Err(payload),
            7 => Said::Result(payload),
            8 => {
                let status = payload.try_get_i32_le().map_err(|_| Violation)?;
                Said::Exited(status, payload.try_get_u8().map_err(|_| Violation)? != 0)
            }
            _ => return Err(Violation),
        };
        Ok(Some((key, said)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.put_u32_le(u32::try_from(payload.len()).unwrap());
        frame.put_u8(kind);
        frame.put_u32_le(7);
        frame.put_slice(payload);
        frame
    }

    #[test]
    fn frames_are_put_together_from_any_pieces() {
        let bytes = [said(2, &[9, 0, 0, 0]), said(5, b"abc"), said(8, &[0xf7, 0xff, 0xff, 0xff, 1])].concat();
        for piece in [1, 2, 5, 9, bytes.len()] {
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().expect("no violation") {
                    found.push(frame);
                }
            }
            let want = [Said::Started(9), Said::Out("abc".into()), Said::Exited(-9, true)];
            assert_eq!(found, want.map(|said| (7, said)));
        }
    }

    #[test]
    fn what_no_driver_says_is_a_violation() {
        let too_long = [0xff, 0xff, 0xff, 0x7f, 5, 7, 0, 0, 0];
        for bytes in [too_long.to_vec(), said(99, b""), said(2, b"x"), said(8, &[1, 2, 3, 4]), said(0, b"")] {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            assert_eq!(decoder.next(), Err(Violation), "{bytes:?}");
        }
    }

    #[test]
    fn a_list_reads_back_and_a_torn_one_is_a_violation() {
        let mut list = Fields::default();
        list.push(b"").push(b"two");
        let bytes = Bytes::copy_from_slice(list.as_bytes());
        assert_eq!(fields(bytes.clone()), Ok(vec![Bytes::new(), Bytes::from("two")]));
        for end in [2, 5, 8, bytes.len() - 1] {
            assert_eq!(fields(bytes.slice(..end)), Err(Violation), "{end}");
        }
    }
}
