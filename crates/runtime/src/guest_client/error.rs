//! What goes wrong between host and guest, and what it means to the core.

use std::io;
use std::time::Duration;

use lazaret_core::{Error, ExecId, ExecProblem, ExecSpec, FilePath, FileProblem, Kind, Limit};
use lazaret_protocol::{ErrorKind, Failure, FrameError};

/// Why a guest did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    /// It said no.
    #[error("the guest refused")]
    Refused(#[source] Failure),

    /// It closed the connection in the middle of a conversation.
    #[error("the guest closed the connection")]
    Closed,

    /// The connection failed.
    #[error("the connection to the guest failed")]
    Lost(#[source] io::Error),

    /// It said nothing for too long.
    #[error("the guest was silent for {0:?}")]
    Silent(Duration),

    /// It sent what is no message.
    #[error("the guest broke the protocol")]
    Frame(#[source] FrameError),

    /// It sent a message that has no place, or a value that no honest guest sends.
    #[error("the guest broke the protocol: {0}")]
    Violation(&'static str),

    /// The request does not fit into the protocol.
    #[error("the request is too long for the guest")]
    TooLong(#[source] FrameError),
}

impl GuestError {
    /// The core's error for an operation on a file.
    pub(super) fn for_path(self, path: &FilePath) -> Error {
        let problem = match &self {
            Self::Refused(failure) if failure.kind == ErrorKind::UnknownUser => {
                return Error::invalid("user", "no such user or group in the image");
            }
            Self::Refused(failure) if failure.kind == ErrorKind::BadPattern => {
                return Error::invalid("pattern", "is empty, too long or not a well-formed glob");
            }
            Self::Refused(failure) => file_problem(failure.kind),
            Self::TooLong(_) => Some(FileProblem::NameTooLong),
            _ => None,
        };
        match problem {
            Some(problem) => Error::File { path: path.to_text(), problem },
            None => self.without_subject(),
        }
    }

    /// The core's error for starting a program.
    pub(super) fn for_program(self, spec: &ExecSpec) -> Error {
        let problem = match &self {
            Self::Refused(failure) => exec_problem(failure.kind),
            Self::TooLong(_) => Some(ExecProblem::ArgumentsTooLong),
            _ => None,
        };
        let Some(problem) = problem else { return self.without_subject() };
        let subject = match problem {
            ExecProblem::BadWorkingDirectory => spec.cwd.clone(),
            ExecProblem::UnknownUser => spec.user.clone(),
            _ => None,
        };
        Error::Exec { what: subject.or_else(|| spec.command.first().cloned()).unwrap_or_default(), problem }
    }

    /// The core's error for a background exec.
    pub(super) fn for_exec(self, id: ExecId) -> Error {
        match &self {
            Self::Refused(failure) if failure.kind == ErrorKind::UnknownExec => {
                Error::not_found(Kind::Exec, id)
            }
            Self::Refused(failure) if failure.kind == ErrorKind::ExecExists => {
                Error::AlreadyExists { kind: Kind::Exec, id: id.to_string() }
            }
            _ => self.without_subject(),
        }
    }

    /// The core's error for a port.
    pub(super) fn for_port(self, port: u16) -> Error {
        match &self {
            Self::Refused(failure) if failure.kind == ErrorKind::ConnectionRefused => {
                Error::PortClosed { port }
            }
            // Whoever has the port does not answer: the tenant's affair.
            Self::Refused(failure) if failure.kind == ErrorKind::Other => {
                Error::Unavailable { retry_after: None, source: self.into() }
            }
            _ => self.without_subject(),
        }
    }

    /// The core's error where none of the subjects above is meant.
    pub(super) fn without_subject(self) -> Error {
        match &self {
            Self::Refused(failure) => match failure.kind {
                ErrorKind::Busy => Error::LimitReached(Limit::GuestConnections),
                ErrorKind::TooManyExecs => Error::LimitReached(Limit::BackgroundExecs),
                ErrorKind::Unsupported | ErrorKind::UnknownProgram => Error::Unsupported {
                    what: "the sandbox was made by an older release; stop and start it".to_owned(),
                },
                // The host has asked for nonsense, or the guest only says so.
                _ => Error::Internal(self.into()),
            },
            // Dead, stuck or taken over by its tenant: a new start helps, and no operator has to act.
            Self::Closed | Self::Lost(_) | Self::Silent(_) | Self::Frame(_) | Self::Violation(_) => {
                Error::Unavailable { retry_after: None, source: self.into() }
            }
            Self::TooLong(_) => Error::Internal(self.into()),
        }
    }
}

/// The problem with a file, for kinds that are one.
fn file_problem(kind: ErrorKind) -> Option<FileProblem> {
    Some(match kind {
        ErrorKind::NotFound => FileProblem::NotFound,
        ErrorKind::AlreadyExists => FileProblem::AlreadyExists,
        ErrorKind::PermissionDenied => FileProblem::PermissionDenied,
        ErrorKind::NotADirectory => FileProblem::NotADirectory,
        ErrorKind::IsADirectory => FileProblem::IsADirectory,
        ErrorKind::DirectoryNotEmpty => FileProblem::DirectoryNotEmpty,
        ErrorKind::NotARegularFile => FileProblem::NotARegularFile,
        ErrorKind::Escapes => FileProblem::OutsideRoot,
        ErrorKind::SymlinkLoop => FileProblem::LinkNotFollowed,
        ErrorKind::NoSpace => FileProblem::NoSpace,
        ErrorKind::NameTooLong => FileProblem::NameTooLong,
        ErrorKind::BadPath => FileProblem::InvalidPath,
        ErrorKind::ReadOnly => FileProblem::ReadOnly,
        ErrorKind::CrossDevice => FileProblem::CrossDevice,
        ErrorKind::FileTooLarge | ErrorKind::TreeTooDeep | ErrorKind::OutOfMemory | ErrorKind::Other => {
            FileProblem::Other
        }
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::Busy
        | ErrorKind::UnknownUser
        | ErrorKind::BadPattern
        | ErrorKind::CommandNotFound
        | ErrorKind::NotExecutable
        | ErrorKind::InterpreterNotFound
        | ErrorKind::BadCwd
        | ErrorKind::BadArguments
        | ErrorKind::TooManyProcesses
        | ErrorKind::UnknownExec
        | ErrorKind::ExecExists
        | ErrorKind::TooManyExecs
        | ErrorKind::ConnectionRefused
        | ErrorKind::ExecEnded
        | ErrorKind::UnknownProgram => return None,
    })
}

/// The problem with a program, for kinds that are one.
fn exec_problem(kind: ErrorKind) -> Option<ExecProblem> {
    Some(match kind {
        ErrorKind::CommandNotFound => ExecProblem::ProgramNotFound,
        ErrorKind::NotExecutable | ErrorKind::InterpreterNotFound => ExecProblem::NotExecutable,
        ErrorKind::BadCwd => ExecProblem::BadWorkingDirectory,
        ErrorKind::UnknownUser => ExecProblem::UnknownUser,
        ErrorKind::BadArguments => ExecProblem::ArgumentsTooLong,
        ErrorKind::TooManyProcesses => ExecProblem::TooManyProcesses,
        ErrorKind::OutOfMemory => ExecProblem::OutOfMemory,
        ErrorKind::Other => ExecProblem::Other,
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::Busy
        | ErrorKind::UnknownExec
        | ErrorKind::ExecExists
        | ErrorKind::TooManyExecs
        | ErrorKind::ExecEnded
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::NotARegularFile
        | ErrorKind::Escapes
        | ErrorKind::SymlinkLoop
        | ErrorKind::NoSpace
        | ErrorKind::NameTooLong
        | ErrorKind::BadPath
        | ErrorKind::ReadOnly
        | ErrorKind::CrossDevice
        | ErrorKind::FileTooLarge
        | ErrorKind::TreeTooDeep
        | ErrorKind::BadPattern
        | ErrorKind::ConnectionRefused
        | ErrorKind::UnknownProgram => return None,
    })
}
