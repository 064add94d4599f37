//! A connection to a guest.
//!
//! The server connects by the path of the socket that the spawner bound, in a directory that only root enters. So the
//! peer is the guest: a tenant has no path to put another socket at.

use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::error::Error;
use crate::layout::SOCKET;

/// The socket in an open directory by a path that fits into a socket's address, whatever the directory's own path.
pub(crate) fn short_path(directory: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_fd().as_raw_fd()))
}

/// Connects to the socket in a sandbox's directory.
///
/// # Errors
/// [`Error::File`]: `NotFound` or `ConnectionRefused` if no guest listens.
pub(crate) async fn connect(directory: &Path) -> Result<UnixStream, Error> {
    use rustix::fs::{Mode, OFlags, open};
    let open = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::file("open", directory)(errno.into()))?;
    UnixStream::connect(short_path(&open)).await.map_err(Error::file("connect to", directory.join(SOCKET)))
}
