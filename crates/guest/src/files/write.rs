//! Writing a file: `Write`, `Data`, `Commit`.
//!
//! ```text
//!   Write ─▶ find the place ─▶ staging file ◀── Data* ── Commit ─▶ the staging file takes the name
//!                                   └── connection lost: the staging file is gone, the old file untouched
//! ```

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use lazaret_protocol::guest_message::Written;
use lazaret_protocol::limits::PATH_MAX;
use lazaret_protocol::{Disposition, ErrorKind, Failure, GuestMessage, HostMessage, Write};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::acting::as_user;
use super::errors::failure;
use super::place::{Base, Place, check_regular, split};
use super::staging::Staging;
use super::{metadata, tree};
use crate::connection::{Connection, Lost, Wait};
use crate::request::Stop;
use crate::serve::Guest;

/// Permission bits of a new file when the request names none.
const DEFAULT_MODE: u32 = 0o644;

/// Most symbolic links in a row at the end of a path: the kernel's own limit.
const LINKS_MAX: usize = 40;

/// Answers the request.
pub(crate) fn run(guest: &Guest, connection: &mut Connection, request: &Write) -> Result<(), Stop> {
    as_user(request.target.user.as_deref(), || match request.disposition {
        Disposition::Append => append(connection, request),
        Disposition::Replace | Disposition::CreateNew => stage(guest, connection, request),
    })
}

fn stage(guest: &Guest, connection: &mut Connection, request: &Write) -> Result<(), Stop> {
    let path = &request.target.path;
    let base = Base::of(&request.target)?;
    let (place, existing) = find_place(&base, request)?;
    if existing.is_some() && request.disposition == Disposition::CreateNew {
        return Err(failure(Errno::EXIST, path).into());
    }
    let staging = Staging::new(place, &guest.proc).map_err(|errno| failure(errno, path))?;
    let bytes = receive(connection, staging.file(), path)?;
    settle(staging.file(), request, existing.as_ref()).map_err(|errno| failure(errno, path))?;
    let metadata = metadata::of(staging.file()).map_err(|errno| failure(errno, path))?;
    staging.commit(request.disposition).map_err(|errno| failure(errno, path))?;
    Ok(connection.send(&GuestMessage::Written(Written { bytes, metadata }))?)
}

fn append(connection: &mut Connection, request: &Write) -> Result<(), Stop> {
    let path = &request.target.path;
    let base = Base::of(&request.target)?;
    if request.parents {
        make_parents(&base, path)?;
    }
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let mode = Mode::from_raw_mode(request.mode.unwrap_or(DEFAULT_MODE) & 0o7777);
    let file = base.open_file(path, flags, mode)?;
    let bytes = receive(connection, &file, path)?;
    let metadata = metadata::of(&file).map_err(|errno| failure(errno, path))?;
    Ok(connection.send(&GuestMessage::Written(Written { bytes, metadata }))?)
}

/// Writes `Data` frames into `file` until `Commit`.
fn receive(connection: &mut Connection, file: &OwnedFd, path: &[u8]) -> Result<u64, Stop> {
    let mut bytes = 0_u64;
    loop {
        let finished = connection.receive(Wait::Yes, |message| match message {
            HostMessage::Data(data) => {
                bytes = bytes.saturating_add(data.len() as u64);
                Ok(match write_all(file, data) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(errno) => ControlFlow::Break(Err(failure(errno, path))),
                })
            }
            HostMessage::Commit => Ok(ControlFlow::Break(Ok(()))),
            _ => Err(Lost),
        })?;
        match finished {
            None => {}
            Some(Ok(())) => return Ok(bytes),
            Some(Err(failure)) => return Err(failure.into()),
        }
    }
}

/// Writes all of `data`.
pub(super) fn write_all(file: &OwnedFd, mut data: &[u8]) -> rustix::io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(file, data) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => data = data.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives the staging file the bits, and where root writes, the owner, of the file that it replaces.
pub(super) fn settle(file: &OwnedFd, request: &Write, existing: Option<&Stat>) -> rustix::io::Result<()> {
    let mode = match existing {
        Some(stat) => stat.st_mode,
        None => request.mode.unwrap_or(DEFAULT_MODE),
    };
    if let Some(stat) = existing.filter(|_| rustix::process::geteuid().is_root()) {
        let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    // After the owner, because a change of owner clears set-user-id.
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))
}

/// Where the file is to be, and what is there now. At the end of the path, links are followed, unless the request is
/// confined or wants a new file.
pub(super) fn find_place(base: &Base, request: &Write) -> Result<(Place, Option<Stat>), Failure> {
    let mut path = request.target.path.0.clone();
    if request.parents {
        make_parents(base, &path)?;
    }
    for _ in 0..LINKS_MAX {
        if path.ends_with(b"/") {
            return Err(failure(Errno::ISDIR, &path));
        }
        let place = base.place(&path)?;
        let stat = match rustix::fs::statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok((place, None)),
            Err(errno) => return Err(failure(errno, &path)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink if base.is_confined() => {
                let sentence = "the path ends in a link";
                return Err(Failure::new(ErrorKind::Escapes, sentence).with_path(path));
            }
            FileType::Symlink if request.disposition == Disposition::CreateNew => {
                return Ok((place, Some(stat)));
            }
            FileType::Symlink => path = follow(&place, &path)?,
            file_type => {
                check_regular(file_type, &path)?;
                return Ok((place, Some(stat)));
            }
        }
    }
    Err(failure(Errno::LOOP, &request.target.path))
}

/// The path that the link at `place`, known as `path`, stands for.
fn follow(place: &Place, path: &[u8]) -> Result<Vec<u8>, Failure> {
    let target = rustix::fs::readlinkat(&place.directory, &place.name, Vec::new())
        .map_err(|errno| failure(errno, path))?
        .into_bytes();
    let next = match split(path) {
        Some((directory, _)) if !target.starts_with(b"/") => [directory, b"/", &target].concat(),
        _ => target,
    };
    if next.len() > PATH_MAX {
        return Err(failure(Errno::NAMETOOLONG, path));
    }
    Ok(next)
}

fn make_parents(base: &Base, path: &[u8]) -> Result<(), Failure> {
    match split(path) {
        Some((directory, _)) => tree::make_directories(base, directory),
        None => Ok(()),
    }
}
