//! Nouns of git: what can be asked of a repository inside a sandbox, and what is answered.
//!
//! Repositories are directories of a sandbox: every answer is the tenant's claim about them. Paths are absolute, or
//! relative to the sandbox's working directory.

use crate::Secret;

/// Who asks a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCredentials {
    /// The user; for a token, what its host says.
    pub username: String,
    /// The password or token. It is in memory only, here and in the sandbox.
    pub password: Secret,
}

/// How a remote is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitAccess {
    /// For that remote and no other; `None` asks as a stranger.
    pub credentials: Option<GitCredentials>,
    /// Accept any certificate, and with it anybody who pretends to be the remote.
    pub insecure_skip_tls: bool,
}

/// A repository to copy: one branch of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitClone {
    /// `https`, `http`, `git` or `file` URL, a path inside the sandbox, or a URL that lacks its `https://`. Credentials in
    /// it are used and not written down.
    pub url: String,
    /// The new directory; an empty one may be there.
    pub path: String,
    /// Branch or tag; `None` is the remote's default branch.
    pub branch: Option<String>,
    /// A commit to check out afterwards, detached; it need not be on the branch.
    pub commit: Option<String>,
    /// Commits of history to fetch, at least 1; `None` is all. Without effect on a remote that is a path, as with git.
    pub depth: Option<u32>,
    /// How the remote is reached.
    pub access: GitAccess,
}

/// A branch to make at the current commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitNewBranch {
    /// The repository.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Switch to it.
    pub switch: bool,
}

/// What is staged, to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommit {
    /// The repository.
    pub path: String,
    /// The message.
    pub message: String,
    /// Name of author and committer.
    pub author: String,
    /// Their address.
    pub email: String,
    /// Even if nothing is staged.
    pub allow_empty: bool,
}

/// A branch to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitPush {
    /// The repository.
    pub path: String,
    /// `None` is `origin`.
    pub remote: Option<String>,
    /// `None` is the current branch.
    pub branch: Option<String>,
    /// Make it the branch's upstream.
    pub set_upstream: bool,
    /// How the remote is reached.
    pub access: GitAccess,
}

/// A branch to fetch and to integrate into the current one: forward, or by a merge that has no conflicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitPull {
    /// The repository.
    pub path: String,
    /// `None` is the upstream's, else `origin`.
    pub remote: Option<String>,
    /// `None` is the upstream, else the branch of the same name.
    pub branch: Option<String>,
    /// How the remote is reached.
    pub access: GitAccess,
}

/// A remote to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitNewRemote {
    /// The repository.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Where it is; credentials in it are not written down.
    pub url: String,
    /// In place of one with that name.
    pub overwrite: bool,
    /// Fetch all its branches at once.
    pub fetch: bool,
    /// How it is reached for that.
    pub access: GitAccess,
}

/// What a reset moves to a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GitResetMode {
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitReset {
    /// The repository.
    pub path: String,
    /// What moves.
    pub mode: GitResetMode,
    /// A revision; `None` is the current commit.
    pub target: Option<String>,
    /// If there are any, only the index entries of these move, and the mode must be mixed.
    pub files: Vec<String>,
}

/// Files to bring back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitRestore {
    /// The repository.
    pub path: String,
    /// Files and directories, relative to its root; `.` is everything.
    pub files: Vec<String>,
    /// In the index.
    pub staged: bool,
    /// In the working tree; meant as well if neither is set.
    pub worktree: bool,
    /// From this revision; `None` is the current commit for the index, and the index for the working tree.
    pub source: Option<String>,
}

/// Which file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitConfigFile {
    /// `.gitconfig` of the sandbox's user.
    Global,
    /// That of the repository at the path.
    Local(String),
    /// `/etc/gitconfig`.
    System,
}

