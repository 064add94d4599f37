//! Going through a tree, entry by entry, within bounds.
//!
//! Directories are entered by descriptors and never through links, so that nobody who renames meanwhile leads out of the
//! tree. What may not be looked at is not there for this user. Whatever was left out for a bound sets [`Descent::is_cut`].

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::time::Duration;

use lazaret_protocol::limits::PATH_MAX;
use lazaret_protocol::{FileKind, Metadata};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::list::is_dot;
use super::metadata;
use crate::clock;

/// Deepest directory that is entered, counted from the root. Each level holds a descriptor open.
const DEPTH_MAX: usize = 128;

/// Most entries of any kind that are looked at, so that a tree without matches ends as well.
const VISITS_MAX: u64 = 1_000_000;

/// How long all of it may take; less than the host waits for the next frame.
const TIME_MAX: Duration = Duration::from_secs(20);

/// A way through a tree.
pub(super) struct Descent {
    levels: Vec<Level>,
    depth_max: usize,
    visits: u64,
    ends_at: Duration,
    is_cut: bool,
}

/// An entry on the way.
pub(super) struct Step {
    /// Relative to the root.
    pub(super) path: Vec<u8>,
    /// Of the entry itself.
    pub(super) metadata: Metadata,
    name: CString,
    level: usize,
}

/// A directory that is being read.
struct Level {
    directory: OwnedFd,
    entries: Dir,
    /// Its path relative to the root, with a slash at the end unless empty.
    prefix: Vec<u8>,
}

impl Descent {
    /// From this directory on, at most `depth` names down.
    pub(super) fn new(root: OwnedFd, depth: Option<u32>) -> rustix::io::Result<Self> {
        let depth = depth.and_then(|depth| usize::try_from(depth).ok());
        Ok(Self {
            levels: vec![Level::new(root, Vec::new())?],
            depth_max: depth.unwrap_or(usize::MAX),
            visits: 0,
            ends_at: clock::now() + TIME_MAX,
            is_cut: false,
        })
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Option<Step> {
        while let Some(level) = self.levels.last_mut() {
            let Some(Ok(entry)) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let name = entry.file_name();
            if is_dot(name) {
                continue;
            }
            self.visits += 1;
            if self.visits > VISITS_MAX || clock::now() >= self.ends_at {
                self.is_cut = true;
                return None;
            }
            // Removed since it was listed, or not for this user.
            let Ok(metadata) = metadata::of_entry(&level.directory, name) else { continue };
            let path = [level.prefix.as_slice(), name.to_bytes()].concat();
            if path.len() > PATH_MAX {
                self.is_cut = true;
                continue;
            }
            let step = Step { path, name: name.to_owned(), level: self.levels.len() - 1, metadata };
            if step.metadata.kind == FileKind::Directory && self.levels.len() < self.depth_max {
                self.enter(&step);
            }
            return Some(step);
        }
        None
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self) -> bool {
        clock::now() >= self.ends_at
    }

    /// Notes that something was left out.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Something was left out for a bound.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What the entry leads to, links followed.
    pub(super) fn followed(&self, step: &Step) -> rustix::io::Result<Metadata> {
        let level = self.levels.get(step.level).ok_or(Errno::NOENT)?;
        metadata::of_followed(&level.directory, &step.name)
    }

    /// Opens the entry itself for reading. Never waits for the other side of a FIFO.
    pub(super) fn open(&self, step: &Step) -> rustix::io::Result<OwnedFd> {
        let level = self.levels.get(step.level).ok_or(Errno::NOENT)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(&level.directory, &step.name, flags, Mode::empty())
    }

    fn enter(&mut self, step: &Step) {
        let Some(above) = self.levels.get(step.level) else { return };
        match Level::below(&above.directory, &step.name, &step.path) {
            Ok(_) if self.levels.len() >= DEPTH_MAX => self.is_cut = true,
            Ok(next) => self.levels.push(next),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => self.is_cut = true,
            Err(_) => {}
        }
    }
}

impl Step {
    /// The last name.
    pub(super) fn name(&self) -> &[u8] {
        self.name.to_bytes()
    }
}

impl Level {
    fn new(directory: OwnedFd, prefix: Vec<u8>) -> rustix::io::Result<Self> {
        let entries = Dir::read_from(&directory)?;
        Ok(Self { directory, entries, prefix })
    }

    fn below(above: &OwnedFd, name: &CStr, path: &[u8]) -> rustix::io::Result<Self> {
        // It may have been replaced by a link since: NOFOLLOW.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(above, name, flags, Mode::empty())?;
        Self::new(directory, [path, b"/"].concat())
    }
}
