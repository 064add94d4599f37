//! Another name, on whichever file system: `Move`.
//!
//! ```text
//!   rename ─▶ done
//!      └─ another file system, or a directory of the image ─▶ copy beside the new name ─▶ rename there ─▶ remove the old
//! ```
//!
//! So the new name appears in one step, whole; what dies in between leaves the old one, and at worst a copy whose name
//! begins like a staging file's. Links are copied as links; owners, where the user may give them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{ErrorKind, Failure, Rename};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::acting::as_user;
use super::errors::{failure, not_regular};
use super::list::is_dot;
use super::place::{Base, Place};
use super::staging::random_name;
use super::tree::remove_place;
use super::write::write_all;
use crate::clock;

/// Deepest tree that is copied. Each level holds descriptors open.
const DEPTH_MAX: usize = 128;

/// How long copying may take; less than the host waits for the answer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Answers the request.
pub(crate) fn run(request: &Rename) -> Result<(), Failure> {
    let Rename { target, to, replace } = request;
    as_user(target.user.as_deref(), || {
        let base = Base::of(target)?;
        let from = base.place(&target.path)?;
        let into = base.place(to)?;
        let flags = if *replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match rustix::fs::renameat_with(&from.directory, &from.name, &into.directory, &into.name, flags) {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => across(&from, &into, flags, &target.path),
            Err(errno) => Err(failure(errno, &target.path)),
        }
    })
}

fn across(from: &Place, into: &Place, flags: RenameFlags, path: &[u8]) -> Result<(), Failure> {
    let fail = |errno| failure(errno, path);
    if flags.contains(RenameFlags::NOREPLACE)
        && rustix::fs::statat(&into.directory, &into.name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    {
        return Err(fail(Errno::EXIST));
    }
    let beside = Place {
        directory: rustix::io::fcntl_dupfd_cloexec(&into.directory, 0).map_err(fail)?,
        name: random_name().map_err(fail)?,
    };
    let copied = Copying { ends_at: clock::now() + TIME_MAX, buffer: vec![0; DATA_MAX] }
        .all(from, &beside)
        .and_then(|()| {
            let directory = &into.directory;
            rustix::fs::renameat_with(directory, &beside.name, directory, &into.name, flags)
                .map_err(Trouble::Errno)
        });
    if let Err(trouble) = copied {
        // It may not have come to be; and nothing more can be done about what cannot be removed.
        let _ = remove_place(&beside, path);
        return Err(match trouble {
            Trouble::Errno(errno) => fail(errno),
            Trouble::Special => not_regular(path),
            Trouble::TooDeep => {
                let sentence = format!("the tree is more than {DEPTH_MAX} directories deep");
                Failure::new(ErrorKind::TreeTooDeep, sentence).with_path(path)
            }
            Trouble::Late => {
                let sentence = "the names are on different file systems and copying takes too long";
                Failure::new(ErrorKind::CrossDevice, sentence).with_path(path)
            }
        });
    }
    remove_place(from, path)
}

/// Why a copy was not made.
enum Trouble {
    Errno(Errno),
    /// A socket or device is in the way.
    Special,
    TooDeep,
    Late,
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

struct Copying {
    ends_at: Duration,
    buffer: Vec<u8>,
}

/// A directory that is being copied.
struct Level {
    from: OwnedFd,
    entries: Dir,
    to: OwnedFd,
    stat: Stat,
}

impl Copying {
    fn all(&mut self, from: &Place, to: &Place) -> Result<(), Trouble> {
        let mut levels = Vec::new();
        levels.extend(self.one(from.directory.as_fd(), &from.name, to.directory.as_fd(), &to.name)?);
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                if let Some(done) = levels.pop() {
                    // Last, because filling the directory changed its time and a mode may forbid filling it.
                    dress(&done.to, &done.stat)?;
                }
                continue;
            };
            let entry = entry?;
            if is_dot(entry.file_name()) {
                continue;
            }
            let name = CString::from(entry.file_name());
            let next = self.one(level.from.as_fd(), &name, level.to.as_fd(), &name)?;
            if next.is_some() && levels.len() >= DEPTH_MAX {
                return Err(Trouble::TooDeep);
            }
            levels.extend(next);
        }
        Ok(())
    }

    /// Copies one entry; of a directory, what is still to be done.
    fn one(
        &mut self,
        from: impl AsFd,
        name: &CStr,
        to: impl AsFd,
        new: &CStr,
    ) -> Result<Option<Level>, Trouble> {
        if clock::now() >= self.ends_at {
            return Err(Trouble::Late);
        }
        let stat = rustix::fs::statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let private = Mode::RWXU;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let from = rustix::fs::openat(&from, name, flags, Mode::empty())?;
                rustix::fs::mkdirat(&to, new, private)?;
                let to = rustix::fs::openat(&to, new, flags, Mode::empty())?;
                let entries = Dir::read_from(&from)?;
                return Ok(Some(Level { from, entries, to, stat }));
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let from = rustix::fs::openat(&from, name, flags, Mode::empty())?;
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let to = rustix::fs::openat(&to, new, flags, private)?;
                self.contents(&from, &to)?;
                dress(&to, &stat)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&from, name, Vec::new())?.into_bytes();
                rustix::fs::symlinkat(target.as_slice(), &to, new)?;
                give(rustix::fs::chownat(&to, new, uid(&stat), gid(&stat), AtFlags::SYMLINK_NOFOLLOW))?;
            }
            FileType::Fifo => {
                rustix::fs::mknodat(&to, new, FileType::Fifo, Mode::from_raw_mode(stat.st_mode & 0o7777), 0)?;
            }
            _ => return Err(Trouble::Special),
        }
        Ok(None)
    }

    fn contents(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Trouble> {
        loop {
            match rustix::io::read(from, &mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => write_all(to, self.buffer.get(..read).unwrap_or_default())?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            if clock::now() >= self.ends_at {
                return Err(Trouble::Late);
            }
        }
    }
}

/// Owner, mode and times, in this order: a change of owner clears set-user-id.
fn dress(file: &OwnedFd, stat: &Stat) -> rustix::io::Result<()> {
    give(rustix::fs::fchown(file, uid(stat), gid(stat)))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec.cast_signed()),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
    };
    rustix::fs::futimens(file, &times)
}

/// Only root gives files away; another user's copy is theirs.
fn give(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::PERM) => Ok(()),
        other => other,
    }
}

fn uid(stat: &Stat) -> Option<Uid> {
    Some(Uid::from_raw(stat.st_uid))
}

fn gid(stat: &Stat) -> Option<Gid> {
    Some(Gid::from_raw(stat.st_gid))
}
