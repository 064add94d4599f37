//! Failures in the toolbox's words: `{statusCode, message, code, source, timestamp, path, method}`.
//!
//! Clients make their exceptions of `source` and `code` first and of the status second, so the codes here are those of the
//! contract and no others.

use axum::Json;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use lazaret_core::{Error, ExecProblem, FileProblem, GitProblem, Kind, UpstreamProblem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::RequestContext;
use crate::daytona::status;
use crate::daytona::time::iso8601;
use crate::failure::{Failure, Rejection};
use crate::routing::Dialect;

/// The dialect.
pub(crate) enum Toolbox {}

/// Who speaks, to a client that looks up its exceptions.
const SOURCE: &str = "DAYTONA_DAEMON";

/// The body of every failure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    /// The answer's status.
    status_code: u16,
    /// A sentence for people.
    message: String,
    /// A word for programs.
    code: &'static str,
    /// `DAYTONA_DAEMON`, whose words the codes are.
    source: &'static str,
    /// ISO 8601; when the request came.
    timestamp: String,
    /// The path that was asked, behind the sandbox's id.
    path: String,
    method: String,
}

impl ErrorBody {
    /// The failure as a body, for one that is not the whole answer as well, such as a part of a multipart one.
    pub(super) fn of(failure: &Failure, context: &RequestContext) -> (StatusCode, Self) {
        let (status, code, message) = answer(failure, context);
        let body = Self {
            status_code: status.as_u16(),
            message,
            code,
            source: SOURCE,
            timestamp: iso8601(context.received_at),
            path: inner_path(context.uri.path()).to_owned(),
            method: context.method.to_string(),
        };
        (status, body)
    }
}

impl Dialect for Toolbox {
    const NAME: &'static str = "daytona_toolbox";
    const STRICT_MEDIA_TYPE: bool = false;
    type Note = ();

    fn note(_head: &Parts) {}

    fn failure(failure: &Failure, context: &RequestContext, _note: &()) -> Response {
        let (status, body) = ErrorBody::of(failure, context);
        let mut response = (status, Json(body)).into_response();
        status::add_headers(response.headers_mut(), failure, status);
        response
    }
}

/// A refusal whose status, code and sentence the contract lays down.
pub(super) fn worded(status: StatusCode, code: &'static str, message: impl Into<String>) -> Failure {
    Rejection::Worded { status, code, message: message.into() }.into()
}

/// The path as it is inside the toolbox, behind `/toolbox/{id}`.
fn inner_path(path: &str) -> &str {
    let behind_id = path.strip_prefix("/toolbox/").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    behind_id.unwrap_or(path)
}

