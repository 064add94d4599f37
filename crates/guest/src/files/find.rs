//! Lines with a text: `Find`.
//!
//! Files are read in pieces, and of a line only its beginning is kept, so that no file is too large and no line too long.
//! A file with a NUL byte near its beginning is no text and is passed over, as `grep` and git do.

use std::os::fd::OwnedFd;

use lazaret_protocol::guest_message::ListEnd;
use lazaret_protocol::limits::{CONTROL_MAX, DATA_MAX, MATCH_LINE_MAX, PATTERN_MAX};
use lazaret_protocol::{ErrorKind, Failure, FileKind, Find, GuestMessage, Match};
use memchr::memmem::Finder;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::descent::Descent;
use super::errors::{failure, not_regular};
use super::place::Base;
use crate::connection::{Connection, Lost};
use crate::request::Stop;

/// Bytes at the beginning of a file in which a NUL tells that it is no text.
const BINARY_LOOK: usize = 8 * 1024;

/// Bytes that a match needs besides its path and text.
const MATCH_OVERHEAD: usize = 32;

/// Answers the request.
pub(crate) fn run(connection: &mut Connection, request: &Find) -> Result<(), Stop> {
    as_user(request.target.user.as_deref(), || find(connection, request))
}

fn find(connection: &mut Connection, request: &Find) -> Result<(), Stop> {
    let path = &request.target.path;
    check(&request.text)?;
    let base = Base::of(&request.target)?;
    let root = base.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&root).map_err(|errno| failure(errno, path))?;
    let finder = Finder::new(&request.text.0);
    let mut found = Found { connection, matches: Vec::new(), bytes: 0, left: request.limit };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let done = search(&root, &[], &finder, &mut found, || false)?;
            let is_cut = done.map_err(|errno| failure(errno, path))?;
            Ok(found.finish(is_cut)?)
        }
        FileType::Directory => {
            let mut descent = Descent::new(root, None).map_err(|errno| failure(errno, path))?;
            while let Some(step) = descent.next() {
                if step.metadata.kind != FileKind::File {
                    continue;
                }
                // What this user may not read holds nothing for them.
                let Ok(file) = descent.open(&step) else { continue };
                if search(&file, &step.path, &finder, &mut found, || descent.is_late())? == Ok(true) {
                    descent.cut();
                    break;
                }
            }
            Ok(found.finish(descent.is_cut())?)
        }
        _ => Err(not_regular(path).into()),
    }
}

/// Refuses a text that is nowhere or everywhere.
pub(super) fn check(text: &[u8]) -> Result<(), Failure> {
    match text.len() {
        0 => Err(Failure::new(ErrorKind::BadPattern, "the text to look for is empty")),
        1..=PATTERN_MAX => Ok(()),
        _ => Err(Failure::new(ErrorKind::BadPattern, "the text to look for is too long")),
    }
}

/// Looks through one file; `true` if it stopped early, for the number of lines or the time.
fn search(
    file: &OwnedFd,
    path: &[u8],
    finder: &Finder<'_>,
    found: &mut Found<'_>,
    is_late: impl Fn() -> bool,
) -> Result<Result<bool, Errno>, Lost> {
    let mut buffer = vec![0; DATA_MAX];
    let mut line = Line { number: 1, head: Vec::new(), tail: Vec::new(), is_hit: false };
    let mut is_first = true;
    loop {
        let read = match rustix::io::read(file, &mut buffer) {
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Ok(Err(errno)),
        };
        let mut chunk = buffer.get(..read).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(Ok(line.is_hit && !found.push(path, &line)?));
        }
        let look = chunk.get(..BINARY_LOOK).unwrap_or(chunk);
        if std::mem::take(&mut is_first) && memchr::memchr(0, look).is_some() {
            return Ok(Ok(false));
        }
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (piece, rest) = chunk.split_at(end);
            chunk = rest.get(1..).unwrap_or_default();
            line.add(piece, finder);
            if line.is_hit && !found.push(path, &line)? {
                return Ok(Ok(true));
            }
            line.end();
        }
        line.add(chunk, finder);
        if is_late() {
            return Ok(Ok(true));
        }
    }
}

/// The line that is being read.
struct Line {
    number: u64,
    /// Its beginning.
    head: Vec<u8>,
    /// Its last bytes, in which the text may have begun; fewer than the text has.
    tail: Vec<u8>,
    is_hit: bool,
}

impl Line {
    fn add(&mut self, piece: &[u8], finder: &Finder<'_>) {
        let room = MATCH_LINE_MAX - self.head.len();
        self.head.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if self.is_hit {
            return;
        }
        self.is_hit = finder.find(piece).is_some();
        let overlap = finder.needle().len() - 1;
        if !self.is_hit && !self.tail.is_empty() {
            let mut across = self.tail.clone();
            across.extend_from_slice(piece.get(..overlap).unwrap_or(piece));
            self.is_hit = finder.find(&across).is_some();
        }
        self.tail.extend_from_slice(piece.get(piece.len().saturating_sub(overlap)..).unwrap_or_default());
        let spare = self.tail.len().saturating_sub(overlap);
        self.tail.drain(..spare);
    }

    fn end(&mut self) {
        self.number += 1;
        self.head.clear();
        self.tail.clear();
        self.is_hit = false;
    }
}

/// Matches on their way.
struct Found<'a> {
    connection: &'a mut Connection,
    matches: Vec<Match>,
    bytes: usize,
    left: u32,
}

impl Found<'_> {
    /// Adds a line; `false` when it is one too many.
    fn push(&mut self, path: &[u8], line: &Line) -> Result<bool, Lost> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        let text = line.head.strip_suffix(b"\r").unwrap_or(&line.head);
        let bytes = MATCH_OVERHEAD + path.len() + text.len();
        if self.bytes + bytes > CONTROL_MAX {
            self.flush()?;
        }
        self.left = left;
        self.bytes += bytes;
        self.matches.push(Match { path: path.into(), line: line.number, text: text.into() });
        Ok(true)
    }

    fn finish(mut self, truncated: bool) -> Result<(), Lost> {
        if !self.matches.is_empty() {
            self.flush()?;
        }
        self.connection.send(&GuestMessage::ListEnd(ListEnd { truncated }))
    }

    fn flush(&mut self) -> Result<(), Lost> {
        self.bytes = 0;
        self.connection.send(&GuestMessage::Matches(std::mem::take(&mut self.matches)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_the_pieces_of_its_line_are_cut() {
        let line = b"some needle here";
        let finder = Finder::new(b"needle");
        for cut in 0..line.len() {
            for again in cut..line.len() {
                let mut read = Line { number: 1, head: Vec::new(), tail: Vec::new(), is_hit: false };
                read.add(&line[..cut], &finder);
                read.add(&line[cut..again], &finder);
                read.add(&line[again..], &finder);
                assert!(read.is_hit, "cut at {cut} and {again}");
                assert_eq!(read.head, line);
            }
        }
    }

    #[test]
    fn pieces_that_only_together_with_another_line_hold_the_text_do_not() {
        let finder = Finder::new(b"needle");
        let mut read = Line { number: 1, head: Vec::new(), tail: Vec::new(), is_hit: false };
        read.add(b"nee", &finder);
        read.end();
        read.add(b"dle", &finder);
        assert!(!read.is_hit);
        assert_eq!(read.number, 2);
    }
}
