//! What a sandbox's root is made of: the mount API, overlayfs, ext4, idmapped mounts, loop devices, mkfs.ext4.
//!
//! File systems are tried as detached mounts, which no mount namespace ever shows.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsmount, fsopen, open_tree,
};

use super::{Finding, Subject};
use crate::sys::namespace_holder::NamespaceHolder;

/// Ids of the namespace that mounts are tried with: as many as a sandbox has.
const IDS: u32 = crate::RANGE_IDS;

pub(super) fn mount_api() -> Finding {
    const NAME: &str = "mount-api";
    let detached = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    });
    match detached {
        Ok(_) => Finding::ok(NAME, "file systems can be mounted detached"),
        Err(Errno::PERM) => Finding::fail(
            NAME,
            "mounting is not permitted",
            "run as root on the host, or give the outer container CAP_SYS_ADMIN",
        ),
        Err(errno) => Finding::fail(
            NAME,
            format!("file systems cannot be mounted detached: {errno}"),
            "boot Linux 5.2 or newer, or let the outer container's filter pass fsopen and fsmount",
        ),
    }
}

pub(super) fn overlay() -> Finding {
    file_system("overlay", "the root of a sandbox", "modprobe overlay, or boot a kernel that has it")
}

pub(super) fn ext4() -> Finding {
    file_system("ext4", "the disk of a sandbox", "modprobe ext4, or boot a kernel that has it")
}

/// Opening a context loads the module, as the first mount would, and mounts nothing.
fn file_system(name: &'static str, purpose: &str, remedy: &str) -> Finding {
    match fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(_) => Finding::ok(name, format!("{name} is there, for {purpose}")),
        Err(Errno::NODEV) => Finding::fail(name, format!("{name} is missing, for {purpose}"), remedy),
        Err(errno) => Finding::fail(
            name,
            format!("{name} cannot be opened, for {purpose}: {errno}"),
            "fix the mount API first",
        ),
    }
}

/// Shows the directories that images are read from with the ids of a new user namespace.
pub(super) fn idmap(subject: &Subject) -> Finding {
    const NAME: &str = "idmapped-mounts";
    let namespace = NamespaceHolder::start().and_then(|holder| {
        holder.map(subject.ids.start, IDS)?;
        holder.user_namespace()
    });
    let namespace = match namespace {
        Ok(namespace) => namespace,
        Err(errno) => {
            return Finding::fail(
                NAME,
                format!("there is no user namespace to try one with: {errno}"),
                "fix user namespaces first",
            );
        }
    };
    let dirs = [subject.existing_dir(), Path::new("/usr")];
    for dir in dirs {
        if let Err(errno) = try_idmap(dir, &namespace) {
            return Finding::fail(
                NAME,
                format!("the file system of {} cannot be idmapped: {errno}", dir.display()),
                "put it on ext4, xfs or btrfs, on Linux 5.19 or newer",
            );
        }
    }
    Finding::ok(NAME, format!("the file systems of {} and /usr can be idmapped", dirs[0].display()))
}

fn try_idmap(dir: &Path, namespace: &OwnedFd) -> Result<(), Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, dir, flags)?;
    crate::sys::mount::idmap(&tree, namespace.as_fd())
}

pub(super) fn loop_devices() -> Finding {
    const NAME: &str = "loop-devices";
    const CONTROL: &str = "/dev/loop-control";
    match rustix::fs::open(CONTROL, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => Finding::ok(NAME, "loop devices can be made"),
        Err(Errno::NOENT | Errno::NXIO | Errno::NODEV) => Finding::fail(
            NAME,
            format!("{CONTROL} is missing"),
            "modprobe loop; inside a container, pass the host's /dev",
        ),
        Err(errno) => Finding::fail(NAME, format!("cannot open {CONTROL}: {errno}"), "run as root"),
    }
}

/// Asks the program for its version, which it prints on its standard error.
pub(super) fn mkfs() -> Finding {
    const NAME: &str = "mkfs.ext4";
    const REMEDY: &str = "install e2fsprogs (apt-get install e2fsprogs, dnf install e2fsprogs)";
    match Command::new(NAME).arg("-V").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stderr);
            Finding::ok(NAME, text.lines().next().unwrap_or("installed").trim().to_owned())
        }
        Ok(output) => Finding::fail(NAME, format!("{NAME} -V ends with {}", output.status), REMEDY),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::fail(NAME, "not found on the PATH", REMEDY)
        }
        Err(error) => Finding::fail(NAME, format!("cannot be run: {error}"), REMEDY),
    }
}
