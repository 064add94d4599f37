//! Why an operation failed: what a caller can act on, and a sentence.

use std::io;

use git2::{ErrorClass, ErrorCode};
use lazaret_protocol::git::{DETAIL_MAX, Failed, Problem};

use crate::text;

/// A result whose error is [`Failure`].
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(problem: Problem, detail: impl Into<String>) -> Self {
        Self { problem, detail: detail.into() }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { problem: failure.problem, detail: text::cut(failure.detail, DETAIL_MAX) }
    }
}

/// What an error of libgit2 means where nothing more is known.
impl From<git2::Error> for Failure {
    fn from(error: git2::Error) -> Self {
        let problem = match error.code() {
            ErrorCode::Auth => Problem::AuthFailed,
            ErrorCode::NotFound if error.class() == ErrorClass::Repository => Problem::RepoNotFound,
            ErrorCode::NotFound | ErrorCode::Ambiguous => Problem::RevisionNotFound,
            ErrorCode::Exists if error.class() == ErrorClass::Reference => Problem::BranchExists,
            // A file where a directory is to be.
            ErrorCode::Exists if error.class() == ErrorClass::Filesystem => Problem::TargetExists,
            ErrorCode::UnbornBranch => Problem::NoCommits,
            ErrorCode::Unmerged | ErrorCode::MergeConflict => Problem::MergeConflict,
            ErrorCode::Conflict | ErrorCode::Uncommitted | ErrorCode::IndexDirty => Problem::DirtyWorktree,
            ErrorCode::NotFastForward => Problem::PushRejected,
            ErrorCode::InvalidSpec => Problem::InvalidName,
            ErrorCode::Owner => Problem::PermissionDenied,
            ErrorCode::User => Problem::Cancelled,
            ErrorCode::Certificate | ErrorCode::Timeout => Problem::TransportFailed,
            _ => match error.class() {
                ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssl => Problem::TransportFailed,
                ErrorClass::Os => of_sentence(error.message()),
                _ => Problem::Other,
            },
        };
        Self::new(problem, error.message())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Problem::PermissionDenied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::NoSpace,
            io::ErrorKind::NotFound => Problem::PathNotFound,
            _ => Problem::Other,
        };
        Self::new(problem, error.to_string())
    }
}

/// libgit2 keeps no error number, only the C library's sentence for it, which in this program is always the English one.
fn of_sentence(message: &str) -> Problem {
    for (sentence, problem) in [
        ("No space left on device", Problem::NoSpace),
        ("Disk quota exceeded", Problem::NoSpace),
        ("Permission denied", Problem::PermissionDenied),
        ("Operation not permitted", Problem::PermissionDenied),
        ("Read-only file system", Problem::PermissionDenied),
        ("No such file or directory", Problem::PathNotFound),
        ("Not a directory", Problem::PathNotFound),
        ("File name too long", Problem::InvalidName),
    ] {
        if message.contains(sentence) {
            return problem;
        }
    }
    Problem::Other
}
