//! What the git program answers.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

/// The answers. Text that is not UTF-8 in the repository has its bad bytes replaced.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// It is done.
    #[n(0)]
    Done,
    /// It is not.
    #[n(1)]
    Failed(#[n(0)] Failed),
    /// State of branch and files.
    #[n(2)]
    Status(#[n(0)] Status),
    /// Local branches.
    #[n(3)]
    Branches(#[n(0)] Branches),
    /// The hash of the new commit, in hexadecimal digits.
    #[n(4)]
    Committed(#[n(0)] String),
    /// Commits.
    #[n(5)]
    History(#[n(0)] History),
    /// Remotes.
    #[n(6)]
    Remotes(#[n(0)] Remotes),
    /// A value of the configuration; `None` if it is not set.
    #[n(7)]
    Value(#[n(0)] Option<String>),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Failed {
    /// What a caller can act on.
    #[n(0)]
    pub problem: Problem,
    /// A sentence for a person; at most [`super::DETAIL_MAX`] bytes.
    #[n(1)]
    pub detail: String,
}

macro_rules! problems {
    ($($(#[$doc:meta])+ $name:ident = $code:literal,)+) => {
        /// What went wrong, as far as a caller can act on it. A code that this build does not know reads as
        /// [`Problem::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Problem {
            $($(#[$doc])+ $name = $code,)+
        }

        impl Problem {
            /// Every problem that this build knows.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            fn from_code(code: u16) -> Self {
                match code {
                    $($code => Self::$name,)+
                    _ => Self::Other,
                }
            }
        }
    };
}

problems! {
    /// None of the others.
    Other = 0,
    /// This program is too old for the request.
    Unsupported = 1,
    /// The remote wants credentials, or others.
    AuthFailed = 2,
    /// The remote knows who asks, and refuses.
    AccessDenied = 3,
    /// There is no repository at the path or the URL.
    RepoNotFound = 4,
    /// No such branch.
    BranchNotFound = 5,
    /// No such commit, tag or revision.
    RevisionNotFound = 6,
    /// No such remote.
    RemoteNotFound = 7,
    /// No such file in the working tree, the index or the revision.
    PathNotFound = 8,
    /// A branch has that name already.
    BranchExists = 9,
    /// A remote has that name already.
    RemoteExists = 10,
    /// The new repository's directory exists and is not empty.
    TargetExists = 11,
    /// The branch is checked out.
    BranchInUse = 12,
    /// No branch is checked out, and the operation needs one.
    NotOnBranch = 13,
    /// The repository has no commit yet.
    NoCommits = 14,
    /// Changes in the working tree or the index are in the way.
    DirtyWorktree = 15,
    /// Both sides changed the same lines.
    MergeConflict = 16,
    /// Nothing is staged.
    NothingToCommit = 17,
    /// The configuration has no user.name and user.email.
    NoIdentity = 18,
    /// The remote has commits that the branch lacks.
    PushRejected = 19,
    /// The remote refused the branch for a reason of its own.
    RemoteRejected = 20,
    /// The remote was not reached, or what it said made no sense.
    TransportFailed = 21,
    /// No transport for a URL like that, or what was asked needs another.
    UnsupportedUrl = 22,
    /// A name, a key, a path or a revision is not well-formed.
    InvalidName = 23,
    /// The user may not read or write there, or the repository belongs to another user.
    PermissionDenied = 24,
    /// The disk is full.
    NoSpace = 25,
    /// The host gave up, and so did the program.
    Cancelled = 26,
}

impl<C> Encode<C> for Problem {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u16(*self as u16)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Problem {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        decoder.u16().map(Self::from_code)
    }
}

/// State of branch and files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Status {
    /// The branch, born or not; `None` if a commit is checked out.
    #[n(0)]
    pub branch: Option<String>,
    /// The commit, in hexadecimal digits; `None` before the first.
    #[n(1)]
    pub head: Option<String>,
    /// The upstream branch, such as `origin/main`.
    #[n(2)]
    pub upstream: Option<String>,
    /// A remote has the branch.
    #[n(3)]
    pub published: bool,
    /// Commits that the upstream lacks.
    #[n(4)]
    pub ahead: u64,
    /// Commits that only the upstream has.
    #[n(5)]
    pub behind: u64,
    /// Files that are not as the commit has them.
    #[n(6)]
    pub files: Vec<FileStatus>,
    /// There are more.
    #[n(7)]
    pub truncated: bool,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FileStatus {
    /// Its path in the repository.
    #[n(0)]
    pub path: String,
    /// The path that it had, if it was renamed.
    #[n(1)]
    pub old_path: Option<String>,
    /// The index against the commit.
    #[n(2)]
    pub staged: Change,
    /// The working tree against the index.
    #[n(3)]
    pub worktree: Change,
}

/// How a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Change {
    /// Not at all.
    #[n(0)]
    Unmodified,
    /// Git does not know it.
    #[n(1)]
    Untracked,
    /// Other content, type or permissions.
    #[n(2)]
    Modified,
    /// It is new.
    #[n(3)]
    Added,
    /// It is gone.
    #[n(4)]
    Deleted,
    /// It has another path.
    #[n(5)]
    Renamed,
    /// Both sides of a merge changed it.
    #[n(6)]
    Unmerged,
}

/// Local branches.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Branches {
    /// Their names, sorted.
    #[n(0)]
    pub names: Vec<String>,
    /// The one that is checked out.
    #[n(1)]
    pub current: Option<String>,
}

/// Commits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct History {
    /// Newest first.
    #[n(0)]
    pub commits: Vec<Commit>,
    /// There are more.
    #[n(1)]
    pub truncated: bool,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Commit {
    /// Its hash, in hexadecimal digits.
    #[n(0)]
    pub hash: String,
    /// Name of its author.
    #[n(1)]
    pub author: String,
    /// Their address.
    #[n(2)]
    pub email: String,
    /// Its message.
    #[n(3)]
    pub message: String,
    /// When it was written, in seconds since 1970.
    #[n(4)]
    pub time_s: i64,
}

/// Remotes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remotes {
    /// Sorted by name.
    #[n(0)]
    pub remotes: Vec<Remote>,
}

/// One remote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remote {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Where it is.
    #[n(1)]
    pub url: String,
}
