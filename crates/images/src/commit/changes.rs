//! An upper of overlayfs as a layer of an image.
//!
//! | In the upper (overlayfs(5), mounted with `userxattr`) | In the layer |
//! | --- | --- |
//! | a character device 0:0 | `.wh.name` |
//! | a directory with `user.overlay.opaque` = `y` | the directory, and `.wh..wh..opq` in it |
//! | another directory | the directory: what the layers below have in it shows through |
//! | files, symlinks, hard links, FIFOs | as they are, with owner, mode, time and `user.` attributes |
//! | sockets | left out: nobody listens there any more |
//! | `etc/hostname`, `etc/hosts`, `etc/resolv.conf` | left out: each sandbox is given its own at its first start |
//!
//! The upper was written by a tenant and nobody writes to it any more. Every name is opened beneath its directory's
//! descriptor and never through a symlink, and only what is a regular file or a directory is opened.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec};
use rustix::io::Errno;

use super::archive::{Kind, Member, Writer};
use crate::unpack::layer::printable;
use crate::unpack::limits::{Exceeded, UnpackLimits};
use crate::unpack::path::{EntryPath, PathError};

/// What overlayfs keeps for itself.
const OVERLAY_PREFIX: &[u8] = b"user.overlay.";
const OVERLAY_OPAQUE: &str = "user.overlay.opaque";

