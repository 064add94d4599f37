//! Git on the wire. What clients send without a value may be absent, null or empty.

use lazaret_core::{
    Error, GitAccess, GitChange, GitCommitEntry, GitConfigFile, GitCredentials, GitFile, GitResetMode,
    GitStatus, Secret,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::daytona::time::iso8601;

/// What to clone, and where.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CloneRequest {
    pub(super) url: String,
    pub(super) path: String,
    pub(super) branch: Option<String>,
    pub(super) commit_id: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) depth: Option<u32>,
    pub(super) insecure_skip_tls: Option<bool>,
}

/// A repository to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct InitRequest {
    pub(super) path: String,
    pub(super) bare: Option<bool>,
    pub(super) initial_branch: Option<String>,
}

/// A repository.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RepositoryQuery {
    /// Its directory.
    pub(super) path: String,
}

/// A branch.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct BranchRequest {
    pub(super) path: String,
    pub(super) name: String,
}

/// A remote to add.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RemoteRequest {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) overwrite: Option<bool>,
    pub(super) fetch: Option<bool>,
}

/// A value of a configuration.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ConfigQuery {
    /// Such as `user.name`.
    pub(super) key: String,
    /// `global`, which is the default, `system` or `local`.
    pub(super) scope: Option<String>,
    /// For `local`: the repository's directory.
    pub(super) path: Option<String>,
}

/// A value to write.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ConfigRequest {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) scope: Option<String>,
    pub(super) path: Option<String>,
}

/// Who commits.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct UserRequest {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) scope: Option<String>,
    pub(super) path: Option<String>,
}

/// What to check out.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CheckoutRequest {
    pub(super) path: String,
    pub(super) branch: String,
}

/// What to stage.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AddRequest {
    pub(super) path: String,
    pub(super) files: Vec<String>,
}

/// What to commit.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CommitRequest {
    pub(super) path: String,
    pub(super) message: String,
    pub(super) author: String,
    pub(super) email: String,
    pub(super) allow_empty: Option<bool>,
}

/// A push or a pull.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ExchangeRequest {
    pub(super) path: String,
    pub(super) remote: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) set_upstream: Option<bool>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ResetRequest {
    pub(super) path: String,
    pub(super) mode: Option<String>,
    pub(super) target: Option<String>,
    pub(super) files: Option<Vec<String>>,
}

/// What to restore.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RestoreRequest {
    pub(super) path: String,
    pub(super) files: Vec<String>,
    pub(super) staged: Option<bool>,
    pub(super) worktree: Option<bool>,
    pub(super) source: Option<String>,
}

/// The state of a repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    current_branch: String,
    file_status: Vec<FileStatus>,
    branch_published: bool,
    ahead: u64,
    behind: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    detached: bool,
}

/// A file that differs.
#[derive(Debug, Serialize, ToSchema)]
struct FileStatus {
    name: String,
    /// The path that it had, if it was renamed.
    extra: String,
    staging: &'static str,
    worktree: &'static str,
}

/// The branches of a repository.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Branches {
    pub(super) branches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
}

/// A commit that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Committed {
    pub(super) hash: String,
}

/// A commit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CommitInfo {
    hash: String,
    author: String,
    email: String,
    message: String,
    timestamp: String,
}

/// A remote.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Remote {
    pub(super) name: String,
    pub(super) url: String,
}

/// The remotes of a repository.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Remotes {
    pub(super) remotes: Vec<Remote>,
}

/// A value, if there is one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigValue {
    pub(super) value: Option<String>,
}

impl From<GitStatus> for Status {
    fn from(status: GitStatus) -> Self {
        Self {
            detached: status.branch.is_none(),
            current_branch: status.branch.unwrap_or_else(|| "HEAD".to_owned()),
            file_status: status.files.into_iter().map(FileStatus::from).collect(),
            branch_published: status.published,
            ahead: status.ahead,
            behind: status.behind,
            upstream: status.upstream,
        }
    }
}

impl From<GitFile> for FileStatus {
    fn from(file: GitFile) -> Self {
        Self {
            name: file.path,
            extra: file.old_path.unwrap_or_default(),
            staging: word(file.staged),
            worktree: word(file.worktree),
        }
    }
}

const fn word(change: GitChange) -> &'static str {
    match change {
        GitChange::Unmodified => "Unmodified",
        GitChange::Untracked => "Untracked",
        GitChange::Modified => "Modified",
        GitChange::Added => "Added",
        GitChange::Deleted => "Deleted",
        GitChange::Renamed => "Renamed",
        GitChange::Unmerged => "Updated but unmerged",
    }
}

impl From<GitCommitEntry> for CommitInfo {
    fn from(commit: GitCommitEntry) -> Self {
        Self {
            hash: commit.hash,
            author: commit.author,
            email: commit.email,
            message: commit.message,
            timestamp: iso8601(commit.at),
        }
    }
}

/// The text, if there is one.
pub(super) fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// How a remote is reached. Credentials count as a pair.
pub(super) fn access(
    username: Option<String>,
    password: Option<String>,
    insecure: Option<bool>,
) -> GitAccess {
    let credentials = match (some(username), some(password)) {
        (Some(username), Some(password)) => {
            Some(GitCredentials { username, password: Secret::new(password) })
        }
        _ => None,
    };
    GitAccess { credentials, insecure_skip_tls: insecure.unwrap_or(false) }
}

/// Which file of the configuration a scope means.
pub(super) fn config_file(scope: Option<String>, path: Option<String>) -> Result<GitConfigFile, Error> {
    match some(scope).as_deref() {
        None | Some("global") => Ok(GitConfigFile::Global),
        Some("system") => Ok(GitConfigFile::System),
        Some("local") => match some(path) {
            Some(path) => Ok(GitConfigFile::Local(path)),
            None => Err(Error::invalid("path", "is required for the scope local")),
        },
        Some(_) => Err(Error::invalid("scope", "must be global, local or system")),
    }
}

/// What a reset moves.
pub(super) fn reset_mode(mode: Option<String>) -> Result<GitResetMode, Error> {
    match some(mode).as_deref() {
        None | Some("mixed") => Ok(GitResetMode::Mixed),
        Some("soft") => Ok(GitResetMode::Soft),
        Some("hard") => Ok(GitResetMode::Hard),
        Some("keep") => Ok(GitResetMode::Keep),
        Some("merge") => {
            Err(Error::Unsupported { what: "a reset with the mode merge; keep is near".to_owned() })
        }
        Some(_) => Err(Error::invalid("mode", "must be soft, mixed, hard, merge or keep")),
    }
}
