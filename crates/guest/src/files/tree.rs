//! Making and removing directories: `Mkdir` and `Remove`.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use lazaret_protocol::{ErrorKind, Failure, Mkdir, Remove};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::errors::failure;
use super::list::is_dot;
use super::place::{Base, Place, split};

/// Permission bits of a directory when the request names none.
const DEFAULT_MODE: u32 = 0o755;

/// Deepest tree that is removed. Each level holds a descriptor open; a deeper one is for `rm -rf` inside.
const DEPTH_MAX: usize = 256;

/// Answers `Mkdir`.
pub(crate) fn mkdir(request: &Mkdir) -> Result<(), Failure> {
    let path = &request.target.path;
    let mode = Mode::from_raw_mode(request.mode.unwrap_or(DEFAULT_MODE) & 0o7777);
    as_user(request.target.user.as_deref(), || {
        let base = Base::of(&request.target)?;
        if request.parents {
            if let Some((directory, _)) = split(path) {
                make_directories(&base, directory)?;
            }
            if base.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
                return Ok(());
            }
        }
        make_directory(&base.place(path)?, mode).map_err(|errno| failure(errno, path))
    })
}

/// Makes `path` and every directory on the way, unless they exist.
pub(super) fn make_directories(base: &Base, path: &[u8]) -> Result<(), Failure> {
    let is_there = |path: &[u8]| match base.open(path, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind == ErrorKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    };
    let mut missing = Vec::new();
    let mut path = path;
    while !is_there(path)? {
        missing.push(path);
        match split(path) {
            Some((directory, _)) => path = directory,
            None => return Err(failure(Errno::NOENT, path)),
        }
    }
    for path in missing.into_iter().rev() {
        match make_directory(&base.place(path)?, Mode::from_raw_mode(DEFAULT_MODE)) {
            // Made by somebody else since.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failure(errno, path)),
        }
    }
    Ok(())
}

fn make_directory(place: &Place, mode: Mode) -> rustix::io::Result<()> {
    rustix::fs::mkdirat(&place.directory, &place.name, mode)?;
    // The umask has taken bits away. NOFOLLOW, because it may have been replaced since.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()) {
        Ok(directory) => rustix::fs::fchmod(directory, mode),
        // A mode that keeps its own maker out has lost nothing to the umask that anybody could use.
        Err(Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Answers `Remove`.
pub(crate) fn remove(request: &Remove) -> Result<(), Failure> {
    let path = &request.target.path;
    as_user(request.target.user.as_deref(), || {
        let place = Base::of(&request.target)?.place(path)?;
        if request.recursive {
            return remove_place(&place, path);
        }
        unlink(&place).map_err(|errno| failure(errno, path))
    })
}

/// Removes whatever is there, with everything in it; `path` is its name in a failure.
pub(super) fn remove_place(place: &Place, path: &[u8]) -> Result<(), Failure> {
    match unlink(place) {
        Err(Errno::NOTEMPTY) => remove_tree(place, path),
        other => other.map_err(|errno| failure(errno, path)),
    }
}

fn unlink(place: &Place) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::empty()) {
        Err(Errno::ISDIR) => rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::REMOVEDIR),
        other => other,
    }
}

/// A directory that is being emptied.
struct Level {
    directory: OwnedFd,
    entries: Dir,
    /// Its name in the level above.
    name: CString,
}

fn remove_tree(place: &Place, path: &[u8]) -> Result<(), Failure> {
    let fail = |errno| failure(errno, path);
    let mut levels = vec![Level::open(&place.directory, place.name.clone()).map_err(fail)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.entries.next() else {
            let Some(done) = levels.pop() else { break };
            let above = levels.last().map_or(&place.directory, |level| &level.directory);
            absent(rustix::fs::unlinkat(above, &done.name, AtFlags::REMOVEDIR)).map_err(fail)?;
            continue;
        };
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        if is_dot(name) {
            continue;
        }
        let unlinked = match entry.file_type() {
            FileType::Directory => Err(Errno::ISDIR),
            _ => rustix::fs::unlinkat(&level.directory, name, AtFlags::empty()),
        };
        match absent(unlinked) {
            Ok(()) => {}
            Err(Errno::ISDIR) => {
                let next = Level::open(&level.directory, name.to_owned()).map_err(fail)?;
                if levels.len() >= DEPTH_MAX {
                    let sentence = format!("the tree is more than {DEPTH_MAX} directories deep");
                    return Err(Failure::new(ErrorKind::TreeTooDeep, sentence).with_path(path));
                }
                levels.push(next);
            }
            Err(errno) => return Err(fail(errno)),
        }
    }
    Ok(())
}

impl Level {
    fn open(above: &OwnedFd, name: CString) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(above, &name, flags, Mode::empty())?;
        let entries = Dir::read_from(&directory)?;
        Ok(Self { directory, entries, name })
    }
}

/// Somebody else has removed it: all the same.
fn absent(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
