//! Doing something in another namespace and coming back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Result;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Opens a namespace by its link in `/proc`, or by a file that it is mounted on.
pub(super) fn open_namespace(path: impl rustix::path::Arg) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// A kind of namespace, and the one of it that this process is at home in.
#[derive(Debug)]
pub(super) struct Home {
    kind: LinkNameSpaceType,
    namespace: OwnedFd,
}

impl Home {
    /// Of the network.
    pub(super) fn network() -> Result<Self> {
        Ok(Self { kind: LinkNameSpaceType::Network, namespace: open_namespace("/proc/self/ns/net")? })
    }

    /// Of mounts.
    pub(super) fn mounts() -> Result<Self> {
        Ok(Self { kind: LinkNameSpaceType::Mount, namespace: open_namespace("/proc/self/ns/mnt")? })
    }

    /// Does `work` in `there`. This process has one thread, so nobody else is moved.
    ///
    /// # Errors
    /// Those of setns(2), and what `work` fails with.
    pub(super) fn visit<T>(&self, there: BorrowedFd<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        move_into_link_name_space(there, Some(self.kind))?;
        let result = work();
        self.come_back();
        result
    }

    /// The namespace itself.
    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// For a process that has moved by itself.
    pub(super) fn come_back(&self) {
        if let Err(errno) = move_into_link_name_space(self.namespace.as_fd(), Some(self.kind)) {
            // What comes next would be done to the wrong network or mounts.
            eprintln!("lazaret spawner: cannot come back from another namespace: {errno}");
            std::process::exit(1);
        }
    }
}
