//! The one failure type, sorted by what the caller can do next.
//!
//! `Display` is the public sentence. The `source()` chain is private: it is logged once at the boundary and never sent.

use std::sync::Arc;
use std::time::Duration;

use crate::{Reason, State, Verb};

/// Any error of an adapter, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No key, or one that is not known. The caller can send another.
    #[error("the API key is missing or not valid")]
    Unauthenticated,

    /// The key is known and may not do this.
    #[error("the API key lacks the scope {scope}")]
    Forbidden {
        /// The scope that would allow it.
        scope: &'static str,
    },

    /// The request is wrong in itself; sending it again will not help.
    #[error("{field}: {reason}")]
    Invalid {
        /// The name of the offending field in the core's vocabulary.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },

    /// There is no such thing, or it belongs to another account, which must look the same.
    #[error("{kind} {id} not found")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id or name as the caller gave it.
        id: String,
    },

    /// Something with this name is there already.
    #[error("{kind} {id} already exists")]
    AlreadyExists {
        /// What exists.
        kind: Kind,
        /// Its id or name.
        id: String,
    },

    /// The thing is there, in a state in which the verb cannot be done.
    #[error("{kind} is {state}: cannot {verb}")]
    Refused {
        /// What refused.
        kind: Kind,
        /// The state it is in.
        state: State,
        /// The verb asked of it.
        verb: Verb,
    },

    /// It was there when the request began, and ended before the request did.
    #[error("{kind} {id} ended during the request: {reason}")]
    Ended {
        /// What ended.
        kind: Kind,
        /// Its id.
        id: String,
        /// The state it is in since.
        state: State,
        /// Why it ended.
        reason: Reason,
    },

    /// It is there and has ended, so that there is nothing left to do with it but to read of it.
    #[error("{kind} {id} has ended")]
    Over {
        /// What has ended.
        kind: Kind,
        /// Its id or name.
        id: String,
    },

    /// The thing is in use by another.
    #[error("{kind} {id} is in use by {by}")]
    InUse {
        /// What is in use.
        kind: Kind,
        /// Its id or name.
        id: String,
        /// Who uses it.
        by: String,
    },

    /// A file operation failed inside the sandbox.
    #[error("{path}: {problem}")]
    File {
        /// The path as the caller gave it, lossily decoded.
        path: String,
        /// Why.
        problem: FileProblem,
    },

    /// A program could not be started inside the sandbox.
    #[error("{what}: {problem}")]
    Exec {
        /// The program, directory or user at fault.
        what: String,
        /// Why.
        problem: ExecProblem,
    },

    /// Nothing listens on a port inside the sandbox.
    #[error("nothing listens on port {port} of the sandbox")]
    PortClosed {
        /// The port.
        port: u16,
    },

    /// A bound was hit; less of the same, or the same later, will do.
    #[error("limit reached: {0}")]
    LimitReached(Limit),

    /// A server that was asked on the caller's behalf, such as a registry of images or a language server in the sandbox, did not
    /// do its part.
    #[error("{what}: {problem}")]
    Upstream {
        /// Which server, and what was asked of it.
        what: String,
        /// Why it came to nothing.
        problem: UpstreamProblem,
        /// When to try again, if that server said so.
        retry_after: Option<Duration>,
        /// What happened, for the log.
        source: BoxError,
    },

    /// Git inside the sandbox did not do what was asked.
    #[error("git: {problem}: {detail}")]
    Git {
        /// What the caller can act on.
        problem: GitProblem,
        /// A sentence from inside the sandbox, bounded and without credentials; a claim like all that comes from there.
        detail: String,
    },

    /// The request is well-formed and asks for what this build or this host does not do.
    #[error("not supported: {what}")]
    Unsupported {
        /// What was asked, and if there is one, the way to get it.
        what: String,
    },

    /// It may work later.
    #[error("temporarily unavailable")]
    Unavailable {
        /// When to try again, if that is known.
        retry_after: Option<Duration>,
        /// What happened, for the log.
        source: BoxError,
    },

    /// A defect of ours or of the host.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    /// An [`Error::NotFound`].
    pub fn not_found(kind: Kind, id: impl ToString) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// The same failure for another caller who waited for the same work; what is private in it is shared.
    pub fn for_another(error: &Arc<Self>) -> Self {
        let source = || Box::new(Arc::clone(error)) as BoxError;
        match &**error {
            Self::Unauthenticated => Self::Unauthenticated,
            Self::Forbidden { scope } => Self::Forbidden { scope },
            Self::Invalid { field, reason } => Self::Invalid { field, reason: reason.clone() },
            Self::NotFound { kind, id } => Self::NotFound { kind: *kind, id: id.clone() },
            Self::AlreadyExists { kind, id } => Self::AlreadyExists { kind: *kind, id: id.clone() },
            Self::Refused { kind, state, verb } => Self::Refused { kind: *kind, state: *state, verb: *verb },
            Self::Ended { kind, id, state, reason } => {
                Self::Ended { kind: *kind, id: id.clone(), state: *state, reason: reason.clone() }
            }
            Self::Over { kind, id } => Self::Over { kind: *kind, id: id.clone() },
            Self::InUse { kind, id, by } => Self::InUse { kind: *kind, id: id.clone(), by: by.clone() },
            Self::File { path, problem } => Self::File { path: path.clone(), problem: *problem },
            Self::Exec { what, problem } => Self::Exec { what: what.clone(), problem: *problem },
            Self::PortClosed { port } => Self::PortClosed { port: *port },
            Self::Git { problem, detail } => Self::Git { problem: *problem, detail: detail.clone() },
            Self::LimitReached(limit) => Self::LimitReached(*limit),
            Self::Upstream { what, problem, retry_after, .. } => Self::Upstream {
                what: what.clone(),
                problem: *problem,
                retry_after: *retry_after,
                source: source(),
            },
            Self::Unsupported { what } => Self::Unsupported { what: what.clone() },
            Self::Unavailable { retry_after, .. } => {
                Self::Unavailable { retry_after: *retry_after, source: source() }
            }
            Self::Internal(_) => Self::Internal(source()),
        }
    }

    /// An [`Error::Internal`].
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::Internal(source.into())
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