/// How a layer hides a name, and everything in a directory.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Files that the runtime writes into every fresh sandbox.
const OWN_FILES: [&[u8]; 3] = [b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"];

/// Largest list of names and largest value of extended attributes: the kernel's own bounds.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// An extended attribute: its name and its value.
type Attribute = (Vec<u8>, Vec<u8>);

/// Why an upper did not become a layer.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Something in it cannot be in an image, or cannot be read.
    #[error("{name} cannot be in an image")]
    Entry {
        /// Its name, with what is not printable escaped.
        name: String,
        /// Why.
        #[source]
        problem: EntryProblem,
    },
    /// There is too much of it.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The layer could not be handed on.
    #[error("the layer cannot be written")]
    Write(#[source] io::Error),
}

/// What is wrong with an entry of an upper.
#[derive(Debug, thiserror::Error)]
pub enum EntryProblem {
    /// Its name cannot be used in an image.
    #[error(transparent)]
    Name(#[from] PathError),
    /// Its name would hide another one.
    #[error("its name begins with \".wh.\", by which a layer hides a file")]
    Marker,
    /// The kernel refused to read it.
    #[error("{call} failed")]
    Call {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Writes the layer that an upper is. The same upper is always the same layer: names come in their order.
///
/// # Errors
/// [`ChangesError`].
pub(super) fn write(upper: &OwnedFd, out: impl Write, limits: UnpackLimits) -> Result<(), ChangesError> {
    let mut walk = Walk {
        archive: Writer::new(out),
        limits,
        entries: 0,
        name_bytes: 0,
        linked: HashMap::new(),
        attributes: vec![0; XATTR_BYTES_MAX],
    };
    walk.directory(upper.as_fd(), &EntryPath::ROOT)?;
    walk.archive.finish().map_err(ChangesError::Write)
}

struct Walk<W> {
    archive: Writer<W>,
    limits: UnpackLimits,
    entries: u64,
    /// Of all listings so far: what is in memory is less.
    name_bytes: u64,
    /// First names of files that have several, by inode.
    linked: HashMap<u64, Vec<u8>>,
    /// For lists and values of extended attributes.
    attributes: Vec<u8>,
}

/// The name of an entry in errors.
fn refused(path: &EntryPath, problem: impl Into<EntryProblem>) -> ChangesError {
    ChangesError::Entry { name: printable(path.as_bytes()), problem: problem.into() }
}

fn call<'a>(call: &'static str, path: &'a EntryPath) -> impl Fn(Errno) -> ChangesError + 'a {
    move |errno| refused(path, EntryProblem::Call { call, source: errno.into() })
}

impl<W: Write> Walk<W> {
    /// Writes a directory and everything in it. The depth of the recursion is that of a path of an image, which is bounded.
    fn directory(&mut self, directory: BorrowedFd<'_>, path: &EntryPath) -> Result<(), ChangesError> {
        let stat = rustix::fs::fstat(directory).map_err(call("fstat", path))?;
        let xattrs = self.xattrs(directory, path)?;
        self.put(&Member { xattrs: &xattrs, ..member(path, Kind::Directory, &stat) }, io::empty(), path)?;
        if is_opaque(directory, path)? {
            let marker = path.child(OPAQUE).map_err(|error| refused(path, error))?;
            self.marker(&marker)?;
        }
        for name in self.list(directory, path)? {
            let child = path.child(name.as_bytes()).map_err(|error| refused(path, error))?;
            self.entry(directory, &name, &child)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CString,
        path: &EntryPath,
    ) -> Result<(), ChangesError> {
        let stat =
            rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(call("fstatat", path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            let (parent, name) = path.split().ok_or_else(|| refused(path, EntryProblem::Marker))?;
            let marker = parent.child(&[WHITEOUT, name].concat()).map_err(|error| refused(path, error))?;
            return self.marker(&marker);
        }
        if name.as_bytes().starts_with(WHITEOUT) {
            return Err(refused(path, EntryProblem::Marker));
        }
        let several_names = stat.st_nlink > 1 && kind != FileType::Directory;
        if several_names && let Some(first) = self.linked.get(&stat.st_ino) {
            let first = first.clone();
            let link = Member { link: &first, size: 0, ..member(path, Kind::HardLink, &stat) };
            return self.put(&link, io::empty(), path);
        }
        match kind {
            FileType::Directory => {
                let child = open(directory, name, OFlags::DIRECTORY, path)?;
                return self.directory(child.as_fd(), path);
            }
            FileType::RegularFile if OWN_FILES.contains(&path.as_bytes()) => return Ok(()),
            FileType::RegularFile => {
                let file = open(directory, name, OFlags::NONBLOCK, path)?;
                let xattrs = self.xattrs(file.as_fd(), path)?;
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                if size > self.limits.file_bytes {
                    return Err(Exceeded::FileBytes(self.limits.file_bytes).into());
                }
                let member = Member { size, xattrs: &xattrs, ..member(path, Kind::File, &stat) };
                self.put(&member, File::from(file), path)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new());
                let target = target.map_err(call("readlinkat", path))?;
                let member = Member { link: target.as_bytes(), ..member(path, Kind::Symlink, &stat) };
                self.put(&member, io::empty(), path)?;
            }
            FileType::Fifo => self.put(&member(path, Kind::Fifo, &stat), io::empty(), path)?,
            _ => return Ok(()),
        }
        if several_names {
            self.linked.insert(stat.st_ino, path.as_bytes().to_vec());
        }
        Ok(())
    }

    /// Writes an entry that hides something.
    fn marker(&mut self, path: &EntryPath) -> Result<(), ChangesError> {
        let modified = Timespec { tv_sec: 0, tv_nsec: 0 };
        let name = path.as_bytes();
        let (kind, mode) = (Kind::File, 0o600);
        let member = Member { name, kind, link: b"", mode, uid: 0, gid: 0, size: 0, modified, xattrs: &[] };
        self.put(&member, io::empty(), path)
    }

    fn put(
        &mut self,
        member: &Member<'_>,
        contents: impl io::Read,
        path: &EntryPath,
    ) -> Result<(), ChangesError> {
        let mut contents = Contents { inner: contents, failure: None };
        let written = self.archive.put(member, &mut contents);
        match (written, contents.failure) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(source)) => Err(refused(path, EntryProblem::Call { call: "read", source })),
            (Err(error), None) => Err(ChangesError::Write(error)),
        }
    }

    /// Names in a directory, in order.
    fn list(&mut self, directory: BorrowedFd<'_>, path: &EntryPath) -> Result<Vec<CString>, ChangesError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(call("getdents64", path))? {
            let entry = entry.map_err(call("getdents64", path))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.entries += 1;
            self.name_bytes += name.count_bytes() as u64;
            if self.entries > self.limits.entries {
                return Err(Exceeded::Entries(self.limits.entries).into());
            }
            if self.name_bytes > self.limits.name_bytes {
                return Err(Exceeded::NameBytes(self.limits.name_bytes).into());
            }
            names.push(name.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The attributes that an image keeps.
    fn xattrs(&mut self, file: BorrowedFd<'_>, path: &EntryPath) -> Result<Vec<Attribute>, ChangesError> {
        let length = match rustix::fs::flistxattr(file, &mut self.attributes[..]) {
            Ok(length) => length,
            Err(Errno::NOTSUP) => 0,
            Err(errno) => return Err(call("flistxattr", path)(errno)),
        };
        let is_kept = |name: &&[u8]| name.starts_with(b"user.") && !name.starts_with(OVERLAY_PREFIX);
        let mut names: Vec<Vec<u8>> =
            self.attributes[..length].split(|byte| *byte == 0).filter(is_kept).map(<[u8]>::to_vec).collect();
        names.sort_unstable();
        let mut value = |name: Vec<u8>| {
            let length = rustix::fs::fgetxattr(file, &name[..], &mut self.attributes[..])
                .map_err(call("fgetxattr", path))?;
            Ok((name, self.attributes[..length].to_vec()))
        };
        names.into_iter().map(&mut value).collect()
    }
}

fn member<'a>(path: &'a EntryPath, kind: Kind, stat: &Stat) -> Member<'a> {
    Member {
        name: path.as_bytes(),
        kind,
        link: b"",
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: 0,
        modified: Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) },
        xattrs: &[],
    }
}

/// Opens an entry for reading. Its kind is known, and nobody changes it any more.
fn open(
    directory: BorrowedFd<'_>,
    name: &CString,
    flags: OFlags,
    path: &EntryPath,
) -> Result<OwnedFd, ChangesError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | flags;
    rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(call("openat", path))
}

fn is_opaque(directory: BorrowedFd<'_>, path: &EntryPath) -> Result<bool, ChangesError> {
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(directory, OVERLAY_OPAQUE, &mut value[..]) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(call("fgetxattr", path)(errno)),
    }
}

/// Tells a failure to read contents from one to write them.
struct Contents<R> {
    inner: R,
    failure: Option<io::Error>,
}

impl<R: io::Read> io::Read for Contents<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failure = Some(error);
            }
            kind.into()
        })
    }
}
