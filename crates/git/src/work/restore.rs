//! Bringing back what was: reset and restore.

use std::path::PathBuf;

use git2::build::CheckoutBuilder;
use git2::{Repository, ResetType, Tree};
use lazaret_protocol::git::{Problem, Reset, ResetMode, Restore};

use super::repository::{cancellable, commit_of, head_commit, move_files, open};
use super::stage::{inside, patterns};
use crate::failure::{Failure, Outcome};

pub(crate) fn reset(wanted: &Reset) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let target = match &wanted.target {
        Some(revision) => commit_of(&repo, revision)?,
        None => head_commit(&repo)?,
    };
    if !wanted.files.is_empty() {
        if wanted.mode != ResetMode::Mixed {
            return Err(Failure::new(Problem::InvalidName, "files are for a mixed reset alone"));
        }
        let files = paths(&repo, &wanted.files)?;
        return Ok(
            repo.reset_default(Some(target.as_object()), files.iter().flat_map(|path| patterns(path)))?
        );
    }
    let kind = match wanted.mode {
        ResetMode::Soft => ResetType::Soft,
        ResetMode::Mixed => ResetType::Mixed,
        ResetMode::Hard => {
            let mut checkout = CheckoutBuilder::new();
            checkout.force();
            cancellable(&mut checkout);
            return Ok(repo.reset(target.as_object(), ResetType::Hard, Some(&mut checkout))?);
        }
        ResetMode::Keep => {
            move_files(&repo, &target)?;
            ResetType::Mixed
        }
    };
    Ok(repo.reset(target.as_object(), kind, None)?)
}

pub(crate) fn restore(wanted: &Restore) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let files = paths(&repo, &wanted.files)?;
    let source = wanted.source.as_deref().map(|revision| commit_of(&repo, revision)).transpose()?;
    // As git: without a word, the working tree is meant.
    let worktree = wanted.worktree || !wanted.staged;
    let tree = match &source {
        Some(commit) => Some(commit.tree()?),
        None => None,
    };
    for (path, file) in files.iter().zip(&wanted.files) {
        if !path.as_os_str().is_empty() && !is_known(&repo, tree.as_ref(), wanted.staged, path)? {
            return Err(Failure::new(Problem::PathNotFound, format!("git knows no file '{file}'")));
        }
    }
    if wanted.staged {
        let commit = match &source {
            Some(commit) => Some(commit.as_object().clone()),
            None => match head_commit(&repo) {
                Ok(commit) => Some(commit.into_object()),
                // Before the first commit, what is not staged is not there.
                Err(failure) if failure.problem == Problem::NoCommits => None,
                Err(failure) => return Err(failure),
            },
        };
        repo.reset_default(commit.as_ref(), files.iter().flat_map(|path| patterns(path)))?;
    }
    if worktree {
        let mut checkout = CheckoutBuilder::new();
        checkout.force().disable_pathspec_match(true).update_index(false);
        cancellable(&mut checkout);
        // An empty pattern list means everything.
        if !files.iter().any(|path| path.as_os_str().is_empty()) {
            for path in &files {
                checkout.path(path.as_path());
            }
        }
        match &tree {
            Some(tree) => repo.checkout_tree(tree.as_object(), Some(&mut checkout))?,
            None => repo.checkout_index(None, Some(checkout.update_index(true)))?,
        }
    }
    Ok(())
}

fn paths(repo: &Repository, files: &[String]) -> Outcome<Vec<PathBuf>> {
    if files.is_empty() {
        return Err(Failure::new(Problem::InvalidName, "no file is named"));
    }
    files.iter().map(|file| inside(repo, file)).collect()
}

/// Whether there is something to bring back: in the revision, in the index, or for the index in the current commit.
fn is_known(
    repo: &Repository,
    tree: Option<&Tree<'_>>,
    staged: bool,
    path: &std::path::Path,
) -> Outcome<bool> {
    if let Some(tree) = tree {
        return Ok(tree.get_path(path).is_ok());
    }
    let index = repo.index()?;
    let in_index = index.get_path(path, 0).is_some() || index.find_prefix(path).is_ok();
    let in_head = staged
        && head_commit(repo)
            .and_then(|commit| Ok(commit.tree()?))
            .is_ok_and(|tree| tree.get_path(path).is_ok());
    Ok(in_index || in_head)
}
