//! Names, permissions and owners: `Rename`, `Chmod`, `Chown`, `Symlink`.

use std::os::fd::{AsRawFd, OwnedFd};

use lazaret_protocol::{Chmod, Chown, ErrorKind, Failure, OwnerPart, Rename, Symlink, Target};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};

use super::acting::as_user;
use super::errors::{bad_path, failure};
use super::place::Base;
use crate::serve::Guest;
use crate::users;

/// Answers `Rename`.
pub(crate) fn rename(request: &Rename) -> Result<(), Failure> {
    let Rename { target, to, replace } = request;
    as_user(target.user.as_deref(), || {
        let base = Base::of(target)?;
        let from = base.place(&target.path)?;
        let into = base.place(to)?;
        let flags = if *replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        rustix::fs::renameat_with(&from.directory, &from.name, &into.directory, &into.name, flags)
            .map_err(|errno| failure(errno, &target.path))
    })
}

/// Answers `Chmod`.
pub(crate) fn chmod(guest: &Guest, request: &Chmod) -> Result<(), Failure> {
    let Chmod { target, mode } = request;
    if *mode > 0o7777 {
        return Err(Failure::new(ErrorKind::BadRequest, "a mode has 12 bits"));
    }
    as_user(target.user.as_deref(), || {
        let file = open(target)?;
        // `fchmod` wants a file open for reading or writing, which its own mode may forbid; through `/proc` any
        // descriptor will do.
        let path = format!("self/fd/{}", file.as_raw_fd());
        rustix::fs::chmodat(&guest.proc, path, Mode::from_raw_mode(*mode), AtFlags::empty())
            .map_err(|errno| failure(errno, &target.path))
    })
}

/// Answers `Chown`.
pub(crate) fn chown(request: &Chown) -> Result<(), Failure> {
    let Chown { target, owner, only } = request;
    let (uid, gid) = match only {
        None => users::identify(Some(owner)).map(|owner| (Some(owner.uid), Some(owner.gid)))?,
        Some(OwnerPart::User) => (Some(users::identify(Some(owner))?.uid), None),
        Some(OwnerPart::Group) => (None, Some(users::group(owner)?)),
    };
    as_user(target.user.as_deref(), || {
        let file = open(target)?;
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        rustix::fs::chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH)
            .map_err(|errno| failure(errno, &target.path))
    })
}

/// Answers `Symlink`.
pub(crate) fn symlink(request: &Symlink) -> Result<(), Failure> {
    let Symlink { target, points_to } = request;
    if points_to.is_empty() || points_to.contains(&0) {
        return Err(bad_path("the link's target is empty or holds a NUL byte", points_to));
    }
    as_user(target.user.as_deref(), || {
        let place = Base::of(target)?.place(&target.path)?;
        rustix::fs::symlinkat(points_to.0.as_slice(), &place.directory, &place.name)
            .map_err(|errno| failure(errno, &target.path))
    })
}

fn open(target: &Target) -> Result<OwnedFd, Failure> {
    Base::of(target)?.open(&target.path, OFlags::PATH)
}
