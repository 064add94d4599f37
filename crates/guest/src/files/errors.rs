//! What the kernel's error numbers mean to a caller.

use lazaret_protocol::{ErrorKind, Failure};
use rustix::io::Errno;

/// The failure of a call on `path`.
pub(super) fn failure(errno: Errno, path: &[u8]) -> Failure {
    let (kind, sentence) = match errno {
        Errno::NOENT => (ErrorKind::NotFound, "no such file or directory"),
        Errno::EXIST => (ErrorKind::AlreadyExists, "it exists already"),
        Errno::ACCESS | Errno::PERM => (ErrorKind::PermissionDenied, "permission denied"),
        Errno::NOTDIR => (ErrorKind::NotADirectory, "a part of the path is not a directory"),
        Errno::ISDIR => (ErrorKind::IsADirectory, "it is a directory"),
        Errno::NOTEMPTY => (ErrorKind::DirectoryNotEmpty, "the directory is not empty"),
        // What opening a socket, or a FIFO that nobody reads, answers.
        Errno::NXIO | Errno::NODEV => return not_regular(path),
        Errno::LOOP => (ErrorKind::SymlinkLoop, "too many symbolic links, or one that is not followed"),
        Errno::NOSPC | Errno::DQUOT => (ErrorKind::NoSpace, "no space left in the sandbox"),
        Errno::NAMETOOLONG => (ErrorKind::NameTooLong, "a name is too long"),
        Errno::ROFS => (ErrorKind::ReadOnly, "the file system is read-only"),
        Errno::XDEV => (ErrorKind::CrossDevice, "the names are on different file systems"),
        // A directory that is to be moved into itself, and one that something is mounted on.
        Errno::INVAL => (ErrorKind::BadPath, "the path is none that this can be done with"),
        Errno::BUSY => (ErrorKind::BadPath, "something is mounted there"),
        Errno::FBIG => (ErrorKind::FileTooLarge, "the file would be too large"),
        Errno::NOMEM | Errno::MFILE | Errno::NFILE => {
            (ErrorKind::OutOfMemory, "out of memory or descriptors")
        }
        _ => (ErrorKind::Other, "the operation failed"),
    };
    Failure::new(kind, sentence).with_errno(errno.raw_os_error()).with_path(path)
}

/// The failure of resolving `path` beneath a root: a link and a way out of the root are one thing there.
pub(super) fn failure_beneath(errno: Errno, path: &[u8]) -> Failure {
    match errno {
        Errno::LOOP | Errno::XDEV => {
            Failure::new(ErrorKind::Escapes, "the path goes through a link or out of its root")
                .with_errno(errno.raw_os_error())
                .with_path(path)
        }
        errno => failure(errno, path),
    }
}

/// A FIFO, socket or device where a file was wanted.
pub(super) fn not_regular(path: &[u8]) -> Failure {
    Failure::new(ErrorKind::NotARegularFile, "it is not a regular file").with_path(path)
}

/// A path that no file can have.
pub(super) fn bad_path(sentence: &'static str, path: &[u8]) -> Failure {
    // The path itself may be too long to repeat.
    Failure::new(ErrorKind::BadPath, sentence).with_path(path.get(..path.len().min(256)).unwrap_or_default())
}
