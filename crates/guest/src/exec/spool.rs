//! Output that no longer fits into memory: a file without a name on the sandbox's own disk.
//!
//! ```text
//!   file   ░░░░░░░░░┊ u8 stream, u32 length, bytes │ u8 stream, u32 length, bytes │ ...
//!          a hole   └ the oldest mark: an offset of the output and where in the file it is
//! ```
//!
//! It takes what falls off the old end of a [`super::scrollback::Scrollback`], in order. Beyond its capacity the oldest
//! part becomes a hole. A disk that takes no more costs what was to be kept, and never stops the program.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatvfs, open, unlink};
use rustix::io::Errno;

use super::output::Stream;
use super::scrollback::Slice;

/// Bytes of output from one mark to the next. Reading begins at a mark, and the oldest part goes mark by mark.
const MARK_BYTES: u64 = 256 * 1024;

/// A spool takes at most this part of its disk, so that logs alone never fill a sandbox.
const DISK_PART: u64 = 8;

/// Stream and length before each record.
const HEADER_BYTES: usize = 5;

/// The name of the file for the moment that it needs one, where the file system cannot do without.
const NAME: &str = "/.lazaret-spool";

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Of the output.
    offset: u64,
    /// In the file, of the record that begins with it.
    position: u64,
}

/// A bounded queue of output on the disk.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    capacity: u64,
    /// Offset after the newest byte.
    end: u64,
    /// Where the next record goes.
    position: u64,
    /// Oldest first; empty when nothing is kept.
    marks: VecDeque<Mark>,
    /// The record that the last reading met, where the next one usually goes on.
    reached: Cell<Option<Mark>>,
}

impl Spool {
    /// An empty spool on the disk of the root directory.
    ///
    /// # Errors
    /// Those of opening a file.
    pub(crate) fn open(capacity: u64) -> rustix::io::Result<Self> {
        let file = File::from(open_unnamed()?);
        let disk = fstatvfs(&file)?;
        let capacity = capacity.min(disk.f_blocks.saturating_mul(disk.f_frsize) / DISK_PART);
        Ok(Self { file, capacity, end: 0, position: 0, marks: VecDeque::new(), reached: Cell::new(None) })
    }

    /// Offset of the oldest byte that is kept; `None` when none is.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.marks.front().map(|mark| mark.offset)
    }

    /// Appends pieces of output, the first of which begins at `offset`.
    pub(crate) fn append<'a>(&mut self, offset: u64, pieces: impl Iterator<Item = (Stream, &'a [u8])>) {
        if self.end != offset {
            self.forget();
        }
        let mut records = Vec::new();
        let mut end = offset;
        let mut marks = Vec::new();
        for (stream, bytes) in pieces.filter(|(_, bytes)| !bytes.is_empty()) {
            let last = marks.last().or(self.marks.back());
            if last.is_none_or(|last: &Mark| end - last.offset >= MARK_BYTES) {
                marks.push(Mark { offset: end, position: self.position + records.len() as u64 });
            }
            records.push(stream.byte());
            records.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
            records.extend(bytes);
            end += bytes.len() as u64;
        }
        match self.file.write_all_at(&records, self.position) {
            Ok(()) => {
                self.marks.extend(marks);
                self.position += records.len() as u64;
            }
            // The disk is full: what is kept gives way.
            Err(_) => self.forget(),
        }
        self.end = end;
        self.trim();
    }

    /// At most `max` bytes of one stream from `offset` on; `None` when they are not, or no longer, here.
    pub(crate) fn read(&self, offset: u64, max: usize) -> Option<Slice> {
        if offset >= self.end || self.oldest().is_none_or(|oldest| offset < oldest) {
            return None;
        }
        let next = self.marks.partition_point(|mark| mark.offset <= offset);
        let mark = *self.marks.get(next.checked_sub(1)?)?;
        let reached = self.reached.get().filter(|reached| (mark.offset..=offset).contains(&reached.offset));
        self.read_from(reached.unwrap_or(mark), offset, max).ok()
    }

    fn read_from(&self, mut at: Mark, offset: u64, max: usize) -> io::Result<Slice> {
        loop {
            let mut header = [0; HEADER_BYTES];
            self.file.read_exact_at(&mut header, at.position)?;
            let [stream, a, b, c, d] = header;
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            if offset < at.offset + length {
                self.reached.set(Some(at));
                let skip = offset - at.offset;
                let wanted = usize::try_from(length - skip).unwrap_or(usize::MAX).min(max);
                let mut bytes = vec![0; wanted];
                self.file.read_exact_at(&mut bytes, at.position + HEADER_BYTES as u64 + skip)?;
                return Ok(Slice { offset, stream: Stream::from_byte(stream), bytes });
            }
            at = Mark { offset: at.offset + length, position: at.position + HEADER_BYTES as u64 + length };
        }
    }

    fn trim(&mut self) {
        let mut is_shorter = false;
        while let Some(oldest) = self.oldest()
            && self.end - oldest > self.capacity
        {
            self.marks.pop_front();
            is_shorter = true;
        }
        if is_shorter {
            self.free(self.marks.front().map_or(self.position, |mark| mark.position));
        }
    }

    fn forget(&mut self) {
        self.marks.clear();
        self.free(self.position);
    }

    /// Gives the disk back what lies before `position`.
    fn free(&self, position: u64) {
        if position > 0 {
            // A file system without holes keeps it; the spool's own bound then is that of the disk.
            let _ =
                fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, position);
        }
    }
}

