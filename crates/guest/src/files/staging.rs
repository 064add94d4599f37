//! A file that has no name until it is complete.
//!
//! Where the file system can (`O_TMPFILE`; ext4, tmpfs, xfs, overlay since Linux 6.1), it has none at all: no listing
//! shows it, and it vanishes with the last descriptor, whatever dies. Elsewhere it has a random one that begins with a
//! dot and is removed when the upload is given up.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use lazaret_protocol::Disposition;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use super::place::Place;

/// Until it is committed, nobody else reads it.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Begins the name of a staging file that must have one.
const NAME_PREFIX: &str = ".lazaret-upload-";

/// A file on its way to `place`.
pub(super) struct Staging<'a> {
    file: OwnedFd,
    place: Place,
    /// `/proc`, by which a file without a name is given one.
    proc: BorrowedFd<'a>,
    /// Its name in the directory of `place`, while it has one of its own.
    name: Option<CString>,
}

impl<'a> Staging<'a> {
    /// An empty file.
    pub(super) fn new(place: Place, proc: &'a OwnedFd) -> rustix::io::Result<Self> {
        let proc = proc.as_fd();
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&place.directory, c".", flags, PRIVATE) {
            Ok(file) => Ok(Self { file, place, proc, name: None }),
            // ISDIR and NOENT are how kernels and file systems without O_TMPFILE may answer.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                let name = random_name()?;
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&place.directory, &name, flags, PRIVATE)?;
                Ok(Self { file, place, proc, name: Some(name) })
            }
            Err(errno) => Err(errno),
        }
    }

    /// For writing.
    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Makes the file appear at its place, in one step.
    pub(super) fn commit(mut self, disposition: Disposition) -> rustix::io::Result<()> {
        match disposition {
            Disposition::Replace => {
                let name = match &self.name {
                    Some(name) => name.clone(),
                    None => {
                        let name = random_name()?;
                        self.link(&name)?;
                        // From here on, giving up means removing it.
                        self.name = Some(name.clone());
                        name
                    }
                };
                let directory = &self.place.directory;
                rustix::fs::renameat(directory, &name, directory, &self.place.name)?;
                self.name = None;
                Ok(())
            }
            Disposition::CreateNew | Disposition::Append => match self.name.take() {
                None => self.link(&self.place.name),
                Some(name) => {
                    let directory = &self.place.directory;
                    let to = &self.place.name;
                    let renamed =
                        rustix::fs::renameat_with(directory, &name, directory, to, RenameFlags::NOREPLACE);
                    if renamed.is_err() {
                        self.name = Some(name);
                    }
                    renamed
                }
            },
        }
    }

    fn link(&self, name: &CString) -> rustix::io::Result<()> {
        let old = format!("self/fd/{}", self.file.as_raw_fd());
        rustix::fs::linkat(self.proc, old, &self.place.directory, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nothing more can be done about a name that cannot be removed.
            let _ = rustix::fs::unlinkat(&self.place.directory, name, AtFlags::empty());
        }
    }
}

/// A name for what is not complete yet.
pub(super) fn random_name() -> rustix::io::Result<CString> {
    let mut bytes = [0; 8];
    let filled = rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
    if filled != bytes.len() {
        return Err(Errno::IO);
    }
    let name = format!("{NAME_PREFIX}{:016x}", u64::from_ne_bytes(bytes));
    CString::new(name).map_err(|_| Errno::INVAL)
}
