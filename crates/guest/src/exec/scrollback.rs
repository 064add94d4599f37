//! The latest output of a background exec, addressed by offset. Pure.
//!
//! ```text
//!   offset   oldest                                       end
//!              ├── out ──┼─ err ─┼──────── out ─────────────┤      pieces, in the order in which they were read
//!   dropped ◀──┘ when there are too many bytes, or too many pieces
//! ```
//!
//! An offset counts the bytes of both streams together from the first one on, for ever; it never goes back.

use std::collections::VecDeque;

use super::output::Stream;

/// Most pieces. A program that alternates between the streams byte by byte would otherwise cost more for pieces than
/// for bytes.
const PIECES_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    stream: Stream,
    len: usize,
}

/// A bounded queue of output.
#[derive(Debug)]
pub(crate) struct Scrollback {
    bytes: VecDeque<u8>,
    /// Their lengths add up to that of `bytes`.
    pieces: VecDeque<Piece>,
    capacity: usize,
    end: u64,
}

/// Output from some offset on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Offset of the first byte: later than asked for when the older ones are gone.
    pub(crate) offset: u64,
    /// Which stream they belong to.
    pub(crate) stream: Stream,
    /// At least one byte.
    pub(crate) bytes: Vec<u8>,
}

impl Scrollback {
    /// Keeps the latest `capacity` bytes. Memory is taken as it is needed.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::new(), pieces: VecDeque::new(), capacity, end: 0 }
    }

    /// Offset of the oldest byte that is kept.
    pub(crate) fn oldest(&self) -> u64 {
        self.end.saturating_sub(self.bytes.len() as u64)
    }

    /// Offset after the newest byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Appends output.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.end = self.end.saturating_add(bytes.len() as u64);
        // Of a piece that alone is too long, only the end stays.
        let kept = bytes.get(bytes.len().saturating_sub(self.capacity)..).unwrap_or_default();
        self.drop_oldest((self.bytes.len() + kept.len()).saturating_sub(self.capacity));
        self.bytes.extend(kept);
        match self.pieces.back_mut().filter(|piece| piece.stream == stream) {
            Some(piece) => piece.len += kept.len(),
            None => self.pieces.push_back(Piece { stream, len: kept.len() }),
        }
        while self.pieces.len() > PIECES_MAX {
            let oldest = self.pieces.front().map_or(0, |piece| piece.len);
            self.drop_oldest(oldest);
        }
    }

    /// At most `max` bytes of one stream from `offset` on; `None` when there is nothing newer yet.
    pub(crate) fn read(&self, offset: u64, max: usize) -> Option<Slice> {
        let offset = offset.max(self.oldest());
        let mut skip = usize::try_from(offset.checked_sub(self.oldest())?).ok()?;
        let mut start = 0;
        for piece in &self.pieces {
            if skip < piece.len {
                let len = (piece.len - skip).min(max);
                let bytes = self.bytes.range(start + skip..start + skip + len).copied().collect();
                return Some(Slice { offset, stream: piece.stream, bytes });
            }
            skip -= piece.len;
            start += piece.len;
        }
        None
    }

    fn drop_oldest(&mut self, count: usize) {
        let mut left = count.min(self.bytes.len());
        self.bytes.drain(..left);
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len > left {
                piece.len -= left;
                return;
            }
            left -= piece.len;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    fn read_all(scrollback: &Scrollback, mut offset: u64) -> Vec<(u64, Stream, String)> {
        let mut all = Vec::new();
        while let Some(slice) = scrollback.read(offset, 4) {
            offset = slice.offset + slice.bytes.len() as u64;
            all.push((slice.offset, slice.stream, String::from_utf8(slice.bytes).expect("text")));
        }
        all
    }

    #[test]
    fn streams_come_back_in_order_and_from_any_offset() {
        let mut scrollback = Scrollback::new(100);
        for (stream, bytes) in [(Stdout, "ab"), (Stdout, "cd"), (Stderr, "EF"), (Stdout, "g")] {
            scrollback.push(stream, bytes.as_bytes());
        }
        let want =
            [(0, Stdout, "abcd".to_owned()), (4, Stderr, "EF".to_owned()), (6, Stdout, "g".to_owned())];
        assert_eq!(read_all(&scrollback, 0), want);
        assert_eq!(read_all(&scrollback, 3)[0], (3, Stdout, "d".to_owned()));
        assert_eq!(scrollback.read(7, 4), None);
        assert_eq!(scrollback.read(u64::MAX, 4), None);
    }

    #[test]
    fn only_the_latest_bytes_are_kept_and_offsets_go_on() {
        let mut scrollback = Scrollback::new(5);
        scrollback.push(Stdout, b"abc");
        scrollback.push(Stderr, b"DEF");
        assert_eq!((scrollback.oldest(), scrollback.end()), (1, 6));
        assert_eq!(read_all(&scrollback, 0), [(1, Stdout, "bc".to_owned()), (3, Stderr, "DEF".to_owned())]);
        scrollback.push(Stdout, b"0123456789");
        assert_eq!((scrollback.oldest(), scrollback.end()), (11, 16));
        assert_eq!(read_all(&scrollback, 0), [(11, Stdout, "5678".to_owned()), (15, Stdout, "9".to_owned())]);
    }

    #[test]
    fn alternating_single_bytes_do_not_pile_up_pieces() {
        let mut scrollback = Scrollback::new(1_000_000);
        for index in 0..3 * PIECES_MAX {
            scrollback.push(if index % 2 == 0 { Stdout } else { Stderr }, b"x");
        }
        assert_eq!(scrollback.pieces.len(), PIECES_MAX);
        assert_eq!(scrollback.bytes.len(), PIECES_MAX);
        assert_eq!(scrollback.end(), 3 * PIECES_MAX as u64);
    }

    #[test]
    fn a_capacity_of_nothing_keeps_nothing() {
        let mut scrollback = Scrollback::new(0);
        scrollback.push(Stdout, b"abc");
        assert_eq!((scrollback.oldest(), scrollback.end()), (3, 3));
        assert_eq!(scrollback.read(0, 9), None);
    }
}
