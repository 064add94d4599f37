//! Git as JSON. A `path` is a repository's directory in the sandbox: absolute, or relative to its working directory.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The repository that is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RepositoryQuery {
    /// Its directory.
    pub(crate) path: String,
}

/// A branch of a repository.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BranchQuery {
    /// The repository's directory.
    pub(crate) path: String,
    /// The branch.
    pub(crate) name: String,
}

/// Which commits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// The repository's directory.
    pub(crate) path: String,
    /// At most so many, 1 to 1000; 100 if it is absent.
    pub(crate) limit: Option<u32>,
}

/// Which value of the configuration.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfigQuery {
    /// The key, such as `user.name`.
    pub(crate) key: String,
    /// `global` if it is absent.
    pub(crate) scope: Option<ConfigScope>,
    /// The repository's directory, for the scope `local` and no other.
    pub(crate) path: Option<String>,
}

/// Which file of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConfigScope {
    /// That of the sandbox's user.
    #[default]
    Global,
    /// That of the repository.
    Local,
    /// That of the sandbox.
    System,
}

/// A repository to copy: one branch of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloneRequest {
    /// `https`, `http`, `git` or `file` URL, a path inside the sandbox, or a URL that lacks its `https://`. Credentials in
    /// it are used and not written down.
    pub(crate) url: String,
    /// The new directory; an empty one may be there.
    pub(crate) path: String,
    /// Branch or tag; the remote's default branch if it is absent.
    pub(crate) branch: Option<String>,
    /// A commit to check out afterwards, detached.
    pub(crate) commit: Option<String>,
    /// Commits of history to fetch; all if it is absent. Without effect on a remote that is a path, as with git.
    pub(crate) depth: Option<u32>,
    /// For the remote; together with a password. Neither is ever written down.
    pub(crate) username: Option<String>,
    /// The password or a token.
    pub(crate) password: Option<String>,
    /// Accept any certificate, and with it anybody who pretends to be the remote.
    #[serde(default)]
    pub(crate) insecure_skip_tls: bool,
}

/// A repository to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitRequest {
    /// Its directory, which may exist.
    pub(crate) path: String,
    /// Without a working tree.
    #[serde(default)]
    pub(crate) bare: bool,
    /// Its first branch; what the configuration says if it is absent.
    pub(crate) initial_branch: Option<String>,
}

/// A branch to make at the current commit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBranch {
    /// The repository's directory.
    pub(crate) path: String,
    /// Its name.
    pub(crate) name: String,
    /// Switch to it.
    #[serde(default)]
    pub(crate) switch: bool,
}

/// What to switch to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckoutRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// A branch, here or at a remote, or a commit.
    pub(crate) target: String,
}

/// What to stage.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// Files and directories, relative to it; `.` is everything.
    pub(crate) files: Vec<String>,
}

/// What is staged, to be committed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// The message.
    pub(crate) message: String,
    /// Name of author and committer.
    pub(crate) author: String,
    /// Their address.
    pub(crate) email: String,
    /// Even if nothing is staged.
    #[serde(default)]
    pub(crate) allow_empty: bool,
}

/// The new commit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Committed {
    /// Its hash.
    pub(crate) hash: String,
}

/// A branch to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// `origin` if it is absent.
    pub(crate) remote: Option<String>,
    /// The current branch if it is absent.
    pub(crate) branch: Option<String>,
    /// Make it the branch's upstream.
    #[serde(default)]
    pub(crate) set_upstream: bool,
    /// As in a clone.
    pub(crate) username: Option<String>,
    /// As in a clone.
    pub(crate) password: Option<String>,
    /// As in a clone.
    #[serde(default)]
    pub(crate) insecure_skip_tls: bool,
}

/// A branch to fetch and to integrate: forward, or by a merge that has no conflicts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// The upstream's, else `origin`, if it is absent.
    pub(crate) remote: Option<String>,
    /// The upstream, else the branch of the same name, if it is absent.
    pub(crate) branch: Option<String>,
    /// As in a clone.
    pub(crate) username: Option<String>,
    /// As in a clone.
    pub(crate) password: Option<String>,
    /// As in a clone.
    #[serde(default)]
    pub(crate) insecure_skip_tls: bool,
}

