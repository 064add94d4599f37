//! New mounts through the kernel's mount API: made detached, attached by descriptor, never by a path of an image.
//!
//! A detached mount is no part of any namespace and vanishes with its descriptor, so nothing has to be undone when a
//! later step fails.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::error::{At, SetupError, Step};

/// What opens a directory and nothing else, to go on from there.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Longest text that is kept of what the kernel logged about a failed mount.
const KERNEL_LOG_MAX_BYTES: usize = 1024;

/// One `key=value` or bare flag of a new file system.
pub(crate) enum MountOption<'a> {
    /// `key=value`.
    Pair(&'a str, &'a str),
    /// `key`.
    Flag(&'a str),
}

/// A new, detached mount of a file system.
///
/// # Errors
/// The call that failed, with what the kernel said about it.
pub(crate) fn mount(
    step: Step,
    kind: &str,
    options: &[MountOption<'_>],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, SetupError> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(step, "fsopen", kind)?;
    for option in options {
        let (result, shown) = match option {
            MountOption::Pair(key, value) => {
                (fsconfig_set_string(&context, *key, *value), format!("{kind} {key}={value}"))
            }
            MountOption::Flag(key) => (fsconfig_set_flag(&context, *key), format!("{kind} {key}")),
        };
        result.map_err(|errno| refused(&context, step, "fsconfig", &shown, errno))?;
    }
    fsconfig_create(&context).map_err(|errno| refused(&context, step, "mount", kind, errno))?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|errno| refused(&context, step, "fsmount", kind, errno))
}

/// The errno with the lines that the kernel wrote into the context's log.
fn refused(context: &OwnedFd, step: Step, call: &str, subject: &str, errno: Errno) -> SetupError {
    let mut said = String::new();
    let mut line = [0; 256];
    while said.len() < KERNEL_LOG_MAX_BYTES {
        match rustix::io::read(context, &mut line) {
            Ok(length) if length > 0 => {
                said.push_str(if said.is_empty() { ": " } else { "; " });
                said.push_str(String::from_utf8_lossy(&line[..length]).trim_end());
            }
            _ => break,
        }
    }
    SetupError { step, call: call.to_owned(), subject: format!("{subject}{said}"), errno }
}

/// A detached copy of the mount at a path of the caller's own tree; without what is mounted beneath it.
pub(crate) fn copy_of(step: Step, path: &Path) -> Result<OwnedFd, SetupError> {
    open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC).at(
        step,
        "open_tree",
        path,
    )
}

/// A detached copy of the mount at a path, with what is mounted beneath it.
pub(crate) fn whole_copy_of(step: Step, path: &Path) -> Result<OwnedFd, SetupError> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).at(step, "open_tree", path)
}

/// A detached copy of what is at `name` beneath an open directory; `name` is ours, never an image's.
pub(crate) fn copy_beneath(step: Step, directory: impl AsFd, name: &str) -> Result<OwnedFd, SetupError> {
    open_tree(directory, name, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC).at(
        step,
        "open_tree",
        name,
    )
}

/// Attaches a detached mount at a path of the caller's own tree.
pub(crate) fn attach(step: Step, mount: impl AsFd, path: &Path) -> Result<(), SetupError> {
    move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(step, "move_mount", path)
}

/// Attaches a detached mount on top of what a descriptor stands for; `name` is for the message.
pub(crate) fn attach_onto(
    step: Step,
    mount: impl AsFd,
    onto: impl AsFd,
    name: &str,
) -> Result<(), SetupError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", onto, "", flags).at(step, "move_mount", name)
}

