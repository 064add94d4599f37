//! One file, looked at: `Stat` and `Readlink`.

use lazaret_protocol::guest_message::Link;
use lazaret_protocol::{ErrorKind, Failure, GuestMessage, Metadata, Readlink, Stat};
use rustix::fs::OFlags;

use super::acting::as_user;
use super::errors::{bad_path, failure};
use super::metadata;
use super::place::Base;
use crate::connection::Connection;
use crate::request::Stop;

/// Answers `Stat`.
pub(crate) fn stat(connection: &mut Connection, request: &Stat) -> Result<(), Stop> {
    let target = &request.target;
    let metadata = as_user(target.user.as_deref(), || {
        let base = Base::of(target)?;
        if request.follow && base.is_confined() {
            return Err(bad_path("beneath a root no link is followed", &target.path));
        }
        look(&base, &target.path, request.follow)
    })?;
    Ok(connection.send(&GuestMessage::Metadata(metadata))?)
}

/// Answers `Readlink`.
pub(crate) fn readlink(connection: &mut Connection, request: &Readlink) -> Result<(), Stop> {
    let target = &request.target;
    let metadata = as_user(target.user.as_deref(), || look(&Base::of(target)?, &target.path, false))?;
    let points_to = metadata.link_target.ok_or_else(|| {
        Failure::new(ErrorKind::BadPath, "it is not a symbolic link").with_path(target.path.clone())
    })?;
    Ok(connection.send(&GuestMessage::Link(Link { points_to }))?)
}

fn look(base: &Base, path: &[u8], follow: bool) -> Result<Metadata, Failure> {
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !follow);
    let file = base.open(path, flags)?;
    metadata::of(&file).map_err(|errno| failure(errno, path))
}