/// A remote to name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRemote {
    /// The repository's directory.
    pub(crate) path: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is; credentials in it are not written down.
    pub(crate) url: String,
    /// In place of one with that name.
    #[serde(default)]
    pub(crate) overwrite: bool,
    /// Fetch all its branches at once.
    #[serde(default)]
    pub(crate) fetch: bool,
    /// For that, as in a clone.
    pub(crate) username: Option<String>,
    /// As in a clone.
    pub(crate) password: Option<String>,
    /// As in a clone.
    #[serde(default)]
    pub(crate) insecure_skip_tls: bool,
}

/// What a reset moves to a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetMode {
    /// The branch alone.
    Soft,
    /// The branch and the index.
    #[default]
    Mixed,
    /// Branch, index and files; changes are lost.
    Hard,
    /// Branch, index and files, unless a changed file is in the way.
    Keep,
}

/// A commit to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// `mixed` if it is absent.
    #[serde(default)]
    pub(crate) mode: ResetMode,
    /// A revision; the current commit if it is absent.
    pub(crate) target: Option<String>,
    /// If there are any, only the index entries of these move, and the mode must be mixed.
    #[serde(default)]
    pub(crate) files: Vec<String>,
}

/// Files to bring back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreRequest {
    /// The repository's directory.
    pub(crate) path: String,
    /// Files and directories, relative to it; `.` is everything.
    pub(crate) files: Vec<String>,
    /// In the index.
    #[serde(default)]
    pub(crate) staged: bool,
    /// In the working tree; meant as well if neither is set.
    #[serde(default)]
    pub(crate) worktree: bool,
    /// From this revision; else the current commit for the index, and the index for the working tree.
    pub(crate) source: Option<String>,
}

/// Values of the configuration to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigRequest {
    /// Keys and their values.
    pub(crate) values: std::collections::BTreeMap<String, String>,
    /// `global` if it is absent.
    #[serde(default)]
    pub(crate) scope: ConfigScope,
    /// The repository's directory, for the scope `local` and no other.
    pub(crate) path: Option<String>,
}

/// A value of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigValue {
    /// Null if it is not set.
    pub(crate) value: Option<String>,
}

/// State of branch and files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitStatus {
    /// The current branch, with or without a commit; null if a commit is checked out.
    pub(crate) branch: Option<String>,
    /// Hash of the current commit; null before the first.
    pub(crate) head: Option<String>,
    /// The upstream branch, such as `origin/main`.
    pub(crate) upstream: Option<String>,
    /// A remote had the branch when it was last asked.
    pub(crate) published: bool,
    /// Commits that the upstream lacks.
    pub(crate) ahead: u64,
    /// Commits that only the upstream has.
    pub(crate) behind: u64,
    /// Files that are not as the commit has them.
    pub(crate) files: Vec<GitFile>,
    /// There are more than one answer holds.
    pub(crate) truncated: bool,
}

/// One file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitFile {
    /// Its path in the repository.
    pub(crate) path: String,
    /// The path that it had, if it was renamed.
    pub(crate) old_path: Option<String>,
    /// The index against the commit: `unmodified`, `untracked`, `modified`, `added`, `deleted`, `renamed` or `unmerged`.
    pub(crate) staged: &'static str,
    /// The working tree against the index, in the same words.
    pub(crate) worktree: &'static str,
}

/// Local branches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Branches {
    /// Their names, sorted.
    pub(crate) branches: Vec<String>,
    /// The one that is checked out.
    pub(crate) current: Option<String>,
}

/// Commits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// Newest first.
    pub(crate) commits: Vec<Commit>,
    /// There are more.
    pub(crate) truncated: bool,
}

/// One commit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Commit {
    /// Its hash.
    pub(crate) hash: String,
    /// Name of its author.
    pub(crate) author: String,
    /// Their address.
    pub(crate) email: String,
    /// Its message.
    pub(crate) message: String,
    /// RFC 3339; when it was written.
    pub(crate) at: String,
}

/// Remotes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Remotes {
    /// Sorted by name.
    pub(crate) remotes: Vec<Remote>,
}

/// One remote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Remote {
    /// Its name.
    pub(crate) name: String,
    /// Where it is, as the configuration says.
    pub(crate) url: String,
}
