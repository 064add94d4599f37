//! The entries of a directory: `List`.

use std::ffi::CStr;

use lazaret_protocol::{Entry, List};
use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::batch::Batch;
use super::errors::failure;
use super::metadata;
use super::place::Base;
use crate::connection::Connection;
use crate::request::Stop;

/// Answers the request.
pub(crate) fn run(connection: &mut Connection, request: &List) -> Result<(), Stop> {
    let target = &request.target;
    as_user(target.user.as_deref(), || list(connection, request))
}

fn list(connection: &mut Connection, request: &List) -> Result<(), Stop> {
    let path = &request.target.path;
    let base = Base::of(&request.target)?;
    let directory = base.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut batch = Batch::new(connection, request.limit);
    for entry in Dir::read_from(&directory).map_err(|errno| failure(errno, path))? {
        let entry = entry.map_err(|errno| failure(errno, path))?;
        let name = entry.file_name();
        if is_dot(name) {
            continue;
        }
        let metadata = match metadata::of_entry(&directory, name) {
            Ok(metadata) => metadata,
            // Removed since it was listed.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(failure(errno, name.to_bytes()).into()),
        };
        if !batch.push(Entry { path: name.to_bytes().into(), metadata })? {
            return Ok(batch.finish(true)?);
        }
    }
    Ok(batch.finish(false)?)
}

/// The two entries that every directory has.
pub(super) fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
