//! Branches: list, make, delete, switch.

use git2::{Branch, BranchType, ErrorCode, Repository};
use lazaret_protocol::git::{Branches, Checkout, CreateBranch, DeleteBranch, NAMES_MAX, Problem};

use super::repository::{commit_of, current_branch, head_commit, move_files, open};
use crate::failure::{Failure, Outcome};
use crate::text::{Budget, lossy};

pub(crate) fn list(path: &str) -> Outcome<Branches> {
    let repo = open(path)?;
    let mut budget = Budget::default();
    let mut names = Vec::new();
    for branch in repo.branches(Some(BranchType::Local))? {
        let name = lossy(branch?.0.name_bytes()?);
        if names.len() == NAMES_MAX || !budget.take(&[&name]) {
            break;
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(Branches { names, current: current_branch(&repo)? })
}

pub(crate) fn create(wanted: &CreateBranch) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let name = checked(&wanted.name)?;
    let commit = head_commit(&repo)?;
    if repo.find_branch(name, BranchType::Local).is_ok() {
        return Err(Failure::new(Problem::BranchExists, format!("there is a branch '{name}' already")));
    }
    repo.branch(name, &commit, false)?;
    if wanted.switch {
        // The same commit: no file differs.
        repo.set_head(&format!("refs/heads/{name}"))?;
    }
    Ok(())
}

pub(crate) fn delete(wanted: &DeleteBranch) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let mut branch = find(&repo, &wanted.name)?;
    if branch.is_head() {
        let sentence = format!("the branch '{}' is checked out", wanted.name);
        return Err(Failure::new(Problem::BranchInUse, sentence));
    }
    Ok(branch.delete()?)
}

pub(crate) fn checkout(wanted: &Checkout) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let target = wanted.target.as_str();
    if repo.find_branch(target, BranchType::Local).is_ok() {
        return switch(&repo, target);
    }
    if Branch::name_is_valid(target).unwrap_or(false)
        && let Some(mut branch) = track(&repo, target)?
    {
        let switched = switch(&repo, target);
        if switched.is_err() {
            // As if it had not been asked for.
            branch.delete()?;
        }
        return switched;
    }
    let commit = commit_of(&repo, target).map_err(|failure| match failure.problem {
        Problem::RevisionNotFound => {
            Failure::new(Problem::BranchNotFound, format!("there is no branch or commit '{target}'"))
        }
        _ => failure,
    })?;
    move_files(&repo, &commit)?;
    Ok(repo.set_head_detached(commit.id())?)
}

/// Makes a local branch for the one of that name at a remote; `None` if no remote has one.
fn track<'a>(repo: &'a Repository, name: &str) -> Outcome<Option<Branch<'a>>> {
    let remotes = repo.remotes()?;
    for remote in remotes.iter().flatten().flatten() {
        let upstream = format!("{remote}/{name}");
        let Ok(found) = repo.find_branch(&upstream, BranchType::Remote) else { continue };
        let mut branch = repo.branch(name, &found.get().peel_to_commit()?, false)?;
        branch.set_upstream(Some(&upstream))?;
        return Ok(Some(branch));
    }
    Ok(None)
}

fn switch(repo: &Repository, name: &str) -> Outcome<()> {
    let reference = format!("refs/heads/{name}");
    let commit = repo.find_reference(&reference)?.peel_to_commit()?;
    move_files(repo, &commit)?;
    Ok(repo.set_head(&reference)?)
}

pub(super) fn find<'a>(repo: &'a Repository, name: &str) -> Outcome<Branch<'a>> {
    repo.find_branch(name, BranchType::Local).map_err(|error| match error.code() {
        ErrorCode::NotFound | ErrorCode::InvalidSpec => {
            Failure::new(Problem::BranchNotFound, format!("there is no branch '{name}'"))
        }
        _ => error.into(),
    })
}

/// `name`, if a branch may have it.
pub(super) fn checked(name: &str) -> Outcome<&str> {
    if Branch::name_is_valid(name)? {
        return Ok(name);
    }
    Err(Failure::new(Problem::InvalidName, format!("'{name}' is no name for a branch")))
}