/// Everything that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitCommand {
    /// Copy a repository.
    Clone(GitClone),
    /// Make an empty repository.
    Init {
        /// Its directory.
        path: String,
        /// Without a working tree.
        bare: bool,
        /// Its first branch; `None` is what the configuration says.
        initial_branch: Option<String>,
    },
    /// State of branch and files of the repository at the path.
    Status(String),
    /// Local branches of the repository at the path.
    Branches(String),
    /// Make a branch.
    CreateBranch(GitNewBranch),
    /// Delete a branch.
    DeleteBranch {
        /// The repository.
        path: String,
        /// The branch.
        name: String,
    },
    /// Switch to a branch, here or at a remote, or to a commit.
    Checkout {
        /// The repository.
        path: String,
        /// Branch or commit.
        target: String,
    },
    /// Stage files, deletions included.
    Add {
        /// The repository.
        path: String,
        /// Files and directories, relative to its root; `.` is everything.
        files: Vec<String>,
    },
    /// Commit.
    Commit(GitCommit),
    /// Send a branch.
    Push(GitPush),
    /// Fetch and integrate a branch.
    Pull(GitPull),
    /// Commits from the current one back.
    History {
        /// The repository.
        path: String,
        /// Most commits.
        limit: u32,
    },
    /// Remotes of the repository at the path.
    Remotes(String),
    /// Name a remote.
    AddRemote(GitNewRemote),
    /// Go back to a commit.
    Reset(GitReset),
    /// Bring back files.
    Restore(GitRestore),
    /// A value of the configuration.
    GetConfig {
        /// Where.
        file: GitConfigFile,
        /// The key.
        key: String,
    },
    /// Values of the configuration to set.
    SetConfig {
        /// Where.
        file: GitConfigFile,
        /// Keys and values.
        entries: Vec<(String, String)>,
    },
}

impl GitCommand {
    /// How a remote is reached, for a command that may reach one.
    pub fn access(&self) -> Option<&GitAccess> {
        match self {
            Self::Clone(GitClone { access, .. })
            | Self::Push(GitPush { access, .. })
            | Self::Pull(GitPull { access, .. })
            | Self::AddRemote(GitNewRemote { access, .. }) => Some(access),
            Self::Init { .. }
            | Self::Status(_)
            | Self::Branches(_)
            | Self::CreateBranch(_)
            | Self::DeleteBranch { .. }
            | Self::Checkout { .. }
            | Self::Add { .. }
            | Self::Commit(_)
            | Self::History { .. }
            | Self::Remotes(_)
            | Self::Reset(_)
            | Self::Restore(_)
            | Self::GetConfig { .. }
            | Self::SetConfig { .. } => None,
        }
    }
}

/// What is answered: each command has its one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitOutcome {
    /// It is done.
    Done,
    /// To [`GitCommand::Status`].
    Status(GitStatus),
    /// To [`GitCommand::Branches`].
    Branches(GitBranches),
    /// To [`GitCommand::Commit`]: the hash of the new commit.
    Committed(String),
    /// To [`GitCommand::History`].
    History(GitHistory),
    /// To [`GitCommand::Remotes`].
    Remotes(Vec<GitRemote>),
    /// To [`GitCommand::GetConfig`]; `None` if it is not set.
    Value(Option<String>),
}

/// State of branch and files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitStatus {
    /// The current branch, with or without a commit; `None` if a commit is checked out.
    pub branch: Option<String>,
    /// Hash of the current commit; `None` before the first.
    pub head: Option<String>,
    /// The upstream branch, such as `origin/main`.
    pub upstream: Option<String>,
    /// A remote had the branch when it was last asked.
    pub published: bool,
    /// Commits that the upstream lacks.
    pub ahead: u64,
    /// Commits that only the upstream has.
    pub behind: u64,
    /// Files that are not as the commit has them.
    pub files: Vec<GitFile>,
    /// There are more than one answer holds.
    pub truncated: bool,
}

/// One file of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFile {
    /// Its path in the repository, with what is not UTF-8 replaced.
    pub path: String,
    /// The path that it had, if it was renamed.
    pub old_path: Option<String>,
    /// The index against the commit.
    pub staged: GitChange,
    /// The working tree against the index.
    pub worktree: GitChange,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitChange {
    /// Not at all.
    Unmodified,
    /// Git does not know it; said of index and working tree both.
    Untracked,
    /// Other content, type or permissions.
    Modified,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It has another path.
    Renamed,
    /// Both sides of a merge changed it.
    Unmerged,
}

/// Local branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitBranches {
    /// Their names, sorted.
    pub names: Vec<String>,
    /// The one that is checked out.
    pub current: Option<String>,
}

/// Commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHistory {
    /// Newest first.
    pub commits: Vec<GitCommitEntry>,
    /// There are more.
    pub truncated: bool,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommitEntry {
    /// Its hash.
    pub hash: String,
    /// Name of its author.
    pub author: String,
    /// Their address.
    pub email: String,
    /// Its message.
    pub message: String,
    /// When it was written, as its author's clock had it.
    pub at: crate::Timestamp,
}

/// One remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRemote {
    /// Its name.
    pub name: String,
    /// Where it is, as the configuration says.
    pub url: String,
}
