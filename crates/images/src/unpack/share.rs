//! A tree that begins as another one: directories are made anew, everything else gets a second name.
//!
//! Sandboxes never write to a tree, and applying a layer replaces what it changes by name and never writes into it
//! (`tree`), so two trees can share their files. Only directories are changed in place, so each tree has its own.
//!
//! The source is a tree of the store: nobody but the server can enter it, and nothing in it changes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::tree::TreeError;

/// Largest list of names and largest value of extended attributes: the kernel's own bounds.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// Fills the empty directory `to` with what the tree `from` has. Returns how many entries that is.
///
/// # Errors
/// [`TreeError::Call`]. A file with as many names as its file system allows (65,000 on ext4) is one.
pub fn share(from: &Path, to: &Path) -> Result<u64, TreeError> {
    let open = |path: &Path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map_err(call("open"))
    };
    share_directory(open(from)?.as_fd(), open(to)?.as_fd())
}

/// The depth of the recursion is that of a path, which is bounded where trees are made.
fn share_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<u64, TreeError> {
    let mut entries = 0;
    for entry in Dir::read_from(from).map_err(call("getdents64"))? {
        let entry = entry.map_err(call("getdents64"))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        entries += 1;
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat =
                    rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(call("fstatat"))?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        if kind == FileType::Directory {
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)).map_err(call("mkdirat"))?;
            let (from, to) = (open_at(from, name)?, open_at(to, name)?);
            entries += share_directory(from.as_fd(), to.as_fd())?;
        } else {
            rustix::fs::linkat(from, name, to, name, AtFlags::empty()).map_err(call("linkat"))?;
        }
    }
    // Last: entering names changes the time.
    copy_attributes(from, to)?;
    Ok(entries)
}

fn open_at(directory: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd, TreeError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(call("openat"))
}

fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), TreeError> {
    let stat = rustix::fs::fstat(from).map_err(call("fstat"))?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(to, Some(owner), Some(group)).map_err(call("fchown"))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode)).map_err(call("fchmod"))?;
    copy_xattrs(from, to)?;
    let time = |seconds: i64, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::futimens(to, &times).map_err(call("futimens"))
}

/// Copies what an archive may have set: attributes of users.
fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), TreeError> {
    let mut names = vec![0; XATTR_BYTES_MAX];
    let length = match rustix::fs::flistxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(errno) => return Err(call("flistxattr")(errno)),
    };
    let mut value = vec![0; if length == 0 { 0 } else { XATTR_BYTES_MAX }];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
        let length = rustix::fs::fgetxattr(from, name, &mut value[..]).map_err(call("fgetxattr"))?;
        rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())
            .map_err(|errno| TreeError::Attribute(errno.into()))?;
    }
    Ok(())
}

/// Names the system call in the error.
fn call(call: &'static str) -> impl Fn(Errno) -> TreeError {
    move |errno| TreeError::Call { call, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_shared_tree_has_the_same_files_and_directories_of_its_own() {
        let work = tempfile::tempdir().unwrap();
        let (from, to) = (work.path().join("from"), work.path().join("to"));
        fs::create_dir_all(from.join("etc/deep")).unwrap();
        fs::write(from.join("etc/passwd"), "root").unwrap();
        symlink("passwd", from.join("etc/link")).unwrap();
        fs::set_permissions(from.join("etc"), fs::Permissions::from_mode(0o3750)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::open(from.join("etc")).unwrap().set_modified(time).unwrap();
        fs::create_dir(&to).unwrap();

        assert_eq!(share(&from, &to).unwrap(), 4);
        let stat = |path: &Path| fs::symlink_metadata(path).unwrap();
        assert_eq!(stat(&from.join("etc/passwd")).ino(), stat(&to.join("etc/passwd")).ino());
        assert_eq!(stat(&from.join("etc/link")).ino(), stat(&to.join("etc/link")).ino());
        let (old, new) = (stat(&from.join("etc")), stat(&to.join("etc")));
        assert_ne!(old.ino(), new.ino());
        assert_eq!((new.mode(), new.uid(), new.mtime()), (old.mode(), old.uid(), 1_000_000));
        assert!(to.join("etc/deep").is_dir());
    }
}