words!(
    /// What an error is about.
    Kind {
        /// A sandbox.
        Sandbox => "sandbox",
        /// An account.
        Account => "account",
        /// An API key.
        Key => "key",
        /// An uploaded file.
        Upload => "file",
        /// A path of a sandbox's catalogue.
        CatalogueEntry => "sandbox file",
        /// An image.
        Image => "image",
        /// A background exec.
        Exec => "exec",
        /// An interpreter context.
        Context => "context",
        /// A shell session.
        Session => "session",
        /// A command of a shell session.
        Command => "command",
        /// A terminal.
        Terminal => "terminal",
        /// The cursor of a listing.
        Cursor => "cursor",
        /// A language server in a sandbox.
        LanguageServer => "language server",
        /// A saved recipe for sandboxes.
        Template => "template",
        /// A named directory that sandboxes mount.
        Volume => "volume",
    }
);

words!(
    /// A bound that a caller can reach; the numbers are in [`crate::limits`] and in the tier.
    Limit {
        /// Sandboxes of one account that exist at once.
        Sandboxes => "sandboxes of this account",
        /// Bytes of one uploaded file.
        UploadBytes => "size of an uploaded file",
        /// Bytes of all uploaded files of an account.
        StoredBytes => "storage of this account",
        /// Bytes held in memory for one answer.
        AnswerBytes => "size of the answer",
        /// Files in one catalogue.
        CatalogueEntries => "files under the working directory",
        /// Retained background execs of one sandbox.
        BackgroundExecs => "background execs of this sandbox",
        /// Interpreter contexts of one sandbox.
        Contexts => "interpreter contexts of this sandbox",
        /// Cells that wait for their turn in one context.
        WaitingCells => "cells that wait in this context",
        /// Shell sessions of one sandbox.
        Sessions => "shell sessions of this sandbox",
        /// Commands that wait for their turn in one session.
        WaitingCommands => "commands that wait in this session",
        /// Terminals of one sandbox.
        Terminals => "terminals of this sandbox",
        /// Language servers of one sandbox.
        LanguageServers => "language servers of this sandbox",
        /// Requests that wait for one language server.
        LanguageRequests => "requests that wait for this language server",
        /// Documents that one language server has open.
        OpenDocuments => "documents that this language server has open",
        /// Connections to one guest.
        GuestConnections => "concurrent operations in this sandbox",
        /// Withdrawn previews of one sandbox.
        Withdrawals => "withdrawn previews of this sandbox",
        /// Keys of one account.
        Keys => "keys of this account",
        /// Templates of one account.
        Templates => "templates of this account",
        /// Volumes of one account.
        Volumes => "volumes of this account",
        /// Bytes of all volumes of an account.
        VolumeBytes => "size of the volumes of this account",
        /// Free space of the host's data directory.
        HostDisk => "disk space of the host",
        /// Free id ranges of the host.
        IdRanges => "id ranges of the host",
        /// Addresses for networked sandboxes.
        Addresses => "addresses for sandboxes",
        /// Bytes or entries of an imported image.
        ImageSize => "size of the image",
    }
);