/// A status and a code.
type Verdict = (StatusCode, &'static str);

fn answer(failure: &Failure, context: &RequestContext) -> (StatusCode, &'static str, String) {
    let said = || status::sentence(failure, context);
    match failure {
        Failure::Rejected(Rejection::Worded { status, code, message }) => (*status, code, message.clone()),
        Failure::Rejected(rejection) => {
            let status = status::of_rejection(rejection);
            let code = match rejection {
                Rejection::Malformed { .. } | Rejection::Field { .. }
                    if status == StatusCode::BAD_REQUEST =>
                {
                    "INVALID_REQUEST_BODY"
                }
                _ => generic(status),
            };
            (status, code, said())
        }
        Failure::Core(Error::Refused { state, .. }) => {
            let message = format!("bad request: the sandbox is {state}. Is the Sandbox started?");
            (StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
        }
        Failure::Core(error) => {
            let (status, code) = core(error);
            (status, code, said())
        }
    }
}

/// The code of a failure that the contract has no other for.
fn generic(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        405 => "METHOD_NOT_ALLOWED",
        408 | 504 => "REQUEST_TIMEOUT",
        409 => "CONFLICT",
        410 => "GONE",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
        416 => "RANGE_NOT_SATISFIABLE",
        422 => "UNPROCESSABLE_ENTITY",
        429 => "TOO_MANY_REQUESTS",
        501 => "NOT_IMPLEMENTED",
        502 => "BAD_GATEWAY",
        503 => "SERVICE_UNAVAILABLE",
        500..=599 => "INTERNAL_SERVER_ERROR",
        _ => "BAD_REQUEST",
    }
}

fn core(error: &Error) -> Verdict {
    let plain = |status| (status, generic(status));
    match error {
        Error::Unauthenticated => plain(StatusCode::UNAUTHORIZED),
        Error::Forbidden { .. } => plain(StatusCode::FORBIDDEN),
        Error::Invalid { .. } | Error::Refused { .. } => plain(StatusCode::BAD_REQUEST),
        Error::NotFound { kind: Kind::Exec, .. } => (StatusCode::NOT_FOUND, "PROCESS_NOT_FOUND"),
        Error::NotFound { kind: Kind::LanguageServer, .. } => {
            (StatusCode::BAD_REQUEST, "LSP_SERVER_NOT_INITIALIZED")
        }
        Error::NotFound { .. } => plain(StatusCode::NOT_FOUND),
        Error::AlreadyExists { .. } | Error::InUse { .. } => plain(StatusCode::CONFLICT),
        Error::Ended { .. } => plain(StatusCode::GONE),
        Error::Over { kind: Kind::Session, .. } => (StatusCode::GONE, "SESSION_ENDED"),
        Error::Over { kind: Kind::Command, .. } => (StatusCode::GONE, "COMMAND_ALREADY_COMPLETED"),
        Error::Over { .. } => plain(StatusCode::GONE),
        Error::File { problem, .. } => file(*problem),
        Error::Exec { problem, .. } => match problem {
            ExecProblem::OutOfMemory | ExecProblem::TooManyProcesses => {
                plain(StatusCode::UNPROCESSABLE_ENTITY)
            }
            ExecProblem::ProgramNotFound
            | ExecProblem::NotExecutable
            | ExecProblem::BadWorkingDirectory
            | ExecProblem::UnknownUser
            | ExecProblem::ArgumentsTooLong
            | ExecProblem::NoInterpreter
            | ExecProblem::NoLanguageServer
            | ExecProblem::Other => plain(StatusCode::BAD_REQUEST),
        },
        Error::Git { problem, .. } => git(*problem),
        Error::LimitReached(limit) => plain(status::of_limit(*limit)),
        Error::PortClosed { .. } => plain(StatusCode::BAD_GATEWAY),
        // Only a language server in the sandbox is such a one here, and the contract has a 400 for all that it may say.
        Error::Upstream { problem: UpstreamProblem::Failing, .. } => plain(StatusCode::BAD_REQUEST),
        Error::Upstream { problem: UpstreamProblem::Ended, .. } => {
            (StatusCode::BAD_REQUEST, "LSP_SERVER_NOT_INITIALIZED")
        }
        Error::Upstream { problem: UpstreamProblem::Stalled, .. } => plain(StatusCode::GATEWAY_TIMEOUT),
        Error::Upstream { .. } => plain(StatusCode::BAD_GATEWAY),
        Error::Unsupported { .. } => plain(StatusCode::NOT_IMPLEMENTED),
        Error::Unavailable { .. } => plain(StatusCode::SERVICE_UNAVAILABLE),
        Error::Internal(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

const fn file(problem: FileProblem) -> Verdict {
    match problem {
        FileProblem::NotFound => (StatusCode::NOT_FOUND, "FILE_NOT_FOUND"),
        FileProblem::PermissionDenied | FileProblem::ReadOnly | FileProblem::OutsideRoot => {
            (StatusCode::FORBIDDEN, "FILE_ACCESS_DENIED")
        }
        FileProblem::InvalidPath
        | FileProblem::NameTooLong
        | FileProblem::NotADirectory
        | FileProblem::IsADirectory
        | FileProblem::NotARegularFile
        | FileProblem::DirectoryNotEmpty
        | FileProblem::LinkNotFollowed => (StatusCode::BAD_REQUEST, "INVALID_FILE_PATH"),
        FileProblem::AlreadyExists => (StatusCode::CONFLICT, "CONFLICT"),
        FileProblem::NoSpace | FileProblem::CrossDevice => {
            (StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY")
        }
        FileProblem::Other => (StatusCode::INTERNAL_SERVER_ERROR, "FILE_READ_FAILED"),
    }
}

const fn git(problem: GitProblem) -> Verdict {
    match problem {
        GitProblem::AuthFailed => (StatusCode::UNAUTHORIZED, "GIT_AUTH_FAILED"),
        GitProblem::AccessDenied | GitProblem::PermissionDenied => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        GitProblem::RepoNotFound => (StatusCode::NOT_FOUND, "GIT_REPO_NOT_FOUND"),
        GitProblem::BranchNotFound => (StatusCode::NOT_FOUND, "GIT_BRANCH_NOT_FOUND"),
        GitProblem::RevisionNotFound | GitProblem::RemoteNotFound | GitProblem::PathNotFound => {
            (StatusCode::NOT_FOUND, "NOT_FOUND")
        }
        GitProblem::BranchExists => (StatusCode::CONFLICT, "GIT_BRANCH_EXISTS"),
        GitProblem::RemoteExists | GitProblem::TargetExists | GitProblem::BranchInUse => {
            (StatusCode::CONFLICT, "CONFLICT")
        }
        GitProblem::PushRejected => (StatusCode::CONFLICT, "GIT_PUSH_REJECTED"),
        GitProblem::DirtyWorktree => (StatusCode::CONFLICT, "GIT_DIRTY_WORKTREE"),
        GitProblem::MergeConflict => (StatusCode::CONFLICT, "GIT_MERGE_CONFLICT"),
        GitProblem::RemoteRejected => (StatusCode::UNPROCESSABLE_ENTITY, "GIT_REMOTE_REJECTED"),
        GitProblem::TransportFailed => (StatusCode::BAD_GATEWAY, "GIT_TRANSPORT_FAILED"),
        GitProblem::NotOnBranch
        | GitProblem::NoCommits
        | GitProblem::NothingToCommit
        | GitProblem::NoIdentity
        | GitProblem::UnsupportedUrl
        | GitProblem::InvalidName => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        GitProblem::NoSpace | GitProblem::Killed => {
            (StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY")
        }
        GitProblem::TimedOut => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
        GitProblem::Other => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR"),
    }
}
