//! From `stat` to the protocol's words.

use std::os::fd::AsFd;

use lazaret_protocol::{ByteString, FileKind, Metadata};
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::path::Arg;

/// Bits of `st_mode` that are permissions.
const PERMISSIONS: u32 = 0o7777;

/// Metadata of an open file, which may be a link opened as itself.
pub(super) fn of(fd: impl AsFd) -> rustix::io::Result<Metadata> {
    let stat = rustix::fs::fstat(&fd)?;
    let mut metadata = from_stat(&stat);
    if metadata.kind == FileKind::Symlink {
        metadata.link_target = read_link(&fd, c"");
    }
    Ok(metadata)
}

/// Metadata of an entry of a directory; links are not followed.
pub(super) fn of_entry(directory: impl AsFd, name: &std::ffi::CStr) -> rustix::io::Result<Metadata> {
    let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut metadata = from_stat(&stat);
    if metadata.kind == FileKind::Symlink {
        metadata.link_target = read_link(&directory, name);
    }
    Ok(metadata)
}

/// Metadata of what an entry of a directory leads to.
pub(super) fn of_followed(directory: impl AsFd, name: &std::ffi::CStr) -> rustix::io::Result<Metadata> {
    Ok(from_stat(&rustix::fs::statat(&directory, name, AtFlags::empty())?))
}

fn read_link(directory: impl AsFd, name: impl Arg) -> Option<ByteString> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new()).ok()?;
    Some(target.into_bytes().into())
}

fn from_stat(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => FileKind::Device,
    };
    Metadata {
        kind,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & PERMISSIONS,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime_s: stat.st_mtime,
        mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        inode: stat.st_ino,
        link_target: None,
    }
}
