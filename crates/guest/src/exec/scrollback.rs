//! The latest output of a background exec, addressed by offset. Pure, but for its spool.
//!
//! ```text
//!   offset   oldest                                       end
//!              ├── out ──┼─ err ─┼──────── out ─────────────┤      pieces, in the order in which they were read
//!   dropped ◀──┘ when there are too many bytes, or too many pieces; into the spool, if there is one
//! ```
//!
//! An offset counts the bytes of both streams together from the first one on, for ever; it never goes back.

use std::collections::VecDeque;

use super::output::Stream;
use super::spool::Spool;

/// Most pieces. A program that alternates between the streams byte by byte would otherwise cost more for pieces than
/// for bytes.
const PIECES_MAX: usize = 4096;

/// What goes to a spool goes in portions of at least this many bytes, or this many pieces: each is a write to the disk.
const SPOOL_PORTION_BYTES: usize = 64 * 1024;
const SPOOL_PORTION_PIECES: usize = PIECES_MAX / 4;

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
    spool: Option<Spool>,
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
        Self { bytes: VecDeque::new(), pieces: VecDeque::new(), capacity, end: 0, spool: None }
    }

    /// The same, with what no longer fits kept in `spool`.
    pub(crate) fn with_spool(self, spool: Spool) -> Self {
        // A piece is at most as long as a portion, so that none is ever cut on its way in.
        let capacity = self.capacity.max(2 * SPOOL_PORTION_BYTES);
        Self { spool: Some(spool), capacity, ..self }
    }

    /// Offset of the oldest byte that is kept.
    pub(crate) fn oldest(&self) -> u64 {
        let spooled = self.spool.as_ref().and_then(Spool::oldest);
        spooled.unwrap_or_else(|| self.oldest_in_memory())
    }

    fn oldest_in_memory(&self) -> u64 {
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
        // Of a piece that alone is too long, only the end stays.
        let kept = bytes.get(bytes.len().saturating_sub(self.capacity)..).unwrap_or_default();
        let beyond = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        if beyond > 0 && self.spool.is_some() {
            self.drop_oldest(beyond.max(SPOOL_PORTION_BYTES));
        } else {
            self.drop_oldest(beyond);
        }
        self.end = self.end.saturating_add(bytes.len() as u64);
        self.bytes.extend(kept);
        match self.pieces.back_mut().filter(|piece| piece.stream == stream) {
            Some(piece) => piece.len += kept.len(),
            None => self.pieces.push_back(Piece { stream, len: kept.len() }),
        }
        if self.pieces.len() > PIECES_MAX {
            let portion = if self.spool.is_some() { SPOOL_PORTION_PIECES } else { 1 };
            self.drop_oldest(self.pieces.iter().take(portion).map(|piece| piece.len).sum());
        }
    }

    /// At most `max` bytes of one stream from `offset` on; `None` when there is nothing newer yet.
    pub(crate) fn read(&self, offset: u64, max: usize) -> Option<Slice> {
        let offset = offset.max(self.oldest());
        if offset < self.oldest_in_memory()
            && let Some(slice) = self.spool.as_ref().and_then(|spool| spool.read(offset, max))
        {
            return Some(slice);
        }
        let offset = offset.max(self.oldest_in_memory());
        let mut skip = usize::try_from(offset.checked_sub(self.oldest_in_memory())?).ok()?;
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
        self.spool_oldest(left);
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

impl Scrollback {
    /// Copies the oldest `count` bytes to the spool, which has everything before them.
    fn spool_oldest(&mut self, count: usize) {
        let offset = self.oldest_in_memory();
        let Some(spool) = self.spool.as_mut().filter(|_| count > 0) else { return };
        let bytes: &[u8] = self.bytes.make_contiguous();
        let mut left = bytes.get(..count).unwrap_or_default();
        spool.append(
            offset,
            self.pieces.iter().map_while(|piece| {
                let (head, tail) = left.split_at(piece.len.min(left.len()));
                left = tail;
                (!head.is_empty()).then_some((piece.stream, head))
            }),
        );
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
    fn with_a_spool_everything_stays_readable_in_order() {
        let spool = Spool::open(1 << 30).expect("a disk");
        let mut scrollback = Scrollback::new(0).with_spool(spool);
        let mut wanted = Vec::new();
        for index in 0..20_000_u32 {
            let stream = if index % 3 == 0 { Stderr } else { Stdout };
            let piece = index.to_string().repeat(5);
            scrollback.push(stream, piece.as_bytes());
            wanted.extend(piece.bytes().map(|byte| (stream, byte)));
        }
        assert_eq!((scrollback.oldest(), scrollback.end()), (0, wanted.len() as u64));
        assert!(scrollback.bytes.len() <= scrollback.capacity && scrollback.pieces.len() <= PIECES_MAX);
        for from in [0, 1, 150_000, wanted.len() - 1] {
            let (mut offset, mut found) = (from as u64, Vec::new());
            while let Some(slice) = scrollback.read(offset, 10_000) {
                assert_eq!(slice.offset, offset, "no gap");
                offset += slice.bytes.len() as u64;
                found.extend(slice.bytes.into_iter().map(|byte| (slice.stream, byte)));
            }
            assert!(found == wanted[from..], "what is read from {from} on is what was written");
        }
    }

    #[test]
    fn a_capacity_of_nothing_keeps_nothing() {
        let mut scrollback = Scrollback::new(0);
        scrollback.push(Stdout, b"abc");
        assert_eq!((scrollback.oldest(), scrollback.end()), (3, 3));
        assert_eq!(scrollback.read(0, 9), None);
    }
}
