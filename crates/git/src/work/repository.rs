//! What most operations begin with: the repository, its current branch, a revision, a careful checkout.

use std::ffi::OsStr;

use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, Commit, ErrorCode, ObjectType, Repository, RepositoryOpenFlags};
use lazaret_protocol::git::Problem;

use crate::cancel;
use crate::failure::{Failure, Outcome};

/// The repository at `path` itself: those of directories above are not looked for.
pub(super) fn open(path: &str) -> Outcome<Repository> {
    let none: [&OsStr; 0] = [];
    Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, none).map_err(|error| match error.code() {
        ErrorCode::NotFound => {
            Failure::new(Problem::RepoNotFound, format!("there is no repository at {path}"))
        }
        ErrorCode::Owner => {
            let sentence =
                format!("the repository at {path} belongs to another user; see safe.directory of git");
            Failure::new(Problem::PermissionDenied, sentence)
        }
        _ => error.into(),
    })
}

/// Full name of the reference that HEAD is, born or not; `None` if a commit is checked out.
pub(super) fn head_reference(repo: &Repository) -> Outcome<Option<String>> {
    Ok(repo.find_reference("HEAD")?.symbolic_target()?.map(str::to_owned))
}

/// Short name of the current branch, born or not; `None` if a commit is checked out.
pub(super) fn current_branch(repo: &Repository) -> Outcome<Option<String>> {
    let reference = head_reference(repo)?;
    Ok(reference.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned)))
}

/// The current branch, where one is needed.
pub(super) fn need_branch(repo: &Repository) -> Outcome<String> {
    let none = || Failure::new(Problem::NotOnBranch, "no branch is checked out: name one");
    current_branch(repo)?.ok_or_else(none)
}

/// The current commit.
pub(super) fn head_commit(repo: &Repository) -> Outcome<Commit<'_>> {
    match repo.head() {
        Ok(head) => Ok(head.peel_to_commit()?),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            Err(Failure::new(Problem::NoCommits, "the repository has no commit yet"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The commit that a revision means.
pub(super) fn commit_of<'a>(repo: &'a Repository, revision: &str) -> Outcome<Commit<'a>> {
    let object = repo.revparse_single(revision).map_err(|error| match error.code() {
        ErrorCode::InvalidSpec => Failure::new(Problem::InvalidName, format!("'{revision}' is no revision")),
        _ => Failure::new(Problem::RevisionNotFound, format!("there is no revision '{revision}'")),
    })?;
    let commit = object.peel(ObjectType::Commit).ok().and_then(|object| object.into_commit().ok());
    commit.ok_or_else(|| Failure::new(Problem::RevisionNotFound, format!("'{revision}' is no commit")))
}

/// A checkout that overwrites nothing that was changed, and can be given up.
pub(super) fn careful() -> CheckoutBuilder<'static> {
    let mut checkout = CheckoutBuilder::new();
    checkout.safe();
    cancellable(&mut checkout);
    checkout
}

/// Makes a checkout look whether it is to go on.
pub(super) fn cancellable(checkout: &mut CheckoutBuilder<'_>) {
    checkout.notify_on(CheckoutNotificationType::UPDATED | CheckoutNotificationType::CONFLICT);
    checkout.notify(|_, _, _, _, _| !cancel::is_asked());
}

/// Brings files and index from the current commit to `commit`; HEAD stays.
pub(super) fn move_files(repo: &Repository, commit: &Commit<'_>) -> Outcome<()> {
    repo.checkout_tree(commit.as_object(), Some(&mut careful())).map_err(|error| {
        let failure = Failure::from(error);
        match failure.problem {
            Problem::Cancelled if !cancel::is_asked() => {
                Failure { problem: Problem::DirtyWorktree, ..failure }
            }
            _ => failure,
        }
    })
}