/// A file that nobody else can open.
fn open_unnamed() -> rustix::io::Result<std::os::fd::OwnedFd> {
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match open("/", flags | OFlags::TMPFILE, mode) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::ISDIR | Errno::NOENT) => {
            let named = open(NAME, flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode)?;
            unlink(NAME)?;
            Ok(named)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    fn read_all(spool: &Spool, mut offset: u64) -> Vec<(u64, Stream, String)> {
        let mut all = Vec::new();
        while let Some(slice) = spool.read(offset, 4) {
            offset = slice.offset + slice.bytes.len() as u64;
            all.push((slice.offset, slice.stream, String::from_utf8(slice.bytes).expect("text")));
        }
        all
    }

    #[test]
    fn output_comes_back_in_order_and_from_any_offset() {
        let mut spool = Spool::open(1 << 20).expect("a disk");
        spool.append(0, [(Stdout, b"abcdef".as_slice()), (Stderr, b"GH")].into_iter());
        spool.append(8, [(Stdout, b"i".as_slice())].into_iter());
        let want = [
            (0, Stdout, "abcd".to_owned()),
            (4, Stdout, "ef".to_owned()),
            (6, Stderr, "GH".to_owned()),
            (8, Stdout, "i".to_owned()),
        ];
        assert_eq!(read_all(&spool, 0), want);
        assert_eq!(read_all(&spool, 7), [(7, Stderr, "H".to_owned()), want[3].clone()]);
        assert_eq!(read_all(&spool, 5)[0], (5, Stdout, "f".to_owned()));
        assert_eq!(read_all(&spool, 9), []);
    }

    #[test]
    fn beyond_the_capacity_the_oldest_part_goes() {
        let mut spool = Spool::open(3 * MARK_BYTES).expect("a disk");
        let piece = vec![b'x'; 64 * 1024];
        let mut offset = 0;
        while offset < 20 * MARK_BYTES {
            spool.append(offset, [(Stdout, piece.as_slice())].into_iter());
            offset += piece.len() as u64;
        }
        let oldest = spool.oldest().expect("something is kept");
        assert!((2 * MARK_BYTES..=3 * MARK_BYTES).contains(&(offset - oldest)), "{oldest} of {offset}");
        assert_eq!(spool.read(oldest - 1, 1), None);
        assert_eq!(spool.read(oldest, 1).map(|slice| slice.offset), Some(oldest));
        let blocks = std::os::unix::fs::MetadataExt::blocks(&spool.file.metadata().expect("a file"));
        assert!(blocks * 512 < 5 * MARK_BYTES, "{blocks} blocks are used");
    }

    #[test]
    fn a_gap_drops_what_was_before_it() {
        let mut spool = Spool::open(1 << 20).expect("a disk");
        spool.append(0, [(Stdout, b"abc".as_slice())].into_iter());
        spool.append(10, [(Stdout, b"def".as_slice())].into_iter());
        assert_eq!(spool.oldest(), Some(10));
        assert_eq!(read_all(&spool, 10), [(10, Stdout, "def".to_owned())]);
    }
}
