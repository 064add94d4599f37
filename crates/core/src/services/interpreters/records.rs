//! What a context tells of its cells, apart from what they print. Pure.
//!
//! ```text
//!   u8 kind │ u32 LE length │ fields: u32 LE length, bytes, ...
//! ```
//!
//! The same table stands in `context.py`. The tenant's code can write anything here: every record is a claim about its
//! own cell, bounded before it is kept.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{Violation, fields};
use crate::{CodeError, Representation, Shown, limits};

/// Forms of one value; an honest context knows a dozen.
const REPRESENTATIONS_MAX: usize = 64;
const HEADER_BYTES: usize = 5;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A value.
    Shown(Shown),
    /// An error.
    Failed(CodeError),
    /// A form of a value was left out.
    Cut,
    /// The cell has ended.
    Done,
}

/// Puts records together from bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Records {
    buffer: BytesMut,
}

impl Records {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record; `None` until there is one.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Violation> {
        let mut header = self.buffer.as_ref();
        if header.len() < HEADER_BYTES {
            return Ok(None);
        }
        let kind = header.get_u8();
        let length = usize::try_from(header.get_u32_le()).map_err(|_| Violation)?;
        if length > limits::CELL_VALUES_MAX_BYTES {
            return Err(Violation);
        }
        if header.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        let fields = fields(self.buffer.split_to(length).freeze())?;
        let record = match kind {
            1 | 2 => Record::Shown(shown(kind == 2, fields)?),
            3 => Record::Failed(failed(&fields)?),
            4 => Record::Cut,
            5 => Record::Done,
            _ => return Err(Violation),
        };
        Ok(Some(record))
    }
}

fn shown(is_value: bool, fields: Vec<Bytes>) -> Result<Shown, Violation> {
    if !fields.len().is_multiple_of(2) || fields.len() > 2 * REPRESENTATIONS_MAX {
        return Err(Violation);
    }
    let mut fields = fields.into_iter();
    let mut representations = Vec::new();
    while let (Some(media_type), Some(data)) = (fields.next(), fields.next()) {
        representations.push(Representation { media_type: text(&media_type), data });
    }
    Ok(Shown { is_value, representations })
}

fn failed(fields: &[Bytes]) -> Result<CodeError, Violation> {
    let [name, value, traceback] = fields else { return Err(Violation) };
    Ok(CodeError { name: text(name), value: text(value), traceback: text(traceback) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::super::frame::Fields;
    use super::*;

    fn record(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
        let mut list = Fields::default();
        for field in fields {
            list.push(field);
        }
        let mut bytes = vec![kind];
        bytes.put_u32_le(u32::try_from(list.as_bytes().len()).unwrap());
        bytes.put_slice(list.as_bytes());
        bytes
    }

    #[test]
    fn records_are_put_together_from_any_pieces() {
        let bytes = [
            record(2, &[b"text/plain", b"1", b"image/png", b"\x89"]),
            record(3, &[b"E", b"\xff", b"t"]),
            record(4, &[]),
            record(5, &[]),
        ]
        .concat();
        let representation = |media_type: &str, data: &'static [u8]| Representation {
            media_type: media_type.to_owned(),
            data: data.into(),
        };
        let want = [
            Record::Shown(Shown {
                is_value: true,
                representations: vec![
                    representation("text/plain", b"1"),
                    representation("image/png", b"\x89"),
                ],
            }),
            Record::Failed(CodeError { name: "E".into(), value: "\u{fffd}".into(), traceback: "t".into() }),
            Record::Cut,
            Record::Done,
        ];
        for piece in [1, 3, bytes.len()] {
            let (mut records, mut found) = (Records::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                records.push(piece);
                while let Some(record) = records.next().expect("no violation") {
                    found.push(record);
                }
            }
            assert_eq!(found, want);
        }
    }

    #[test]
    fn what_no_context_writes_is_a_violation() {
        let too_long = [1, 0xff, 0xff, 0xff, 0xff];
        for bytes in [too_long.to_vec(), record(9, &[]), record(1, &[b"a"]), record(3, &[b"a", b"b"])] {
            let mut records = Records::default();
            records.push(&bytes);
            assert_eq!(records.next(), Err(Violation), "{bytes:?}");
        }
    }
}
