//! Where a path leads: the only code that resolves one.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lazaret_protocol::limits::PATH_MAX;
use lazaret_protocol::{ErrorKind, Failure, Target};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::errors::{bad_path, failure, failure_beneath, not_regular};

/// How often a resolution is tried again that the kernel gave up because something was renamed meanwhile. A tenant who
/// renames all the time gets the error.
const RENAME_RETRIES: usize = 32;

/// What paths of one request are resolved against.
pub(super) struct Base {
    /// `None` is the whole sandbox.
    root: Option<OwnedFd>,
}

/// A name in a directory. The name may not exist yet, and is not followed if it is a link.
pub(super) struct Place {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// One component, neither `.` nor `..`.
    pub(super) name: CString,
}

impl Base {
    /// The base of a target. The root itself may be reached through links, as the host's word for it.
    pub(super) fn of(target: &Target) -> Result<Self, Failure> {
        let Some(root) = &target.beneath else { return Ok(Self { root: None }) };
        check_path(root)?;
        if !root.starts_with(b"/") {
            return Err(bad_path("the root is not absolute", root));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open_at(CWD, root, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
        Ok(Self { root: Some(opened.map_err(|errno| failure(errno, root))?) })
    }

    /// Whether links are never followed.
    pub(super) fn is_confined(&self) -> bool {
        self.root.is_some()
    }

    /// Opens what `path` leads to.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Failure> {
        self.open_with_mode(path, flags, Mode::empty())
    }

    /// Opens what `path` leads to, or creates it if `flags` say so.
    pub(super) fn open_with_mode(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
        check_path(path)?;
        let flags = flags | OFlags::CLOEXEC;
        match &self.root {
            None if !path.starts_with(b"/") => Err(bad_path("the path is not absolute", path)),
            None => open_at(CWD, path, flags, mode, ResolveFlags::NO_MAGICLINKS)
                .map_err(|errno| failure(errno, path)),
            Some(_) if path.starts_with(b"/") => {
                Err(bad_path("the path is absolute, beneath a root it is relative", path))
            }
            Some(root) => {
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                open_at(root.as_fd(), path, flags, mode, resolve)
                    .map_err(|errno| failure_beneath(errno, path))
            }
        }
    }

    /// The regular file that `path` leads to.
    ///
    /// # Errors
    /// `IsADirectory`, `NotARegularFile`; never waits for the other side of a FIFO.
    pub(super) fn open_file(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
        let file = self.open_with_mode(path, flags | OFlags::NONBLOCK | OFlags::NOCTTY, mode)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| failure(errno, path))?;
        check_regular(FileType::from_raw_mode(stat.st_mode), path)?;
        Ok(file)
    }

    /// The directory in which `path` names something, and the name.
    pub(super) fn place(&self, path: &[u8]) -> Result<Place, Failure> {
        check_path(path)?;
        let (directory, name) = split(path).ok_or_else(|| bad_path("the path names no entry", path))?;
        let directory = self.open(directory, OFlags::PATH | OFlags::DIRECTORY)?;
        let name = CString::new(name).map_err(|_| bad_path("the path holds a NUL byte", path))?;
        Ok(Place { directory, name })
    }
}

/// Refuses a file that is read or written but is none.
pub(super) fn check_regular(file_type: FileType, path: &[u8]) -> Result<(), Failure> {
    match file_type {
        FileType::RegularFile => Ok(()),
        FileType::Directory => {
            Err(Failure::new(ErrorKind::IsADirectory, "it is a directory").with_path(path))
        }
        _ => Err(not_regular(path)),
    }
}

/// The directory part of a path, as a path, and the last name; `None` when the last part is no name.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let path = path.get(..end)?;
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (b"/".as_slice(), path.get(1..)?),
        Some(slash) => path.split_at_checked(slash).and_then(|(dir, rest)| Some((dir, rest.get(1..)?)))?,
        None => (b".".as_slice(), path),
    };
    (name != b"." && name != b"..").then_some((directory, name))
}

fn check_path(path: &[u8]) -> Result<(), Failure> {
    if path.is_empty() {
        return Err(bad_path("the path is empty", path));
    }
    if path.contains(&0) {
        return Err(bad_path("the path holds a NUL byte", path));
    }
    if path.len() > PATH_MAX {
        let cut = path.get(..256).unwrap_or_default();
        return Err(Failure::new(ErrorKind::NameTooLong, "the path is too long").with_path(cut));
    }
    Ok(())
}

fn open_at(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(directory, path, flags, mode, resolve) {
            Err(Errno::AGAIN) if tries < RENAME_RETRIES => tries += 1,
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_into_directory_and_name() {
        for (path, want) in [
            ("/a", Some(("/", "a"))),
            ("/a/b", Some(("/a", "b"))),
            ("/a/b//", Some(("/a", "b"))),
            ("//a", Some(("/", "a"))),
            ("a", Some((".", "a"))),
            ("a/b", Some(("a", "b"))),
            ("a/../b", Some(("a/..", "b"))),
            ("/", None),
            ("//", None),
            ("", None),
            (".", None),
            ("/a/..", None),
            ("/a/./", None),
        ] {
            let got = split(path.as_bytes());
            let want = want.map(|(dir, name): (&str, &str)| (dir.as_bytes(), name.as_bytes()));
            assert_eq!(got, want, "{path}");
        }
    }

    #[test]
    fn paths_that_no_file_can_have_are_refused() {
        let long = vec![b'a'; PATH_MAX + 1];
        for (path, want) in [
            (b"".as_slice(), ErrorKind::BadPath),
            (b"/a\0b", ErrorKind::BadPath),
            (b"relative", ErrorKind::BadPath),
            (&long, ErrorKind::NameTooLong),
        ] {
            let base = Base { root: None };
            let got = base.open(path, OFlags::PATH).map(drop).map_err(|failure| failure.kind);
            assert_eq!(got, Err(want));
        }
    }
}
