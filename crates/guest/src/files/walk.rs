//! The regular files of a tree: `Walk`.

use std::os::fd::OwnedFd;

use lazaret_protocol::limits::PATH_MAX;
use lazaret_protocol::{Entry, FileKind, Walk};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::batch::Batch;
use super::errors::failure;
use super::list::is_dot;
use super::metadata;
use super::place::Base;
use crate::connection::Connection;
use crate::request::Stop;

/// Deepest directory that is entered, counted from the root of the walk. Each level holds a descriptor open.
const DEPTH_MAX: usize = 128;

/// Most entries of any kind that are looked at, so that a tree without files ends as well.
const VISITS_MAX: u64 = 1_000_000;

/// A directory that is being read.
struct Level {
    directory: OwnedFd,
    entries: Dir,
    /// Its path relative to the root, with a slash at the end unless empty.
    prefix: Vec<u8>,
}

/// Answers the request.
pub(crate) fn run(connection: &mut Connection, request: &Walk) -> Result<(), Stop> {
    let target = &request.target;
    as_user(target.user.as_deref(), || walk(connection, request))
}

fn walk(connection: &mut Connection, request: &Walk) -> Result<(), Stop> {
    let path = &request.target.path;
    let base = Base::of(&request.target)?;
    let root = base.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut levels = vec![Level::new(root, Vec::new()).map_err(|errno| failure(errno, path))?];
    let mut batch = Batch::new(connection, request.limit);
    let mut truncated = false;
    let mut visits = 0_u64;
    while let Some(level) = levels.last_mut() {
        let Some(Ok(entry)) = level.entries.next() else {
            levels.pop();
            continue;
        };
        let name = entry.file_name();
        if is_dot(name) {
            continue;
        }
        visits += 1;
        if visits > VISITS_MAX {
            truncated = true;
            break;
        }
        // What was removed since it was listed, or may not be looked at, is not there for this user.
        let Ok(metadata) = metadata::of_entry(&level.directory, name) else { continue };
        let path = [level.prefix.as_slice(), name.to_bytes()].concat();
        if path.len() > PATH_MAX {
            truncated = true;
            continue;
        }
        match metadata.kind {
            FileKind::File => {
                if !batch.push(Entry { path: path.into(), metadata })? {
                    truncated = true;
                    break;
                }
            }
            FileKind::Directory => match enter(level, name, path) {
                Ok(_) if levels.len() >= DEPTH_MAX => truncated = true,
                Ok(next) => levels.push(next),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => truncated = true,
                Err(_) => {}
            },
            FileKind::Symlink | FileKind::Fifo | FileKind::Socket | FileKind::Device => {}
        }
    }
    Ok(batch.finish(truncated)?)
}

fn enter(level: &Level, name: &std::ffi::CStr, mut path: Vec<u8>) -> rustix::io::Result<Level> {
    // It may have been replaced by a link since: NOFOLLOW.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(&level.directory, name, flags, Mode::empty())?;
    path.push(b'/');
    Level::new(directory, path)
}

impl Level {
    fn new(directory: OwnedFd, prefix: Vec<u8>) -> rustix::io::Result<Self> {
        let entries = Dir::read_from(&directory)?;
        Ok(Self { directory, entries, prefix })
    }
}
