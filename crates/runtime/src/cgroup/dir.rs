//! A directory of a cgroup file system, held open: everything below is reached relative to its descriptor, so it
//! stays reachable when the mount is gone from the caller's mount namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// Longest kernel file that is read whole. The longest one used, `memory.stat`, has about 2 KiB.
const FILE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    /// Where it was opened, for messages only.
    path: PathBuf,
}

impl Dir {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let fd = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|source| Error::Io { action: "open", path: path.to_owned(), source })?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(super) fn open_child(&self, name: &str) -> Result<Self, Error> {
        let fd = self.open_file("open", name, OFlags::DIRECTORY | OFlags::RDONLY)?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Makes a child directory; `false` when it was there already.
    pub(super) fn make(&self, name: &str) -> Result<bool, Error> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(source) => Err(self.error("make", name, source)),
        }
    }

    /// Removes a child group. It has to be empty of processes and groups; its files go with it.
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::accessat(&self.fd, name, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// Names of the child directories, in no order.
    pub(super) fn children(&self) -> Result<Vec<String>, Error> {
        let listing =
            rustix::fs::Dir::read_from(&self.fd).map_err(|source| self.error("list", "", source))?;
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry.map_err(|source| self.error("list", "", source))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let is_dir = match entry.file_type() {
                rustix::fs::FileType::Directory => true,
                rustix::fs::FileType::Unknown => {
                    rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
                        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
                    })
                }
                _ => false,
            };
            if is_dir && name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The text of a file, at most [`FILE_BYTES_MAX`] of it.
    pub(super) fn read(&self, file: &str) -> Result<String, Error> {
        let fd = self.open_file("open", file, OFlags::RDONLY)?;
        let mut content = Vec::new();
        let mut chunk = [0_u8; 4096];
        while content.len() < FILE_BYTES_MAX {
            match rustix::io::read(&fd, &mut chunk) {
                Ok(0) => break,
                Ok(count) => content.extend_from_slice(&chunk[..count]),
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.error("read", file, source)),
            }
        }
        String::from_utf8(content).map_err(|error| Error::Malformed {
            path: self.path.join(file),
            content: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            expected: "text",
        })
    }

    /// The number that a file holds; `None` for `max`, the kernel's word for no limit.
    pub(super) fn read_number(&self, file: &str) -> Result<Option<u64>, Error> {
        let text = self.read(file)?;
        match text.trim() {
            "max" => Ok(None),
            number => number.parse().map(Some).map_err(|_| self.malformed(file, number, "a number")),
        }
    }

    /// The value after `key` in a file of `key value` lines, `None` when no line has the key.
    pub(super) fn read_keyed(&self, file: &str, key: &str) -> Result<Option<u64>, Error> {
        let text = self.read(file)?;
        let Some(value) = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')) else {
            return Ok(None);
        };
        value.trim().parse().map(Some).map_err(|_| self.malformed(file, value, "a number"))
    }

    /// Hands `value` to the kernel in one write, as its files demand.
    pub(super) fn write(&self, file: &str, value: &str) -> Result<(), Error> {
        let fd = self.open_file("open", file, OFlags::WRONLY)?;
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes()))
            .map_err(|source| self.error("write to", file, source))?;
        if written == value.len() { Ok(()) } else { Err(self.error("write to", file, Errno::IO)) }
    }

    pub(super) fn open_file(
        &self,
        action: &'static str,
        file: &str,
        flags: OFlags,
    ) -> Result<OwnedFd, Error> {
        rustix::fs::openat(&self.fd, file, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|source| self.error(action, file, source))
    }

    pub(super) fn error(&self, action: &'static str, name: &str, source: Errno) -> Error {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        Error::Io { action, path, source }
    }

    fn malformed(&self, file: &str, content: &str, expected: &'static str) -> Error {
        Error::Malformed { path: self.path.join(file), content: content.to_owned(), expected }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
