//! The root file system: one overlay per lower, all of them writing to the one disk.
//!
//! ```text
//!   overlay at /      lowerdir=/lower/0  upperdir=/disk/0/upper  workdir=/disk/0/work  userxattr
//!   overlay at /usr   lowerdir=/lower/1  upperdir=/disk/1/upper  workdir=/disk/1/work  userxattr
//! ```
//!
//! The child mounts them inside its user namespace, so overlayfs reaches lower and disk with the tenant's rights and not
//! with the host's. Layers are attached before, because overlayfs refuses detached ones on kernels before 6.15.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fstatvfs, open};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::disk::overlay_directory;
use crate::error::{At, SetupError, Step};
use crate::filesystem::{MountOption, attach, attach_onto, mount, real_directory};
use crate::layout::tree;
use crate::spawner::wire::StartOrder;

/// No set-user-id programs and no devices, whatever an image holds; new programs gain nothing anyway (no_new_privs).
const ATTRIBUTES: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Mounts every overlay and returns the directory that will be `/`, attached to the caller's tree.
pub(super) fn mount_overlays(
    order: &StartOrder,
    layers: Vec<OwnedFd>,
    disk: OwnedFd,
) -> Result<OwnedFd, SetupError> {
    const STEP: Step = Step::Rootfs;
    if layers.len() != order.lowers.len() || layers.is_empty() {
        return Err(Errno::BADMSG).at(STEP, "count", "the layers");
    }
    attach(STEP, &disk, Path::new(tree::DISK))?;
    let mut root: Option<OwnedFd> = None;
    for (index, (layer, lower)) in layers.iter().zip(&order.lowers).enumerate() {
        attach(STEP, layer, &tree::lower(index))?;
        let overlay = mount_overlay(index)?;
        match &root {
            None => {
                attach(STEP, &overlay, Path::new(tree::NEW_ROOT))?;
                root = Some(
                    open(tree::NEW_ROOT, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                        .at(STEP, "open", tree::NEW_ROOT)?,
                );
            }
            Some(root) => {
                let onto = real_directory(STEP, root, &lower.at, 0o755)?;
                attach_onto(STEP, &overlay, &onto, &lower.at.to_string_lossy())?;
            }
        }
    }
    root.ok_or(Errno::NOENT).at(STEP, "find", "a lower at /")
}

fn mount_overlay(index: usize) -> Result<OwnedFd, SetupError> {
    const STEP: Step = Step::Rootfs;
    let directory = overlay_directory(Path::new(tree::DISK), index);
    let (lower, upper, work) = (tree::lower(index), directory.join("upper"), directory.join("work"));
    let options = [
        MountOption::Pair("source", "overlay"),
        MountOption::Pair("lowerdir", &lower.to_string_lossy()),
        MountOption::Pair("upperdir", &upper.to_string_lossy()),
        MountOption::Pair("workdir", &work.to_string_lossy()),
        MountOption::Flag("userxattr"),
    ];
    let overlay = mount(STEP, "overlay", &options, ATTRIBUTES)?;
    refuse_read_only(overlay.as_fd())?;
    Ok(overlay)
}

/// overlayfs falls back to a read-only mount when it cannot use its work directory, and only logs that.
fn refuse_read_only(overlay: impl AsFd) -> Result<(), SetupError> {
    let flags = fstatvfs(overlay).at(Step::Rootfs, "fstatvfs", "the overlay")?.f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) {
        return Err(Errno::ROFS).at(
            Step::Rootfs,
            "mount",
            "a writable overlay: its disk cannot be written to",
        );
    }
    Ok(())
}
