//! A digest of what sources are: names, kinds, modes, contents and targets of links. Times are not part of it, since copies
//! of a repository differ in them, and owners are not, since everything of a context is root's.

use std::io::{self, Write};

use lazaret_core::Digest;
use rustix::fs::{FileType, Stat};
use sha2::{Digest as _, Sha256};

use super::copy::CopyError;
use super::lookup::View;
use super::select::{children, select};
use crate::hash::digest_from;
use crate::unpack::path::EntryPath;

pub(super) fn digest(view: &View, sources: &[String]) -> Result<Digest, CopyError> {
    let mut hash = Sha256::new();
    for source in sources {
        part(&mut hash, b"source");
        for selected in select(view, source)? {
            part(&mut hash, &selected.name);
            entry(&mut hash, view, &selected.path, &selected.stat)?;
        }
    }
    Ok(digest_from(hash))
}

/// Bytes with their length, so that no two lists are the same bytes.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The depth of the recursion is that of a path, which is bounded where trees are made.
fn entry(hash: &mut Sha256, view: &View, path: &EntryPath, stat: &Stat) -> Result<(), CopyError> {
    let lookup = |problem| CopyError::Source { source_path: path.to_string(), problem };
    hash.update(stat.st_mode.to_be_bytes());
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            for (name, path, stat) in children(view, path)? {
                part(hash, &name);
                entry(hash, view, &path, &stat)?;
            }
            // Where it ends: the next name is not its own.
            hash.update([0; 8]);
        }
        FileType::RegularFile => {
            hash.update(u64::try_from(stat.st_size).unwrap_or(0).to_be_bytes());
            let mut file = view.file(path).map_err(lookup)?;
            io::copy(&mut file, &mut Hashing(hash)).map_err(CopyError::Read)?;
        }
        FileType::Symlink => part(hash, &view.link_target(path).map_err(lookup)?),
        _ => {}
    }
    Ok(())
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_digest_changes_with_names_modes_and_contents_and_not_with_times() {
        use std::os::unix::fs::PermissionsExt as _;
        let work = tempfile::tempdir().unwrap();
        fs::create_dir_all(work.path().join("a/b")).unwrap();
        fs::write(work.path().join("a/b/file"), "one").unwrap();
        let view = View::open(work.path()).unwrap();
        let of = |source: &str| digest(&view, &[source.to_owned()]).unwrap();
        let first = of("a");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(5);
        fs::File::open(work.path().join("a/b/file")).unwrap().set_modified(time).unwrap();
        assert_eq!(of("a"), first);
        let mut seen = vec![first];
        let mut changed = |what: &str| {
            let now = of("a");
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(work.path().join("a/b/file"), "two").unwrap();
        changed("contents");
        fs::set_permissions(work.path().join("a/b/file"), fs::Permissions::from_mode(0o755)).unwrap();
        changed("mode");
        fs::rename(work.path().join("a/b/file"), work.path().join("a/b/name")).unwrap();
        changed("name");
        fs::rename(work.path().join("a/b/name"), work.path().join("a/name")).unwrap();
        changed("place");
        assert!(matches!(digest(&view, &["none*".to_owned()]), Err(CopyError::Missing(_))));
    }
}
