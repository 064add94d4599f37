//! The spawner's own mount namespace: a small read-only tree in place of the host's.
//!
//! Every sandbox begins as a copy of this namespace, so it holds only what a start needs. Nothing propagates in or out
//! of it. The picture is in [`crate::layout`].
//!
//! Not here: cgroup file systems. The spawner holds descriptors of their directories instead.

use std::ffi::OsStr;
use std::fs::{DirBuilder, create_dir_all};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, UnmountFlags, open_tree, unmount};
use rustix::process::{chdir, pivot_root};

use crate::error::{At, SetupError, Step};
use crate::filesystem::{MountOption, attach, copy_of, mount, whole_copy_of};
use crate::layout::{LOWERS_MAX, VOLUMES_MAX, in_spawner, tree};
use crate::sys;

/// Moves this process for good into a tree of its own that has `data_dir` and the `lower_roots` of the host.
///
/// # Errors
/// The call that failed. The process should not go on then: it may be half-way.
pub(crate) fn enter(data_dir: &Path, lower_roots: &[PathBuf]) -> Result<(), SetupError> {
    const STEP: Step = Step::SpawnerSetup;
    sys::clone::unshare_mount_namespace().at(STEP, "unshare", "the mount namespace")?;
    let host_root = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC).at(STEP, "open_tree", "/")?;
    sys::mount::make_private(&host_root).at(STEP, "mount_setattr", "/")?;

    // Everything that is taken along is picked up before the new tree covers the data directory.
    let mut taken: Vec<(PathBuf, OwnedFd)> = vec![(in_spawner(data_dir), whole_copy_of(STEP, data_dir)?)];
    for root in lower_roots {
        taken.push((in_spawner(root), copy_of(STEP, root)?));
    }
    taken.push((PathBuf::from("/dev"), copy_of(STEP, Path::new("/dev"))?));

    let inert = crate::filesystem::INERT;
    let root = mount(STEP, "tmpfs", &[MountOption::Pair("mode", "755"), MountOption::Pair("size", "1m")], {
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
    })?;
    let proc = mount(STEP, "proc", &[], inert)?;
    let sysfs = mount(STEP, "sysfs", &[], inert)?;

    attach(STEP, &root, data_dir)?;
    chdir(data_dir).at(STEP, "chdir", data_dir)?;
    pivot_root(".", ".").at(STEP, "pivot_root", data_dir)?;
    unmount(".", UnmountFlags::DETACH).at(STEP, "umount", "the host's root")?;
    chdir("/").at(STEP, "chdir", "/")?;

    for directory in [tree::DISK, tree::NEW_ROOT, tree::STAGE, "/proc", "/sys"] {
        create_dir_all(directory).at(STEP, "mkdir", directory)?;
    }
    DirBuilder::new().mode(0o555).create(tree::EMPTY).at(STEP, "mkdir", tree::EMPTY)?;
    for index in 0..LOWERS_MAX {
        create_dir_all(tree::lower(index)).at(STEP, "mkdir", tree::lower(index))?;
    }
    for index in 0..VOLUMES_MAX {
        create_dir_all(tree::volume(index)).at(STEP, "mkdir", tree::volume(index))?;
    }
    attach(STEP, &proc, Path::new("/proc"))?;
    attach(STEP, &sysfs, Path::new("/sys"))?;
    for (path, mount) in taken {
        create_dir_all(&path).at(STEP, "mkdir", &path)?;
        attach(STEP, &mount, &path)?;
    }
    sys::mount::set_read_only(&root).at(STEP, "mount_setattr", "/")
}

/// A program as a sealed file in memory, ready to be executed in every sandbox: the guest, and what the guest is given.
///
/// Others may run it and not read it. For the kernel, a process whose program it may not read is closed: its memory,
/// descriptors and links in `/proc` belong to the host's root, and no capability inside a sandbox's user namespace
/// opens them. So root in a sandbox can neither trace PID 1 nor take its descriptors, and no `exe` link leads
/// anywhere.
///
/// # Errors
/// The call that failed.
pub(crate) fn sealed_program(name: &OsStr, program: &[u8]) -> Result<OwnedFd, SetupError> {
    use rustix::fs::{MemfdFlags, SealFlags, fchmod, fcntl_add_seals, memfd_create};
    const STEP: Step = Step::SpawnerSetup;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // The flag is known since Linux 6.3; before it, every such file can be executed.
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }
    .at(STEP, "memfd_create", name)?;
    let mut rest = program;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).at(STEP, "write", name)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fchmod(&file, Mode::from_raw_mode(0o711)).at(STEP, "fchmod", name)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).at(STEP, "seal", name)?;
    // A file that is open for writing cannot be executed, so the sealed file is opened anew for reading.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at(STEP, "open", path)
}