/// Opens what is at `path` beneath `root`, without following a link and without leaving `root`.
///
/// # Errors
/// `ELOOP` if a component is a symbolic link, `ENOTDIR` if `flags` ask for a directory and it is none.
pub(crate) fn open_beneath(root: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// The real directory at `path` beneath `root`. Made with `mode` if nothing is there and its parent is a real directory.
///
/// # Errors
/// `ENOTDIR` or `ELOOP` if something else is there: mounting on it would act on whatever an image's link points at.
pub(crate) fn real_directory(
    step: Step,
    root: impl AsFd,
    path: &Path,
    mode: u32,
) -> Result<OwnedFd, SetupError> {
    let root = root.as_fd();
    match open_beneath(root, path, DIRECTORY) {
        Err(Errno::NOENT) => {}
        other => return other.at(step, "open as a real directory", path),
    }
    let parent = open_beneath(root, path.parent().unwrap_or(Path::new("/")), DIRECTORY).at(
        step,
        "open the parent of",
        path,
    )?;
    let name = path.file_name().unwrap_or_default();
    mkdirat(&parent, name, Mode::from_raw_mode(mode)).at(step, "mkdir", path)?;
    open_beneath(root, path, DIRECTORY).at(step, "open as a real directory", path)
}

/// The real directory at `path` beneath `root`; whatever of it is missing is made with `mode`.
///
/// # Errors
/// `ENOTDIR` or `ELOOP` if something else is there, or on the way.
pub(crate) fn made_directory(
    step: Step,
    root: impl AsFd,
    path: &Path,
    mode: u32,
) -> Result<OwnedFd, SetupError> {
    let root = root.as_fd();
    let mut walked = PathBuf::new();
    for component in path.strip_prefix("/").unwrap_or(path) {
        let parent = open_beneath(root, &walked, DIRECTORY).at(step, "open as a real directory", path)?;
        match mkdirat(&parent, component, Mode::from_raw_mode(mode)) {
            // Whatever is there is looked at without following it.
            Ok(()) | Err(Errno::EXIST) => walked.push(component),
            Err(errno) => return Err(errno).at(step, "mkdir", path),
        }
    }
    open_beneath(root, path, DIRECTORY).at(step, "open as a real directory", path)
}

/// Attributes for a file system from which nothing may gain privileges, run or reach a device.
pub(crate) const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn check(prepare: impl FnOnce(&Path), path: &str) -> Result<OwnedFd, Errno> {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let root = rustix::fs::open(root.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        real_directory(Step::Devices, &root, Path::new(path), 0o755).map_err(|error| error.errno)
    }

    #[test]
    fn a_missing_directory_is_made_and_a_real_one_is_taken() {
        check(|_| {}, "/dev").unwrap();
        check(|root| std::fs::create_dir(root.join("dev")).unwrap(), "/dev").unwrap();
        check(|root| std::fs::create_dir(root.join("usr")).unwrap(), "/usr/local").unwrap();
    }

    #[test]
    fn every_missing_directory_of_a_path_is_made_and_a_link_or_a_file_on_the_way_is_refused() {
        let check = |prepare: fn(&Path), path: &str| {
            let root = tempfile::tempdir().unwrap();
            prepare(root.path());
            let open =
                rustix::fs::open(root.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
            let made = made_directory(Step::Volumes, &open, Path::new(path), 0o755);
            (made.map(drop).map_err(|error| error.errno), root.path().join("a/b/c").is_dir())
        };
        assert_eq!(check(|_| {}, "/a/b/c"), (Ok(()), true));
        assert_eq!(
            check(|root| std::fs::create_dir_all(root.join("a/b/c")).unwrap(), "a/b/c"),
            (Ok(()), true)
        );
        for path in ["/a", "/a/b/c"] {
            assert_eq!(check(|root| symlink("/tmp", root.join("a")).unwrap(), path).0, Err(Errno::LOOP));
            assert_eq!(check(|root| std::fs::write(root.join("a"), "").unwrap(), path).0, Err(Errno::NOTDIR));
        }
        let outside = check(
            |root| {
                std::fs::create_dir(root.join("a")).unwrap();
                symlink("../..", root.join("a/b")).unwrap();
            },
            "/a/b/c",
        );
        assert_eq!(outside, (Err(Errno::LOOP), false));
    }

    #[test]
    fn a_link_or_a_file_in_place_of_a_directory_is_refused() {
        assert_eq!(
            check(|root| symlink("/etc", root.join("dev")).unwrap(), "/dev").unwrap_err(),
            Errno::LOOP
        );
        assert_eq!(
            check(|root| symlink("gone", root.join("dev")).unwrap(), "/dev").unwrap_err(),
            Errno::LOOP
        );
        assert_eq!(
            check(|root| std::fs::write(root.join("dev"), "").unwrap(), "/dev").unwrap_err(),
            Errno::NOTDIR
        );
        assert_eq!(
            check(|root| symlink("/", root.join("usr")).unwrap(), "/usr/local").unwrap_err(),
            Errno::LOOP
        );
    }
}
