//! Staging and committing.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use git2::{IndexAddOption, Oid, Repository, Signature};
use lazaret_protocol::git::{Add, CommitStaged, Problem};

use super::repository::{head_commit, open};
use crate::cancel;
use crate::failure::{Failure, Outcome};

pub(crate) fn add(wanted: &Add) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let mut index = repo.index()?;
    for file in &wanted.files {
        let path = inside(&repo, file)?;
        refuse_beyond_links(workdir(&repo)?, &path)?;
        let on_disk = workdir(&repo)?.join(&path).symlink_metadata();
        let is_directory = on_disk.as_ref().is_ok_and(|metadata| metadata.is_dir());
        if path.as_os_str().is_empty() || is_directory {
            let mut look = |_: &Path, _: &[u8]| if cancel::is_asked() { -1 } else { 0 };
            index.add_all(patterns(&path), IndexAddOption::DEFAULT, Some(&mut look))?;
        } else if on_disk.is_ok() {
            index.add_path(&path)?;
        } else if index.get_path(&path, 0).is_some() {
            index.remove_path(&path)?;
        } else {
            let removed = index
                .iter()
                .any(|entry| Path::new(&*String::from_utf8_lossy(&entry.path)).starts_with(&path));
            if !removed {
                return Err(Failure::new(Problem::PathNotFound, format!("there is no file '{file}'")));
            }
            index.remove_dir(&path, 0)?;
        }
    }
    Ok(index.write()?)
}

pub(crate) fn commit(wanted: &CommitStaged) -> Outcome<String> {
    let mut repo = open(&wanted.path)?;
    let signature = Signature::now(&wanted.author, &wanted.email).map_err(|_| {
        Failure::new(Problem::InvalidName, "author and email must not be empty or have angle brackets")
    })?;
    // A merge that somebody has begun in the sandbox ends with this commit.
    let mut merged: Vec<Oid> = Vec::new();
    if repo.state() == git2::RepositoryState::Merge {
        repo.mergehead_foreach(|oid| {
            merged.push(*oid);
            true
        })?;
    }
    let mut index = repo.index()?;
    if index.has_conflicts() {
        return Err(Failure::new(Problem::MergeConflict, "some files still have conflicts"));
    }
    let tree = repo.find_tree(index.write_tree()?)?;
    let head = match head_commit(&repo) {
        Ok(commit) => Some(commit),
        Err(failure) if failure.problem == Problem::NoCommits => None,
        Err(failure) => return Err(failure),
    };
    let is_same = match &head {
        Some(head) => head.tree_id() == tree.id(),
        None => tree.is_empty(),
    };
    if is_same && merged.is_empty() && !wanted.allow_empty {
        return Err(Failure::new(Problem::NothingToCommit, "nothing is staged"));
    }
    let mut parents: Vec<_> = head.into_iter().collect();
    for oid in merged {
        parents.push(repo.find_commit(oid)?);
    }
    let parents: Vec<_> = parents.iter().collect();
    let oid = repo.commit(Some("HEAD"), &signature, &signature, &wanted.message, &tree, &parents)?;
    repo.cleanup_state()?;
    Ok(oid.to_string())
}

/// As git: what lies behind a link belongs to where the link leads. libgit2 would follow it.
fn refuse_beyond_links(workdir: &Path, path: &Path) -> Outcome<()> {
    let is_link = |above: &Path| workdir.join(above).symlink_metadata().is_ok_and(|found| found.is_symlink());
    match path.ancestors().skip(1).find(|above| is_link(above)) {
        Some(link) if !link.as_os_str().is_empty() => {
            let sentence = format!("'{}' is beyond the symbolic link '{}'", path.display(), link.display());
            Err(Failure::new(Problem::InvalidName, sentence))
        }
        _ => Ok(()),
    }
}

pub(super) fn workdir(repo: &Repository) -> Outcome<&Path> {
    repo.workdir().ok_or_else(|| Failure::new(Problem::PathNotFound, "the repository has no working tree"))
}

/// A path relative to the root of the repository, without `.`; empty for the root itself.
pub(super) fn inside(repo: &Repository, file: &str) -> Outcome<PathBuf> {
    let outside = || Failure::new(Problem::InvalidName, format!("'{file}' is no path in the repository"));
    let path = Path::new(file);
    let relative = match path.strip_prefix(workdir(repo)?) {
        Ok(relative) if path.is_absolute() => relative,
        _ => path,
    };
    let mut clean = PathBuf::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    if file.is_empty() || file.contains('\0') { Err(outside()) } else { Ok(clean) }
}

/// Patterns that match this path and what is beneath it, and nothing else, whatever characters it has; the root is
/// everything.
pub(super) fn patterns(path: &Path) -> Vec<Vec<u8>> {
    let path = path.as_os_str().as_bytes();
    if path.is_empty() {
        return vec![b"*".to_vec()];
    }
    let is_special = |byte: u8| b"*?[\\!".contains(&byte);
    let itself: Vec<u8> =
        path.iter().flat_map(|&byte| is_special(byte).then_some(b'\\').into_iter().chain([byte])).collect();
    // A pattern with special characters does not stand for what is beneath it by itself.
    let beneath = [itself.as_slice(), b"/*"].concat();
    vec![itself, beneath]
}
