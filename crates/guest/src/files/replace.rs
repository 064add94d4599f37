//! One text in the place of another: `ReplaceText`.
//!
//! The new contents go to a staging file piece by piece, so that no file is too large, and take the name in one step.

use std::os::fd::OwnedFd;

use lazaret_protocol::guest_message::Replaced;
use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Disposition, Failure, GuestMessage, ReplaceText, Write};
use memchr::memmem::Finder;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::errors::failure;
use super::find;
use super::place::Base;
use super::staging::Staging;
use super::write::{find_place, settle, write_all};
use crate::connection::Connection;
use crate::request::Stop;
use crate::serve::Guest;

/// Answers the request.
pub(crate) fn run(guest: &Guest, connection: &mut Connection, request: &ReplaceText) -> Result<(), Stop> {
    let count = as_user(request.target.user.as_deref(), || replace(guest, request))?;
    Ok(connection.send(&GuestMessage::Replaced(Replaced { count }))?)
}

fn replace(guest: &Guest, request: &ReplaceText) -> Result<u64, Failure> {
    let ReplaceText { target, text, with } = request;
    find::check(text)?;
    let fail = |errno| failure(errno, &target.path);
    let write =
        Write { target: target.clone(), disposition: Disposition::Replace, mode: None, parents: false };
    let (place, existing) = find_place(&Base::of(target)?, &write)?;
    let existing = existing.ok_or_else(|| fail(Errno::NOENT))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let old = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()).map_err(fail)?;
    let staging = Staging::new(place, &guest.proc).map_err(fail)?;
    let count = copy(&old, staging.file(), text, with).map_err(fail)?;
    if count > 0 {
        settle(staging.file(), &write, Some(&existing)).map_err(fail)?;
        staging.commit(Disposition::Replace).map_err(fail)?;
    }
    Ok(count)
}

fn copy(from: &OwnedFd, to: &OwnedFd, text: &[u8], with: &[u8]) -> rustix::io::Result<u64> {
    let mut buffer = vec![0; DATA_MAX];
    let mut exchange = Exchange { finder: Finder::new(text), with, held: Vec::new(), count: 0 };
    loop {
        let read = match rustix::io::read(from, &mut buffer) {
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        write_all(to, &exchange.pass(chunk))?;
        if chunk.is_empty() {
            return Ok(exchange.count);
        }
    }
}

/// The replacement in a stream.
struct Exchange<'a> {
    finder: Finder<'a>,
    with: &'a [u8],
    /// Bytes in which the text may have begun.
    held: Vec<u8>,
    count: u64,
}

impl Exchange<'_> {
    /// What can be written after `chunk` has come; an empty one is the end.
    fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(found) = self.held.get(at..).and_then(|rest| self.finder.find(rest)) {
            out.extend_from_slice(self.held.get(at..at + found).unwrap_or_default());
            out.extend_from_slice(self.with);
            at += found + self.finder.needle().len();
            self.count += 1;
        }
        let overlap = if chunk.is_empty() { 0 } else { self.finder.needle().len() - 1 };
        let keep = self.held.len().saturating_sub(overlap).max(at);
        out.extend_from_slice(self.held.get(at..keep).unwrap_or_default());
        self.held.drain(..keep);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_goes_wherever_the_stream_is_cut() {
        let whole = b"aXXbXXXcXX";
        for cut in 0..=whole.len() {
            let mut exchange =
                Exchange { finder: Finder::new(b"XX"), with: b"-", held: Vec::new(), count: 0 };
            let mut out = Vec::new();
            for chunk in [&whole[..cut], &whole[cut..]].into_iter().filter(|chunk| !chunk.is_empty()) {
                out.extend(exchange.pass(chunk));
            }
            out.extend(exchange.pass(b""));
            assert_eq!((out.as_slice(), exchange.count), (b"a-b-Xc-".as_slice(), 3), "cut at {cut}");
        }
    }
}
