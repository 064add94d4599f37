//! `/sys`: read-only, and only the parts that programs look at.
//!
//! A list of what is shown instead of what is hidden, because sysfs tells about every device of the host: its serial
//! numbers (`firmware`, `class/dmi`), and through `block/loop*/loop/backing_file` the path of every neighbour's disk.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use crate::error::{At, SetupError, Step};
use crate::filesystem::{INERT, MountOption, attach, attach_onto, copy_of, mount, real_directory};
use crate::layout::tree;
use crate::sys;

const STEP: Step = Step::Sysfs;

/// Subtrees that are shown: processors and memory nodes (thread pools size themselves by these), the network devices
/// of the sandbox's own namespace, and huge page settings (allocators and databases read them).
pub(super) const SHOWN: [&str; 5] = [
    "class/net",
    "devices/system/cpu",
    "devices/system/node",
    "devices/virtual/net",
    "kernel/mm/transparent_hugepage",
];

/// A directory per shown subtree and its parents fits into much less.
const SYS_SIZE: &str = "64k";

/// Mounts `/sys` beneath `root`.
pub(super) fn mount_allowed(root: &OwnedFd) -> Result<(), SetupError> {
    let at = real_directory(STEP, root, Path::new("/sys"), 0o555)?;
    let shell = [MountOption::Pair("mode", "755"), MountOption::Pair("size", SYS_SIZE)];
    let shell = mount(STEP, "tmpfs", &shell, INERT)?;
    attach_onto(STEP, &shell, &at, "/sys")?;
    // A subtree can be copied out of a mount that is attached; the stage goes with the old root.
    attach(STEP, mount(STEP, "sysfs", &[], INERT)?, Path::new(tree::STAGE))?;
    for path in SHOWN {
        let subtree = match copy_of(STEP, &Path::new(tree::STAGE).join(path)) {
            Err(error) if error.errno == Errno::NOENT => continue,
            other => other?,
        };
        let flags = libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC;
        sys::mount::add_flags(&subtree, flags).at(STEP, "mount_setattr", path)?;
        let place = make_parents(&shell, path)?;
        attach_onto(STEP, &subtree, &place, path)?;
    }
    sys::mount::set_read_only(&shell).at(STEP, "mount_setattr", "/sys")
}

/// The directory at `path` in the empty tree, made with its parents.
fn make_parents(shell: &OwnedFd, path: &str) -> Result<OwnedFd, SetupError> {
    let path = Path::new(path);
    let mut parents: Vec<&Path> = path.ancestors().filter(|parent| !parent.as_os_str().is_empty()).collect();
    parents.reverse();
    for parent in parents {
        match mkdirat(shell, parent, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => {}
            other => other.at(STEP, "mkdir", parent)?,
        }
    }
    real_directory(STEP, shell, path, 0o755)
}
