//! Volumes: directories of other disks in the sandbox's tree.
//!
//! ```text
//!   volume N, detached, idmapped ─▶ /volume/N ─▶ files/<subpath>, walked ─▶ a copy of that mount ─▶ <path>, walked
//! ```
//!
//! Neither end is to be trusted: other sandboxes write to the volume, and an image or an earlier run to the tree. So both are
//! walked with the tenant's own rights and without following a link, and what is mounted, and onto what, are the directories
//! that were walked to, whatever their names mean a moment later.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::umask;

use crate::error::{At, SetupError, Step};
use crate::filesystem::{attach, attach_onto, copy_beneath, made_directory};
use crate::layout::{VOLUME_FILES, tree};
use crate::spawner::wire::{MountOrder, StartOrder};

const STEP: Step = Step::Volumes;

/// Of a subpath that is made: open to all, as the volume's own top is, since any user of any sandbox may be meant to use it.
const SUBPATH_MODE: u32 = 0o777;

/// Mounts every volume beneath `root`. Nothing is done for a sandbox without.
pub(super) fn mount_all(root: &OwnedFd, order: &StartOrder, volumes: &[OwnedFd]) -> Result<(), SetupError> {
    for (index, volume) in volumes.iter().enumerate() {
        attach(STEP, volume, &tree::volume(index))?;
    }
    for MountOrder { volume, at, subpath } in &order.mounts {
        if *volume >= volumes.len() {
            return Err(Errno::BADMSG).at(STEP, "find the volume for", at);
        }
        let files = tree::volume(*volume).join(VOLUME_FILES);
        let files = open(&files, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at(
            STEP,
            "open",
            "the volume",
        )?;
        let usual = umask(Mode::empty());
        let shown = made_directory(STEP, &files, subpath, SUBPATH_MODE);
        umask(usual);
        let mount = copy_beneath(STEP, shown?, ".")?;
        let onto = made_directory(STEP, root, at, 0o755)?;
        attach_onto(STEP, &mount, &onto, &at.to_string_lossy())?;
    }
    Ok(())
}
