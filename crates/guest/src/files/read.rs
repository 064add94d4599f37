//! The contents of a file: `Read`.

use std::os::fd::OwnedFd;

use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{GuestKind, GuestMessage, HEADER_BYTES, Header, Read};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::acting::as_user;
use super::errors::failure;
use super::metadata;
use super::place::Base;
use crate::connection::{Connection, Lost};
use crate::request::Stop;

/// Answers the request.
pub(crate) fn run(connection: &mut Connection, request: &Read) -> Result<(), Stop> {
    let path = &request.target.path;
    as_user(request.target.user.as_deref(), || {
        let file = Base::of(&request.target)?.open_file(path, OFlags::RDONLY, Mode::empty())?;
        let metadata = metadata::of(&file).map_err(|errno| failure(errno, path))?;
        connection.queue(&GuestMessage::Metadata(metadata))?;
        stream(connection, &file, request)
    })
}

fn stream(connection: &mut Connection, file: &OwnedFd, request: &Read) -> Result<(), Stop> {
    let mut offset = request.offset;
    let mut left = request.len.unwrap_or(u64::MAX);
    // The payload is read to where its frame needs it, so a byte is copied once on its way through the guest.
    let mut frame = vec![0; HEADER_BYTES + DATA_MAX];
    loop {
        let Some((header, payload)) = frame.split_first_chunk_mut::<HEADER_BYTES>() else {
            return Err(Lost.into());
        };
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(payload.len());
        let payload = payload.get_mut(..wanted).unwrap_or_default();
        let read = match rustix::io::pread(file, payload, offset) {
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            // An offset that no file can have is past the end of this one.
            Err(Errno::INVAL) if i64::try_from(offset).is_err() => 0,
            Err(errno) => return Err(failure(errno, &request.target.path).into()),
        };
        if read == 0 {
            return Ok(connection.send(&GuestMessage::Done)?);
        }
        *header = Header::new(GuestKind::Data, read).map_err(Lost::from)?.encode();
        connection.send_frames(frame.get(..HEADER_BYTES + read).unwrap_or_default())?;
        offset = offset.saturating_add(read as u64);
        left = left.saturating_sub(read as u64);
    }
}
