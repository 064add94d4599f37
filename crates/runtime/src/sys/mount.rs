//! `mount_setattr`, which rustix does not have yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Result;

use super::check;

/// Shows the files of a detached mount with the ids of a user namespace: id N on disk is id N inside.
///
/// # Errors
/// `EINVAL` if the file system or the kernel does not know idmapped mounts, or the mount is not detached.
pub(crate) fn idmap(mount: impl AsFd, user_namespace: BorrowedFd<'_>) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::from(user_namespace.as_raw_fd().cast_unsigned()),
    };
    set_attributes(mount, attributes, Depth::ThisMount)
}

/// Takes the right to write through a mount away for good, as far as this mount namespace is concerned.
///
/// # Errors
/// Those of mount_setattr(2).
pub(crate) fn set_read_only(mount: impl AsFd) -> Result<()> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set_attributes(mount, attributes, Depth::ThisMount)
}

/// Adds attribute flags (`libc::MOUNT_ATTR_*`) to a mount.
///
/// # Errors
/// Those of mount_setattr(2).
pub(crate) fn add_flags(mount: impl AsFd, flags: u64) -> Result<()> {
    let attributes = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set_attributes(mount, attributes, Depth::ThisMount)
}

/// Cuts a tree of mounts off from the propagation of mounts in either direction.
///
/// # Errors
/// Those of mount_setattr(2).
pub(crate) fn make_private(mount: impl AsFd) -> Result<()> {
    let attributes =
        libc::mount_attr { attr_set: 0, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    set_attributes(mount, attributes, Depth::WholeTree)
}

/// How far a change of attributes reaches.
#[derive(Clone, Copy)]
enum Depth {
    ThisMount,
    WholeTree,
}

fn set_attributes(mount: impl AsFd, attributes: libc::mount_attr, depth: Depth) -> Result<()> {
    let flags = match depth {
        Depth::ThisMount => libc::AT_EMPTY_PATH,
        Depth::WholeTree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    // SAFETY: the path is an empty C string, which with AT_EMPTY_PATH means the descriptor itself, and the descriptor
    // is open for as long as `mount` is borrowed. `attributes` is initialised, has the size given and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    check(result).map(drop)
}
