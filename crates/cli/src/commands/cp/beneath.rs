//! Writing below a local directory so that nothing a sandbox says can lead out of it.
//!
//! Every file, directory and link is made by its one-component name relative to the descriptor of its directory, and
//! directories are entered without following links. Whatever stands there already, put there by an earlier copy for
//! instance, can be in the way but cannot redirect.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawMode, mkdirat, openat, renameat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::remote::shown;
use crate::failure::Failure;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open local directory.
#[derive(Debug, Clone)]
pub(super) struct LocalDir(Arc<OwnedFd>);

/// A file that gets its name when it is complete. Dropped before that, it is gone.
#[derive(Debug)]
pub(super) struct NewFile {
    dir: LocalDir,
    temporary: Option<OsString>,
    name: OsString,
}

impl LocalDir {
    /// The directory at `path`, which the user typed: links in it are followed.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let fd = openat(CWD, path, DIRECTORY, Mode::empty())
            .with_context(|| format!("cannot open the directory {}", path.display()))?;
        Ok(Self(Arc::new(fd)))
    }

    /// The directory `name` in this one, made if it is not there.
    ///
    /// Its owner may always write, so that what belongs in it can be made.
    pub(super) fn make_dir(&self, name: &OsStr, mode: u32) -> Result<Self> {
        const OWNER: u32 = 0o700;
        let cannot = || format!("cannot make the directory {}", shown(name));
        match mkdirat(&*self.0, name, permissions(mode | OWNER)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(cannot),
        }
        match openat(&*self.0, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Self(Arc::new(fd))),
            // The two numbers for a link here, on Linux and elsewhere.
            Err(Errno::LOOP | Errno::NOTDIR) => {
                Err(Failure::new(format!("{} is in the way of a directory", shown(name)))
                    .hint("remove it, or copy to another place")
                    .into())
            }
            Err(error) => Err(error).with_context(cannot),
        }
    }

    /// A new file that will be called `name`, and replace what is called so, when it is complete.
    pub(super) fn create(&self, name: &OsStr, mode: u32) -> Result<(NewFile, File)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = OsString::from(format!(".lazaret-cp-{}-{number}", std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&*self.0, &temporary, flags, permissions(mode))
            .with_context(|| format!("cannot make a file for {}", shown(name)))?;
        let file = NewFile { dir: self.clone(), temporary: Some(temporary), name: name.to_owned() };
        Ok((file, File::from(fd)))
    }

    /// A symbolic link `name` that points at `target`, replacing a link or file of that name.
    pub(super) fn link(&self, name: &OsStr, target: &OsStr) -> Result<()> {
        let made = match symlinkat(target, &*self.0, name) {
            Err(Errno::EXIST) => {
                unlinkat(&*self.0, name, AtFlags::empty()).and_then(|()| symlinkat(target, &*self.0, name))
            }
            made => made,
        };
        made.with_context(|| format!("cannot make the link {}", shown(name)))
    }
}

impl NewFile {
    /// Gives the file its name.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Some(temporary) = self.temporary.take() {
            let renamed = renameat(&*self.dir.0, &temporary, &*self.dir.0, &self.name);
            if renamed.is_err() {
                self.temporary = Some(temporary);
            }
            renamed.with_context(|| format!("cannot write {}", shown(&self.name)))?;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _gone = unlinkat(&*self.dir.0, temporary, AtFlags::empty());
        }
    }
}

/// Whether a link `depth` directories below the copied tree's top stays in the tree with this target.
///
/// `..` is taken only at the beginning, where it climbs real directories. Behind a name it could climb from wherever a
/// link of that name leads.
pub(super) fn stays_inside(target: &OsStr, depth: usize) -> bool {
    if target.is_empty() || target.as_bytes().starts_with(b"/") {
        return false;
    }
    let (mut climbed, mut named) = (0, false);
    for component in target.as_bytes().split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if named => return false,
            b".." => climbed += 1,
            _ => named = true,
        }
    }
    climbed <= depth
}

fn permissions(mode: u32) -> Mode {
    // The type is narrower than 32 bits on some systems; permissions fit everywhere.
    Mode::from_raw_mode(RawMode::try_from(mode & 0o777).unwrap_or(0o600))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_link_stays_inside_if_it_climbs_no_further_than_the_top() {
        for (target, depth, want) in [
            ("a/b", 0, true),
            ("..", 0, false),
            ("../a", 1, true),
            ("../../a", 1, false),
            ("./.././x", 1, true),
            ("a/../b", 5, false),
            ("/etc/passwd", 5, false),
            ("", 5, false),
        ] {
            assert_eq!(stays_inside(OsStr::new(target), depth), want, "{target} at {depth}");
        }
    }

    #[test]
    fn a_directory_is_not_entered_through_a_link() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), dir.path().join("sub")).unwrap();
        let error = LocalDir::open(dir.path()).unwrap().make_dir(OsStr::new("sub"), 0o755).unwrap_err();
        assert_eq!(error.to_string(), "sub is in the way of a directory");
    }

    #[test]
    fn a_file_replaces_a_link_instead_of_writing_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "before").unwrap();
        symlink(&victim, dir.path().join("name")).unwrap();
        let (new, mut file) = LocalDir::open(dir.path()).unwrap().create(OsStr::new("name"), 0o700).unwrap();
        file.write_all(b"after").unwrap();
        new.finish().unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"before");
        let name = dir.path().join("name");
        assert_eq!(std::fs::read(&name).unwrap(), b"after");
        assert_eq!(std::fs::symlink_metadata(&name).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (new, file) = LocalDir::open(dir.path()).unwrap().create(OsStr::new("name"), 0o644).unwrap();
        drop((new, file));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