words!(
    /// Why a file operation failed; the guest reports these, so they are claims about the tenant's own files only.
    FileProblem {
        /// Nothing is there.
        NotFound => "no such file or directory",
        /// A component of the path is not a directory.
        NotADirectory => "not a directory",
        /// The path is a directory and a file is wanted.
        IsADirectory => "is a directory",
        /// Something is there already.
        AlreadyExists => "already exists",
        /// The user of the operation may not.
        PermissionDenied => "permission denied",
        /// The sandbox's disk is full.
        NoSpace => "no space left in the sandbox",
        /// A device, socket or FIFO.
        NotARegularFile => "not a regular file",
        /// The path, or a link on the way, leaves the directory that the operation is confined to.
        OutsideRoot => "outside the permitted directory",
        /// The path or a component is too long.
        NameTooLong => "name too long",
        /// The directory has entries.
        DirectoryNotEmpty => "directory not empty",
        /// Symbolic links form a loop, or links are not followed here.
        LinkNotFollowed => "symbolic link not followed",
        /// The file system is mounted read-only.
        ReadOnly => "read-only file system",
        /// The other name is on another file system, and copying there takes too long.
        CrossDevice => "too large to be moved to another file system",
        /// The path has a NUL byte or is empty.
        InvalidPath => "not a valid path",
        /// Any other error of the kernel inside.
        Other => "the operation failed inside the sandbox",
    }
);

words!(
    /// Why a program did not start.
    ExecProblem {
        /// No file of that name, in PATH or at the path.
        ProgramNotFound => "program not found",
        /// It is there and cannot be executed.
        NotExecutable => "not executable",
        /// The working directory does not exist or is no directory.
        BadWorkingDirectory => "working directory not usable",
        /// The image has no such user or group.
        UnknownUser => "no such user in the image",
        /// Arguments and environment exceed what the kernel takes.
        ArgumentsTooLong => "arguments too long",
        /// The sandbox's process limit is reached.
        TooManyProcesses => "process limit of the sandbox reached",
        /// The sandbox's memory limit is reached.
        OutOfMemory => "out of memory in the sandbox",
        /// The image lacks the interpreter for this language.
        NoInterpreter => "the image has no interpreter for this language",
        /// The image lacks a language server for this language.
        NoLanguageServer => "the image has no language server for this language",
        /// Any other error of the kernel inside.
        Other => "could not be started",
    }
);

