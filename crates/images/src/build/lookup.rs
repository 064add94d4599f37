//! Names in a tree of the store, through symlinks and never out of the tree.
//!
//! Nobody changes the tree meanwhile: it is an image's, or a context in a workspace of its own. Each step still opens with
//! `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`, so that a mistake here is an error and not a way out.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::unpack::path::{EntryPath, PathError};

/// Symlinks on one way: the kernel's own bound (path_resolution(7)).
const SYMLINKS_MAX: usize = 40;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It cannot be a name in an image.
    #[error(transparent)]
    Name(#[from] PathError),
    /// It goes through something that is not a directory.
    #[error("the path goes through something that is not a directory")]
    NotDirectory,
    /// It goes through too many symlinks.
    #[error("the path goes through more than {SYMLINKS_MAX} symlinks")]
    Loop,
    /// The kernel refused.
    #[error("{call} failed")]
    Call {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

fn call(call: &'static str) -> impl Fn(Errno) -> LookupError {
    move |errno| LookupError::Call { call, source: errno.into() }
}

/// A tree to look into.
#[derive(Debug)]
pub(super) struct View {
    root: OwnedFd,
}

/// Where a name leads.
pub(super) struct Place {
    /// Without a symlink on the way, the last component included.
    pub(super) path: EntryPath,
    /// What is there; `None` if nothing is.
    pub(super) stat: Option<Stat>,
}

impl Place {
    pub(super) fn is_directory(&self) -> bool {
        self.stat.as_ref().is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }
}

impl View {
    pub(super) fn open(directory: &Path) -> Result<View, LookupError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(View { root: rustix::fs::open(directory, flags, Mode::empty()).map_err(call("open"))? })
    }

    /// Follows a name from the root to its end. What is missing is taken by its text.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Place, LookupError> {
        let split = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut ahead: VecDeque<Vec<u8>> = split(path).into();
        let mut real: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        let mut stat = Some(self.stat(&EntryPath::ROOT)?.ok_or(LookupError::NotDirectory)?);
        while let Some(component) = ahead.pop_front() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    real.pop();
                    stat = self.stat(&join(&real)?)?;
                    continue;
                }
                _ => {}
            }
            if let Some(above) = &stat
                && FileType::from_raw_mode(above.st_mode) != FileType::Directory
            {
                return Err(LookupError::NotDirectory);
            }
            real.push(component);
            let at = join(&real)?;
            stat = if stat.is_some() { self.stat(&at)? } else { None };
            let is_link =
                stat.as_ref().is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            if !is_link {
                continue;
            }
            links += 1;
            if links > SYMLINKS_MAX {
                return Err(LookupError::Loop);
            }
            let target = self.link_target(&at)?;
            real.pop();
            if target.starts_with(b"/") {
                real.clear();
            }
            for component in split(&target).into_iter().rev() {
                ahead.push_front(component);
            }
            stat = self.stat(&join(&real)?)?;
        }
        Ok(Place { path: join(&real)?, stat })
    }

    /// What has a name, without following it; `None` if nothing has.
    pub(super) fn stat(&self, path: &EntryPath) -> Result<Option<Stat>, LookupError> {
        let Some((parent, name)) = path.split() else {
            return rustix::fs::fstat(&self.root).map(Some).map_err(call("fstat"));
        };
        let parent = match self.directory(&parent) {
            Ok(parent) => parent,
            Err(LookupError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(call("fstatat")(errno)),
        }
    }

    /// What a symlink says.
    pub(super) fn link_target(&self, path: &EntryPath) -> Result<Vec<u8>, LookupError> {
        let (parent, name) = path.split().ok_or(LookupError::NotDirectory)?;
        let parent = self.directory(&parent)?;
        let target = rustix::fs::readlinkat(&parent, name, Vec::new()).map_err(call("readlinkat"))?;
        Ok(target.into_bytes())
    }

    /// Opens a regular file for reading.
    pub(super) fn file(&self, path: &EntryPath) -> Result<File, LookupError> {
        self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from)
    }

    /// Takes a file out of the tree.
    pub(super) fn remove_file(&self, path: &EntryPath) -> Result<(), LookupError> {
        let (parent, name) = path.split().ok_or(LookupError::NotDirectory)?;
        let parent = self.directory(&parent)?;
        rustix::fs::unlinkat(&parent, name, AtFlags::empty()).map_err(call("unlinkat"))
    }

    /// The names in a directory, in order.
    pub(super) fn names(&self, path: &EntryPath) -> Result<Vec<Vec<u8>>, LookupError> {
        let directory = self.directory(path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).map_err(call("getdents64"))? {
            let entry = entry.map_err(call("getdents64"))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The extended attributes that an archive may have set.
    pub(super) fn xattrs(file: &File) -> Result<Xattrs, LookupError> {
        let mut names = vec![0; XATTR_BYTES_MAX];
        let length = match rustix::fs::flistxattr(file, &mut names[..]) {
            Ok(length) => length,
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(call("flistxattr")(errno)),
        };
        let mut found = Vec::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
            let mut value = vec![0; XATTR_BYTES_MAX];
            let length = rustix::fs::fgetxattr(file, name, &mut value[..]).map_err(call("fgetxattr"))?;
            value.truncate(length);
            found.push((name.to_vec(), value));
        }
        Ok(found)
    }

    pub(super) fn directory(&self, path: &EntryPath) -> Result<OwnedFd, LookupError> {
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn open_at(&self, path: &EntryPath, flags: OFlags) -> Result<OwnedFd, LookupError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, path.as_bytes(), flags, Mode::empty(), BENEATH)
            .map_err(call("openat2"))
    }
}

/// Names and values.
pub(super) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Largest list of names and largest value of extended attributes: the kernel's own bounds.
const XATTR_BYTES_MAX: usize = 64 * 1024;

fn join(components: &[Vec<u8>]) -> Result<EntryPath, LookupError> {
    Ok(EntryPath::parse(&components.join(&b'/'))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_are_followed_through_symlinks_and_stay_in_their_tree() {
        let work = tempfile::tempdir().unwrap();
        let root = work.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(work.path().join("secret"), "outside").unwrap();
        fs::write(root.join("secret"), "inside").unwrap();
        fs::write(root.join("usr/bin/sh"), "sh").unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("/usr", root.join("usr/bin/up")).unwrap();
        symlink("../../../../secret", root.join("usr/climb")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("nowhere/x", root.join("dangling")).unwrap();
        let view = View::open(&root).unwrap();
        for (path, want, there) in [
            ("bin/sh", "usr/bin/sh", true),
            ("/bin/../bin/./sh", "usr/bin/sh", true),
            ("bin/..", "usr", true),
            ("bin/up/bin", "usr/bin", true),
            ("usr/climb", "secret", true),
            ("../../secret", "secret", true),
            ("dangling", "nowhere/x", false),
            ("bin/new/deep", "usr/bin/new/deep", false),
            ("new/../secret", "secret", true),
            ("", "", true),
        ] {
            let place = view.resolve(path.as_bytes()).unwrap();
            let want = EntryPath::parse(want.as_bytes()).unwrap();
            assert_eq!((place.path, place.stat.is_some()), (want, there), "{path}");
        }
        assert!(matches!(view.resolve(b"loop"), Err(LookupError::Loop)));
        assert!(matches!(view.resolve(b"secret/x"), Err(LookupError::NotDirectory)));
        assert_eq!(
            io::read_to_string(view.file(&view.resolve(b"usr/climb").unwrap().path).unwrap()).unwrap(),
            "inside"
        );
    }
}
