//! `/dev`: the few devices that programs expect, and nothing of the host's.
//!
//! A user namespace may not make device nodes, so those of the host are bound one by one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::mount::MountAttrFlags;

use crate::error::{At, SetupError, Step};
use crate::filesystem::{INERT, MountOption, attach_onto, copy_of, mount, real_directory};
use crate::sys;

const STEP: Step = Step::Devices;

/// Harmless devices: none of them keeps state that another sandbox could see.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Names that programs expect, and what they stand for. `ptmx` is the sandbox's own instance of devpts.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Files that a tenant may make in `/dev` itself, such as sockets, take this much memory at most.
const DEV_SIZE: &str = "size=1m";

/// The group `tty` of every Linux distribution, which terminals belong to.
const TTY_GROUP: &str = "5";

/// Mounts and fills `/dev` beneath `root`. `/dev/shm` may take half of the sandbox's memory, like on a Linux host.
pub(super) fn populate(root: &OwnedFd, memory_bytes: u64) -> Result<(), SetupError> {
    let at = real_directory(STEP, root, Path::new("/dev"), 0o755)?;
    let (_, size) = DEV_SIZE.split_once('=').unwrap_or_default();
    let options = [MountOption::Pair("mode", "755"), MountOption::Pair("size", size)];
    let no_programs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = mount(STEP, "tmpfs", &options, no_programs)?;
    attach_onto(STEP, &dev, &at, "/dev")?;

    for name in DEVICES {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let place = openat(&dev, name, flags, Mode::from_raw_mode(0o666)).at(STEP, "create", name)?;
        let device = copy_of(STEP, &Path::new("/dev").join(name))?;
        sys::mount::add_flags(&device, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC).at(
            STEP,
            "mount_setattr",
            name,
        )?;
        attach_onto(STEP, &device, &place, name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).at(STEP, "symlink", name)?;
    }

    let terminals = [
        MountOption::Flag("newinstance"),
        MountOption::Pair("ptmxmode", "0666"),
        MountOption::Pair("mode", "0620"),
        MountOption::Pair("gid", TTY_GROUP),
    ];
    mount_directory(&dev, "pts", mount(STEP, "devpts", &terminals, no_programs)?)?;
    let half = (memory_bytes / 2).to_string();
    let shared = [MountOption::Pair("mode", "1777"), MountOption::Pair("size", &half)];
    mount_directory(&dev, "shm", mount(STEP, "tmpfs", &shared, INERT)?)
}

fn mount_directory(dev: &OwnedFd, name: &str, mounted: OwnedFd) -> Result<(), SetupError> {
    mkdirat(dev, name, Mode::from_raw_mode(0o755)).at(STEP, "mkdir", name)?;
    let place = openat(dev.as_fd(), name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(STEP, "open", name)?;
    attach_onto(STEP, &mounted, &place, name)
}
