//! Figures of a run, as its child tells them. Pure.
//!
//! ```text
//!   u32 LE length of the record │ u32 LE length, title │ u32 LE length, PNG │ u32 LE length, drawing (figures.py)
//! ```
//!
//! The child belongs to the tenant: what is too large, or is no record, ends the listening and nothing else.

use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};

use crate::{Figure, limits};

/// The figures of one run, filled while it runs.
#[derive(Debug, Clone, Default)]
pub(in crate::services) struct Figures(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    buffer: BytesMut,
    figures: Vec<Figure>,
    bytes: usize,
    is_over: bool,
}

impl Figures {
    /// Takes bytes of records; whether nothing was lost.
    pub(super) fn push(&self, bytes: &[u8]) -> bool {
        let mut told = self.0.lock().expect("no panic under this lock");
        told.bytes += bytes.len();
        told.is_over |= told.bytes > limits::CELL_VALUES_MAX_BYTES;
        if told.is_over {
            told.buffer = BytesMut::new();
            return false;
        }
        told.buffer.extend_from_slice(bytes);
        while let Some(record) = field(&mut told.buffer) {
            match figure(record) {
                Some(figure) => told.figures.push(figure),
                None => told.is_over = true,
            }
        }
        !told.is_over
    }

    /// What was told.
    pub(in crate::services) fn take(&self) -> Vec<Figure> {
        std::mem::take(&mut self.0.lock().expect("no panic under this lock").figures)
    }
}

fn figure(mut record: BytesMut) -> Option<Figure> {
    let title = field(&mut record)?;
    let png: Bytes = field(&mut record)?.freeze();
    let drawing: Bytes = field(&mut record)?.freeze();
    record.is_empty().then(|| Figure { title: String::from_utf8_lossy(&title).into_owned(), png, drawing })
}

/// The next field, once all of it is there. Never more than what was pushed is allocated.
fn field(buffer: &mut BytesMut) -> Option<BytesMut> {
    let length = u32::from_le_bytes(*buffer.first_chunk::<4>()?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if buffer.len() - 4 < length {
        return None;
    }
    buffer.advance(4);
    Some(buffer.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(title: &str, png: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        for field in [title.as_bytes(), png, b"{}"] {
            fields.extend(u32::try_from(field.len()).expect("short").to_le_bytes());
            fields.extend(field);
        }
        let mut record = u32::try_from(fields.len()).expect("short").to_le_bytes().to_vec();
        record.extend(fields);
        record
    }

    #[test]
    fn figures_come_whole_however_their_bytes_are_cut() {
        let bytes = [record("a", b"PNG1"), record("", b"")].concat();
        for size in [1, 3, 100] {
            let figures = Figures::default();
            assert!(bytes.chunks(size).all(|chunk| figures.push(chunk)));
            let found = figures.take();
            assert_eq!(found.len(), 2);
            assert_eq!((found[0].title.as_str(), &found[0].png[..]), ("a", b"PNG1".as_slice()));
            assert_eq!(found[1].drawing, b"{}".as_slice());
        }
    }

    #[test]
    fn what_is_no_record_or_too_much_is_told_as_lost() {
        assert!(!Figures::default().push(&[5, 0, 0, 0, 9, 9, 9, 9, 9]));
        let figures = Figures::default();
        assert!(figures.push(&u32::MAX.to_le_bytes()));
        assert!(!figures.push(&vec![0; limits::CELL_VALUES_MAX_BYTES]));
        assert!(figures.take().is_empty());
    }
}
