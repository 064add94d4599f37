//! `/proc`: fresh for the sandbox's PID namespace, without what tells about or acts on the host.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

use crate::error::{At, SetupError, Step};
use crate::filesystem::{INERT, attach_onto, copy_beneath, copy_of, mount, open_beneath, real_directory};
use crate::layout::tree;
use crate::sys;

const STEP: Step = Step::Proc;

/// What reads as empty: memory and keys of the host, its hardware, timers and workload. The list is that of the OCI
/// runtimes' defaults, and what has shown up in a `/proc` of theirs as a leak since.
pub(super) const MASKED: [&str; 17] = [
    "acpi",
    "asound",
    "fs",
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "modules",
    "sched_debug",
    "scsi",
    "softirqs",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];

/// All groups that exist inside; the kernel refuses others.
const PING_GROUPS: &str = "0 65535";

/// What can be read and not written: settings of the kernel.
pub(super) const READ_ONLY: [&str; 4] = ["bus", "irq", "sys", "sysrq-trigger"];

/// Mounts `/proc` beneath `root`.
pub(super) fn mount_masked(root: &OwnedFd) -> Result<(), SetupError> {
    let at = real_directory(STEP, root, Path::new("/proc"), 0o555)?;
    let proc = mount(STEP, "proc", &[], INERT)?;
    attach_onto(STEP, &proc, &at, "/proc")?;
    allow_ping(&proc)?;
    for name in READ_ONLY {
        let Some(place) = find(&proc, name)? else { continue };
        let same = copy_beneath(STEP, &proc, name)?;
        sys::mount::add_flags(&same, libc::MOUNT_ATTR_RDONLY).at(STEP, "mount_setattr", name)?;
        attach_onto(STEP, &same, &place, name)?;
    }
    for name in MASKED {
        let Some(place) = find(&proc, name)? else { continue };
        mask(&place, name)?;
    }
    Ok(())
}

/// Lets every group of the sandbox send echo requests without a raw socket, in its own network namespace. `ping` needs no
/// capability then.
fn allow_ping(proc: &OwnedFd) -> Result<(), SetupError> {
    const SETTING: &str = "sys/net/ipv4/ping_group_range";
    match open_beneath(proc, Path::new(SETTING), OFlags::WRONLY | OFlags::NOFOLLOW) {
        // A kernel without IPv4 has nobody to ping.
        Err(Errno::NOENT) => Ok(()),
        file => {
            let file = file.at(STEP, "open", SETTING)?;
            rustix::io::write(&file, PING_GROUPS.as_bytes()).at(STEP, "write", SETTING).map(drop)
        }
    }
}

/// What is there under this name; not every kernel has everything.
fn find(proc: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, SetupError> {
    match open_beneath(proc, Path::new(name), OFlags::PATH | OFlags::NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some).at(STEP, "open", name),
    }
}

/// Covers a file with the null device and a directory with an empty one.
fn mask(place: &OwnedFd, name: &str) -> Result<(), SetupError> {
    let kind = FileType::from_raw_mode(fstat(place).at(STEP, "fstat", name)?.st_mode);
    let cover = if kind == FileType::Directory { tree::EMPTY } else { "/dev/null" };
    let cover = copy_of(STEP, Path::new(cover))?;
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
    sys::mount::add_flags(&cover, flags).at(STEP, "mount_setattr", name)?;
    attach_onto(STEP, &cover, place, name)
}
