//! Git between JSON and the core's nouns.

use lazaret_core::{
    GitAccess, GitBranches, GitChange, GitClone, GitConfigFile, GitCredentials, GitHistory, GitNewRemote,
    GitPull, GitPush, GitRemote, GitReset, GitResetMode, GitRestore, GitStatus, Secret,
};

use super::wire;
use crate::failure::{FieldProblem, Part, Rejection};
use crate::native::time::rfc3339;

fn refuse(part: Part, field: &str, reason: &str) -> Rejection {
    let problem = FieldProblem::Other(reason.to_owned());
    Rejection::Field { part, field: field.to_owned(), problem }
}

/// A user and a password are one thing: half of it is a mistake.
fn access(
    username: Option<String>,
    password: Option<String>,
    insecure_skip_tls: bool,
) -> Result<GitAccess, Rejection> {
    let credentials = match (username, password) {
        (Some(username), Some(password)) => {
            Some(GitCredentials { username, password: Secret::new(password) })
        }
        (None, None) => None,
        (Some(_), None) => return Err(refuse(Part::Body, "password", "is missing beside a username")),
        (None, Some(_)) => return Err(refuse(Part::Body, "username", "is missing beside a password")),
    };
    Ok(GitAccess { credentials, insecure_skip_tls })
}

impl TryFrom<wire::CloneRequest> for GitClone {
    type Error = Rejection;

    fn try_from(request: wire::CloneRequest) -> Result<Self, Rejection> {
        let wire::CloneRequest { url, path, branch, commit, depth, .. } = request;
        let access = access(request.username, request.password, request.insecure_skip_tls)?;
        Ok(Self { url, path, branch, commit, depth, access })
    }
}

impl TryFrom<wire::PushRequest> for GitPush {
    type Error = Rejection;

    fn try_from(request: wire::PushRequest) -> Result<Self, Rejection> {
        let wire::PushRequest { path, remote, branch, set_upstream, .. } = request;
        let access = access(request.username, request.password, request.insecure_skip_tls)?;
        Ok(Self { path, remote, branch, set_upstream, access })
    }
}

impl TryFrom<wire::PullRequest> for GitPull {
    type Error = Rejection;

    fn try_from(request: wire::PullRequest) -> Result<Self, Rejection> {
        let wire::PullRequest { path, remote, branch, .. } = request;
        let access = access(request.username, request.password, request.insecure_skip_tls)?;
        Ok(Self { path, remote, branch, access })
    }
}

impl TryFrom<wire::NewRemote> for GitNewRemote {
    type Error = Rejection;

    fn try_from(request: wire::NewRemote) -> Result<Self, Rejection> {
        let wire::NewRemote { path, name, url, overwrite, fetch, .. } = request;
        let access = access(request.username, request.password, request.insecure_skip_tls)?;
        Ok(Self { path, name, url, overwrite, fetch, access })
    }
}

impl From<wire::ResetRequest> for GitReset {
    fn from(request: wire::ResetRequest) -> Self {
        let mode = match request.mode {
            wire::ResetMode::Soft => GitResetMode::Soft,
            wire::ResetMode::Mixed => GitResetMode::Mixed,
            wire::ResetMode::Hard => GitResetMode::Hard,
            wire::ResetMode::Keep => GitResetMode::Keep,
        };
        Self { path: request.path, mode, target: request.target, files: request.files }
    }
}

impl From<wire::RestoreRequest> for GitRestore {
    fn from(request: wire::RestoreRequest) -> Self {
        let wire::RestoreRequest { path, files, staged, worktree, source } = request;
        Self { path, files, staged, worktree, source }
    }
}

/// The file that a scope means; a path belongs to one of them alone.
pub(super) fn config_file(
    part: Part,
    scope: wire::ConfigScope,
    path: Option<String>,
) -> Result<GitConfigFile, Rejection> {
    match (scope, path) {
        (wire::ConfigScope::Global, None) => Ok(GitConfigFile::Global),
        (wire::ConfigScope::System, None) => Ok(GitConfigFile::System),
        (wire::ConfigScope::Local, Some(path)) => Ok(GitConfigFile::Local(path)),
        (wire::ConfigScope::Local, None) => {
            Err(Rejection::Field { part, field: "path".to_owned(), problem: FieldProblem::Missing })
        }
        (_, Some(_)) => Err(refuse(part, "path", "belongs to the scope local")),
    }
}

impl From<GitStatus> for wire::GitStatus {
    fn from(status: GitStatus) -> Self {
        Self {
            branch: status.branch,
            head: status.head,
            upstream: status.upstream,
            published: status.published,
            ahead: status.ahead,
            behind: status.behind,
            files: status
                .files
                .into_iter()
                .map(|file| wire::GitFile {
                    path: file.path,
                    old_path: file.old_path,
                    staged: change(file.staged),
                    worktree: change(file.worktree),
                })
                .collect(),
            truncated: status.truncated,
        }
    }
}

const fn change(change: GitChange) -> &'static str {
    match change {
        GitChange::Unmodified => "unmodified",
        GitChange::Untracked => "untracked",
        GitChange::Modified => "modified",
        GitChange::Added => "added",
        GitChange::Deleted => "deleted",
        GitChange::Renamed => "renamed",
        GitChange::Unmerged => "unmerged",
    }
}

impl From<GitBranches> for wire::Branches {
    fn from(branches: GitBranches) -> Self {
        Self { branches: branches.names, current: branches.current }
    }
}

impl From<GitHistory> for wire::History {
    fn from(history: GitHistory) -> Self {
        let commits = history.commits.into_iter().map(|commit| wire::Commit {
            hash: commit.hash,
            author: commit.author,
            email: commit.email,
            message: commit.message,
            at: rfc3339(commit.at),
        });
        Self { commits: commits.collect(), truncated: history.truncated }
    }
}

impl From<Vec<GitRemote>> for wire::Remotes {
    fn from(remotes: Vec<GitRemote>) -> Self {
        let remotes = remotes.into_iter().map(|remote| wire::Remote { name: remote.name, url: remote.url });
        Self { remotes: remotes.collect() }
    }
}
