//! What the git program can be asked to do. Paths are absolute or relative to its working directory.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

/// The operations.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Operation {
    /// Copy a repository; answered by `Done`.
    #[n(0)]
    Clone(#[n(0)] Box<Clone>),
    /// Make an empty repository; answered by `Done`.
    #[n(1)]
    Init(#[n(0)] Init),
    /// The state of branch and files of the repository at the path; answered by `Status`.
    #[n(2)]
    Status(#[n(0)] String),
    /// The local branches of the repository at the path; answered by `Branches`.
    #[n(3)]
    Branches(#[n(0)] String),
    /// Make a branch; answered by `Done`.
    #[n(4)]
    CreateBranch(#[n(0)] CreateBranch),
    /// Delete a branch; answered by `Done`.
    #[n(5)]
    DeleteBranch(#[n(0)] DeleteBranch),
    /// Switch to a branch or a commit; answered by `Done`.
    #[n(6)]
    Checkout(#[n(0)] Checkout),
    /// Stage files; answered by `Done`.
    #[n(7)]
    Add(#[n(0)] Add),
    /// Commit what is staged; answered by `Committed`.
    #[n(8)]
    Commit(#[n(0)] CommitStaged),
    /// Send a branch to a remote; answered by `Done`.
    #[n(9)]
    Push(#[n(0)] Push),
    /// Fetch a branch of a remote and integrate it; answered by `Done`.
    #[n(10)]
    Pull(#[n(0)] Pull),
    /// Commits from the current one back; answered by `History`.
    #[n(11)]
    Log(#[n(0)] Log),
    /// The remotes of the repository at the path; answered by `Remotes`.
    #[n(12)]
    Remotes(#[n(0)] String),
    /// Name a remote; answered by `Done`.
    #[n(13)]
    AddRemote(#[n(0)] AddRemote),
    /// Move the branch, the index or the files to a commit; answered by `Done`.
    #[n(14)]
    Reset(#[n(0)] Reset),
    /// Bring back files; answered by `Done`.
    #[n(15)]
    Restore(#[n(0)] Restore),
    /// A value of the configuration; answered by `Value`.
    #[n(16)]
    GetConfig(#[n(0)] GetConfig),
    /// Set values of the configuration; answered by `Done`.
    #[n(17)]
    SetConfig(#[n(0)] SetConfig),
}

impl Operation {
    /// The oldest program that understands every field that is set.
    #[must_use]
    pub fn needs(&self) -> u32 {
        // Without `_`, so that a new operation has to say since when it exists.
        match self {
            Self::Clone(_)
            | Self::Init(_)
            | Self::Status(_)
            | Self::Branches(_)
            | Self::CreateBranch(_)
            | Self::DeleteBranch(_)
            | Self::Checkout(_)
            | Self::Add(_)
            | Self::Commit(_)
            | Self::Push(_)
            | Self::Pull(_)
            | Self::Log(_)
            | Self::Remotes(_)
            | Self::AddRemote(_)
            | Self::Reset(_)
            | Self::Restore(_)
            | Self::GetConfig(_)
            | Self::SetConfig(_) => 1,
        }
    }
}

/// Copy a repository: one branch of it, unless a commit is wanted that only another has.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Clone {
    /// A URL with a scheme, a path inside the sandbox, or a URL that lacks `https://`.
    #[n(0)]
    pub url: String,
    /// The new directory; an empty one may be there.
    #[n(1)]
    pub path: String,
    /// Branch or tag; `None` is the remote's default branch.
    #[n(2)]
    pub branch: Option<String>,
    /// A commit to check out afterwards, detached.
    #[n(3)]
    pub commit: Option<String>,
    /// Commits of history to fetch; `None` is all. Without effect on a remote that is a path, as with git itself.
    #[n(4)]
    pub depth: Option<u32>,
}

/// Make an empty repository.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Init {
    /// Its directory, which may exist.
    #[n(0)]
    pub path: String,
    /// Without a working tree.
    #[n(1)]
    #[cbor(default)]
    pub bare: bool,
    /// Its first branch; `None` is what the configuration says.
    #[n(2)]
    pub initial_branch: Option<String>,
}

/// Make a branch at the current commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CreateBranch {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// Switch to it.
    #[n(2)]
    #[cbor(default)]
    pub switch: bool,
}

/// Delete a local branch that is not checked out, merged or not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeleteBranch {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Its name.
    #[n(1)]
    pub name: String,
}

/// Switch to a local branch, to one that a remote has, or to a commit, detached. Changes that are in the way stop it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkout {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Branch or commit.
    #[n(1)]
    pub target: String,
}

/// Stage files as they are, deletions included.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Add {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Files and directories, relative to its root; `.` is everything.
    #[n(1)]
    pub files: Vec<String>,
}

/// Commit what is staged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitStaged {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// The message.
    #[n(1)]
    pub message: String,
    /// Name of author and committer.
    #[n(2)]
    pub author: String,
    /// Their address.
    #[n(3)]
    pub email: String,
    /// Even if nothing is staged.
    #[n(4)]
    #[cbor(default)]
    pub allow_empty: bool,
}

/// Send a branch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Push {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// `None` is `origin`.
    #[n(1)]
    pub remote: Option<String>,
    /// `None` is the current branch.
    #[n(2)]
    pub branch: Option<String>,
    /// Make it the branch's upstream.
    #[n(3)]
    #[cbor(default)]
    pub set_upstream: bool,
}

/// Fetch a branch and integrate it into the current one: forward if it can be, else by a merge without conflicts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pull {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// `None` is the upstream's, else `origin`.
    #[n(1)]
    pub remote: Option<String>,
    /// `None` is the upstream, else the one of the same name.
    #[n(2)]
    pub branch: Option<String>,
}

/// Commits from the current one back, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Log {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Most commits; never more than [`super::HISTORY_COMMITS_MAX`].
    #[n(1)]
    pub limit: u32,
}

/// Name a remote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AddRemote {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// Where it is.
    #[n(2)]
    pub url: String,
    /// In place of one with that name.
    #[n(3)]
    #[cbor(default)]
    pub overwrite: bool,
    /// Fetch from it at once.
    #[n(4)]
    #[cbor(default)]
    pub fetch: bool,
}

/// What a reset moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ResetMode {
    /// The branch alone.
    #[n(0)]
    Soft,
    /// The branch and the index.
    #[n(1)]
    Mixed,
    /// Branch, index and files, whatever was in them.
    #[n(2)]
    Hard,
    /// Branch, index and files, unless a changed file is in the way.
    #[n(3)]
    Keep,
}

/// Move the branch, the index or the files to a commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reset {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// What moves.
    #[n(1)]
    pub mode: ResetMode,
    /// A revision; `None` is the current commit.
    #[n(2)]
    pub target: Option<String>,
    /// Only the index entries of these; the branch then stays.
    #[n(3)]
    #[cbor(default)]
    pub files: Vec<String>,
}

/// Bring back files.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Restore {
    /// The repository.
    #[n(0)]
    pub path: String,
    /// Files and directories, relative to its root; `.` is everything.
    #[n(1)]
    pub files: Vec<String>,
    /// In the index.
    #[n(2)]
    #[cbor(default)]
    pub staged: bool,
    /// In the working tree.
    #[n(3)]
    #[cbor(default)]
    pub worktree: bool,
    /// From this revision; `None` is the current commit for the index, and the index for the working tree.
    #[n(4)]
    pub source: Option<String>,
}

/// Which file of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ConfigScope {
    /// The user's.
    #[n(0)]
    Global,
    /// The repository's.
    #[n(1)]
    Local,
    /// The system's.
    #[n(2)]
    System,
}

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GetConfig {
    /// Which file.
    #[n(0)]
    pub scope: ConfigScope,
    /// The repository, for its own file.
    #[n(1)]
    pub path: Option<String>,
    /// The key, such as `user.name`.
    #[n(2)]
    pub key: String,
}

/// Set values of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SetConfig {
    /// Which file.
    #[n(0)]
    pub scope: ConfigScope,
    /// The repository, for its own file.
    #[n(1)]
    pub path: Option<String>,
    /// Keys and their values.
    #[n(2)]
    pub entries: Vec<(String, String)>,
}
