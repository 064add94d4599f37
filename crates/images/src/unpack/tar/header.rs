//! The 512-byte header block.
//!
//! ```text
//!   0 name 100 │ mode 8 │ uid 8 │ gid 8 │ size 12 │ mtime 12 │ checksum 8 │ type 1 │ link 100 │ 257 magic 6
//! 263 version 2 │ user 32 │ group 32 │ major 8 │ minor 8 │ 345 prefix 155 (ustar only)
//! ```
//! Numbers are octal text, or (GNU) big-endian two's complement with the top bit of the first byte set.

use std::ops::Range;

use rustix::fs::Timespec;

/// Everything in a tar comes in multiples of this.
pub(super) const BLOCK_BYTES: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MODIFIED: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const PREFIX: Range<usize> = 345..500;

/// POSIX's magic. GNU's own is `"ustar "`, and it keeps other things where the prefix would be.
const USTAR: &[u8] = b"ustar\0";

/// Permission bits with setuid, setgid and sticky; some tools put the file type above them.
const MODE_MASK: i128 = 0o7777;

/// A number of a header that is malformed or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field \"{field}\" is not a number in its range")]
pub struct FieldError {
    /// Name of the field in POSIX's words.
    pub field: &'static str,
}

/// A header whose checksum is right.
#[derive(Debug)]
pub(super) struct Header([u8; BLOCK_BYTES]);

impl Header {
    /// The header, unless its checksum does not match.
    pub(super) fn parse(block: [u8; BLOCK_BYTES]) -> Option<Header> {
        // The sum is taken with the checksum field as spaces. Some old tools added the bytes as signed numbers; none
        // of them makes images.
        let sum: i128 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| i128::from(if CHECKSUM.contains(&at) { b' ' } else { *byte }))
            .sum();
        (number(&block[CHECKSUM]) == Some(sum)).then_some(Header(block))
    }

    pub(super) fn type_byte(&self) -> u8 {
        self.0[TYPE]
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = if self.0[MAGIC] == *USTAR { text(&self.0[PREFIX]) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[LINK]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<u32, FieldError> {
        let mode = self.field("mode", MODE)? & MODE_MASK;
        u32::try_from(mode).map_err(|_| FieldError { field: "mode" })
    }

    pub(super) fn uid(&self) -> Result<u64, FieldError> {
        self.unsigned("uid", UID)
    }

    pub(super) fn gid(&self) -> Result<u64, FieldError> {
        self.unsigned("gid", GID)
    }

    /// Bytes of contents; small enough that rounding up to a block cannot overflow.
    pub(super) fn size(&self) -> Result<u64, FieldError> {
        checked_size(self.unsigned("size", SIZE)?)
    }

    pub(super) fn modified(&self) -> Result<Timespec, FieldError> {
        let seconds = i64::try_from(self.field("mtime", MODIFIED)?);
        Ok(Timespec { tv_sec: seconds.map_err(|_| FieldError { field: "mtime" })?, tv_nsec: 0 })
    }

    fn unsigned(&self, field: &'static str, range: Range<usize>) -> Result<u64, FieldError> {
        u64::try_from(self.field(field, range)?).map_err(|_| FieldError { field })
    }

    fn field(&self, field: &'static str, range: Range<usize>) -> Result<i128, FieldError> {
        number(&self.0[range]).ok_or(FieldError { field })
    }
}

/// A size that file offsets can hold: `off_t` is signed.
pub(super) fn checked_size(size: u64) -> Result<u64, FieldError> {
    if i64::try_from(size).is_ok() { Ok(size) } else { Err(FieldError { field: "size" }) }
}

/// Up to the first NUL, or the whole field.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// The number in a field of at most twelve bytes; an empty field is 0.
fn number(field: &[u8]) -> Option<i128> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            // Seven bits of the first byte count; the highest of them is the sign.
            let negative = first & 0x40 != 0;
            let start = if negative { i128::from(first & 0x7f) - 0x80 } else { i128::from(first & 0x7f) };
            Some(rest.iter().fold(start, |value, byte| (value << 8) | i128::from(*byte)))
        }
        _ => {
            let digits = text(field).trim_ascii();
            digits.iter().try_fold(0, |value: i128, byte| match byte {
                b'0'..=b'7' => Some(value * 8 + i128::from(byte - b'0')),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_text_or_twos_complement_and_nothing_else() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777", Some(0o7777_7777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"12\0garbage", Some(0o12)),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"0x12\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x00", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Some(1 << 64)),
        ] {
            assert_eq!(number(field), want, "{}", field.escape_ascii());
        }
    }
}