words!(
    /// Why a server that was asked on the caller's behalf did not do its part.
    UpstreamProblem {
        /// No connection could be made, or it broke more often than is tried.
        Unreachable => "cannot be reached",
        /// It wants credentials that the operator has not configured, or refuses those that are.
        Denied => "denies access with the credentials that are configured for it",
        /// It takes no more requests for now.
        Throttled => "takes no more requests for now",
        /// It answers with errors.
        Failing => "answers with an error",
        /// It sent nothing for too long.
        Stalled => "stopped sending",
        /// It has ended and will not answer.
        Ended => "has ended",
        /// What it sent is not what its digest or its size says.
        Corrupt => "what came is not what was announced",
        /// What it sent is not of the protocol.
        Malformed => "does not speak the protocol",
        /// The operator's settings do not let the server connect to it.
        NotAllowed => "is not a server that may be asked, by the operator's settings",
    }
);

words!(
    /// Why git did not do what was asked, as the sandbox reports it.
    GitProblem {
        /// The remote wants credentials, or others.
        AuthFailed => "authentication failed",
        /// The remote knows who asks, and refuses.
        AccessDenied => "access denied",
        /// There is no repository at the path or the URL.
        RepoNotFound => "repository not found",
        /// No such branch, here or at the remote.
        BranchNotFound => "branch not found",
        /// No such commit, tag or revision.
        RevisionNotFound => "revision not found",
        /// No such remote.
        RemoteNotFound => "remote not found",
        /// No such file in the working tree, the index or the revision.
        PathNotFound => "path not found",
        /// A branch has that name already.
        BranchExists => "branch already exists",
        /// A remote has that name already.
        RemoteExists => "remote already exists",
        /// The new repository's directory exists and is not empty.
        TargetExists => "target already exists",
        /// The branch is checked out.
        BranchInUse => "branch is checked out",
        /// No branch is checked out, and the command needs one.
        NotOnBranch => "not on a branch",
        /// The repository has no commit yet.
        NoCommits => "no commits yet",
        /// Changes in the working tree or the index are in the way.
        DirtyWorktree => "uncommitted changes are in the way",
        /// Both sides changed the same lines.
        MergeConflict => "merge conflict",
        /// Nothing is staged.
        NothingToCommit => "nothing to commit",
        /// The configuration has no user.name and user.email.
        NoIdentity => "no identity is configured",
        /// The remote has commits that the branch lacks.
        PushRejected => "push rejected",
        /// The remote refused for a reason of its own.
        RemoteRejected => "rejected by the remote",
        /// The remote was not reached, or what it said made no sense.
        TransportFailed => "remote not reachable",
        /// No transport for such a URL.
        UnsupportedUrl => "unsupported URL",
        /// A name, key, path or revision is not well-formed.
        InvalidName => "not well-formed",
        /// The user may not read or write there, or the repository belongs to another user.
        PermissionDenied => "permission denied",
        /// The sandbox's disk is full.
        NoSpace => "no space left in the sandbox",
        /// It took longer than [`crate::limits::GIT_REMOTE_TIMEOUT`] or [`crate::limits::GIT_LOCAL_TIMEOUT`].
        TimedOut => "timed out",
        /// The process was killed: by the sandbox's limit on memory, or by somebody inside.
        Killed => "killed",
        /// None of the others.
        Other => "failed",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_several_waited_for_reads_the_same_to_each() {
        let failures = [
            Error::invalid("image", "is bad"),
            Error::not_found(Kind::Image, "x"),
            Error::LimitReached(Limit::ImageSize),
            Error::Git { problem: GitProblem::NoSpace, detail: "x".to_owned() },
            Error::Upstream {
                what: "docker.io".to_owned(),
                problem: UpstreamProblem::Stalled,
                retry_after: None,
                source: "x".into(),
            },
            Error::internal("x"),
        ];
        for failure in failures {
            let text = failure.to_string();
            assert_eq!(Error::for_another(&Arc::new(failure)).to_string(), text);
        }
    }
}
