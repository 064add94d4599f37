//! Failures in the native dialect's words: one status, one code, one sentence, the field at fault, and a hint.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONTENT_RANGE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lazaret_core::{Error, ExecProblem, FileProblem, GitProblem, Kind, Limit, UpstreamProblem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::RequestContext;
use crate::failure::{Failure, FieldProblem, Rejection};
use crate::ids;
use crate::routing::Dialect;

/// The native dialect.
pub(crate) enum Native {}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) error: Problem,
    /// Names this request in the server's log.
    pub(crate) request_id: String,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A word for programs, from a closed set.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// The field of the request at fault, with dots and indices where it is nested.
    pub(crate) field: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
    /// For `exec_failed`, `file_failed`, `git_failed` and `upstream_failed`, why: a word for programs, from a closed set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<&'static str>,
}

/// Seconds until a client should try again, where nothing better is known.
const RETRY_AFTER_DEFAULT_S: u64 = 1;

impl Dialect for Native {
    const NAME: &'static str = "native";
    const STRICT_MEDIA_TYPE: bool = true;
    type Note = ();

    fn note(_head: &axum::http::request::Parts) {}

    fn failure(failure: &Failure, context: &RequestContext, _note: &()) -> Response {
        let (status, problem) = answer(failure);
        let body = ErrorBody { error: problem, request_id: context.id.to_string() };
        let mut response = (status, axum::Json(body)).into_response();
        let too_many = matches!(failure, Failure::Rejected(Rejection::TooMany { .. }));
        if too_many || status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, retry_after_s(failure).into());
        }
        if let Failure::Rejected(Rejection::UnsatisfiableRange { bytes }) = failure {
            let range = HeaderValue::from_str(&format!("bytes */{bytes}"));
            response.headers_mut().insert(CONTENT_RANGE, range.expect("digits are a header value"));
        }
        response
    }
}

/// The problem of a failure that is told inside a stream.
pub(crate) fn problem(failure: &Failure) -> Problem {
    answer(failure).1
}

fn answer(failure: &Failure) -> (StatusCode, Problem) {
    let (status, code) = match failure {
        Failure::Core(error) => of_core(error),
        Failure::Rejected(rejection) => of_rejection(rejection),
    };
    let problem = Problem {
        code,
        message: message(failure),
        field: field(failure),
        hint: hint(failure),
        problem: match failure {
            Failure::Core(Error::File { problem, .. }) => Some(file_problem(*problem)),
            Failure::Core(Error::Exec { problem, .. }) => Some(exec_problem(*problem)),
            Failure::Core(Error::Upstream { problem, .. }) => Some(upstream_problem(*problem)),
            Failure::Core(Error::Git { problem, .. }) => Some(git_problem(*problem)),
            _ => None,
        },
    };
    (status, problem)
}

fn of_core(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        Error::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
        Error::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid"),
        Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
        Error::AlreadyExists { .. } => (StatusCode::CONFLICT, "already_exists"),
        Error::Refused { .. } => (StatusCode::CONFLICT, "refused"),
        Error::Ended { .. } => (StatusCode::CONFLICT, "ended"),
        Error::Over { .. } => (StatusCode::GONE, "over"),
        Error::InUse { .. } => (StatusCode::CONFLICT, "in_use"),
        Error::File { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "file_failed"),
        Error::Exec { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "exec_failed"),
        Error::PortClosed { .. } => (StatusCode::BAD_GATEWAY, "port_closed"),
        Error::Git { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "git_failed"),
        Error::LimitReached(limit) => match limit {
            Limit::UploadBytes | Limit::ImageSize => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Limit::Sandboxes
            | Limit::StoredBytes
            | Limit::AnswerBytes
            | Limit::CatalogueEntries
            | Limit::BackgroundExecs
            | Limit::Contexts
            | Limit::WaitingCells
            | Limit::Sessions
            | Limit::WaitingCommands
            | Limit::Terminals
            | Limit::LanguageServers
            | Limit::LanguageRequests
            | Limit::OpenDocuments
            | Limit::GuestConnections
            | Limit::Keys
            | Limit::Withdrawals
            | Limit::Templates
            | Limit::Volumes
            | Limit::VolumeBytes
            | Limit::HostDisk
            | Limit::IdRanges
            | Limit::Addresses => (StatusCode::TOO_MANY_REQUESTS, "limit_reached"),
        },
        Error::Upstream { problem, .. } => (upstream_status(*problem), "upstream_failed"),
        Error::Unsupported { .. } => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn of_rejection(rejection: &Rejection) -> (StatusCode, &'static str) {
    match rejection {
        Rejection::UnknownPath => (StatusCode::NOT_FOUND, "unknown_path"),
        Rejection::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
        Rejection::MissingKey => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        Rejection::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
        Rejection::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed"),
        Rejection::Field { problem, .. } => match problem {
            FieldProblem::Missing => (StatusCode::BAD_REQUEST, "missing_field"),
            FieldProblem::Unknown => (StatusCode::BAD_REQUEST, "unknown_field"),
            FieldProblem::Duplicate
            | FieldProblem::WrongType { .. }
            | FieldProblem::NotOneOf { .. }
            | FieldProblem::BelowMin { .. }
            | FieldProblem::AboveMax { .. }
            | FieldProblem::Empty(_)
            | FieldProblem::TooLong { .. }
            | FieldProblem::Unsupported
            | FieldProblem::Other(_) => (StatusCode::BAD_REQUEST, "invalid"),
        },
        Rejection::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        Rejection::WrongMediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_media_type"),
        Rejection::UnsatisfiableRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable"),
        Rejection::Ambiguous { .. } => (StatusCode::CONFLICT, "ambiguous_name"),
        Rejection::PortFailed { .. } => (StatusCode::BAD_GATEWAY, "port_failed"),
        Rejection::Worded { status, code, .. } => (*status, code),
        Rejection::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow_body"),
        Rejection::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "timed_out"),
        Rejection::Panicked(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn field(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Core(Error::Invalid { field, .. }) => Some(wire_name(field).to_owned()),
        Failure::Core(Error::NotFound { kind: Kind::Cursor, .. }) => Some("after".to_owned()),
        Failure::Rejected(Rejection::Field { field, .. }) => Some(field.clone()),
        _ => None,
    }
}

/// The failure's sentence, with fields and ids as this dialect writes them.
fn message(failure: &Failure) -> String {
    match failure {
        Failure::Core(Error::Invalid { field, reason }) => format!("{}: {reason}", wire_name(field)),
        Failure::Core(Error::NotFound { kind, id }) => format!("{kind} {} not found", wire_id(id)),
        Failure::Core(Error::Ended { kind, id, reason, .. }) => {
            format!("{kind} {} ended during the request: {reason}", wire_id(id))
        }
        Failure::Core(Error::Over { kind, id }) => format!("{kind} {} has ended", wire_id(id)),
        Failure::Core(Error::InUse { kind, id, by }) => format!("{kind} {} is in use by {by}", wire_id(id)),
        other => other.to_string(),
    }
}

/// Where a field of the core stands in this dialect's bodies.
fn wire_name(field: &str) -> &str {
    match field {
        "memory_bytes" => "resources.memory_bytes",
        "cpu_millis" => "resources.cpu_millis",
        "pids" => "resources.pids",
        "disk_bytes" => "resources.disk_bytes",
        "idle_timeout" => "lease.idle_timeout_s",
        "archive_stopped_after" => "lease.archive_stopped_after_s",
        "delete_stopped_after" => "lease.delete_stopped_after_s",
        "life" => "lease.life_s",
        same => same,
    }
}

/// The core writes ids as 32 bare digits; a client knows them as UUIDs.
fn wire_id(id: &str) -> Cow<'_, str> {
    let bytes = (id.len() == 32).then(|| ids::parse_uuid(id)).flatten();
    bytes.map_or(Cow::Borrowed(id), |bytes| Cow::Owned(ids::uuid(&bytes)))
}

fn hint(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::Core(Error::Unauthenticated) | Failure::Rejected(Rejection::MissingKey) => Some(
            "send the header Authorization: Bearer <key>; the first key is in the server's data directory",
        ),
        Failure::Core(Error::Forbidden { .. }) => Some("use a key that has the scope"),
        Failure::Core(Error::Internal(_)) | Failure::Rejected(Rejection::Panicked(_)) => {
            Some("the server's log has the details under the request id")
        }
        Failure::Rejected(Rejection::UnknownPath) => Some("GET /lazaret/v1/openapi.json lists every path"),
        Failure::Rejected(Rejection::Ambiguous { .. }) => Some("use the id"),
        _ => None,
    }
}

fn retry_after_s(failure: &Failure) -> u64 {
    match failure {
        Failure::Core(
            Error::Unavailable { retry_after: Some(span), .. }
            | Error::Upstream { retry_after: Some(span), .. },
        )
        | Failure::Rejected(Rejection::TooMany { retry_after: span }) => whole_seconds(*span),
        _ => RETRY_AFTER_DEFAULT_S,
    }
}

/// Rounded up: whoever waits so long has waited long enough.
fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

const fn file_problem(problem: FileProblem) -> &'static str {
    match problem {
        FileProblem::NotFound => "not_found",
        FileProblem::NotADirectory => "not_a_directory",
        FileProblem::IsADirectory => "is_a_directory",
        FileProblem::AlreadyExists => "already_exists",
        FileProblem::PermissionDenied => "permission_denied",
        FileProblem::NoSpace => "no_space",
        FileProblem::NotARegularFile => "not_a_regular_file",
        FileProblem::OutsideRoot => "outside_root",
        FileProblem::NameTooLong => "name_too_long",
        FileProblem::DirectoryNotEmpty => "directory_not_empty",
        FileProblem::LinkNotFollowed => "link_not_followed",
        FileProblem::ReadOnly => "read_only",
        FileProblem::CrossDevice => "cross_device",
        FileProblem::InvalidPath => "invalid_path",
        FileProblem::Other => "other",
    }
}

const fn upstream_status(problem: UpstreamProblem) -> StatusCode {
    match problem {
        UpstreamProblem::Throttled => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamProblem::Stalled => StatusCode::GATEWAY_TIMEOUT,
        UpstreamProblem::NotAllowed => StatusCode::FORBIDDEN,
        UpstreamProblem::Unreachable
        | UpstreamProblem::Ended
        | UpstreamProblem::Denied
        | UpstreamProblem::Failing
        | UpstreamProblem::Corrupt
        | UpstreamProblem::Malformed => StatusCode::BAD_GATEWAY,
    }
}

const fn upstream_problem(problem: UpstreamProblem) -> &'static str {
    match problem {
        UpstreamProblem::Unreachable => "unreachable",
        UpstreamProblem::Denied => "denied",
        UpstreamProblem::Throttled => "throttled",
        UpstreamProblem::Failing => "failing",
        UpstreamProblem::Stalled => "stalled",
        UpstreamProblem::Ended => "ended",
        UpstreamProblem::Corrupt => "corrupt",
        UpstreamProblem::Malformed => "malformed",
        UpstreamProblem::NotAllowed => "not_allowed",
    }
}

const fn exec_problem(problem: ExecProblem) -> &'static str {
    match problem {
        ExecProblem::ProgramNotFound => "program_not_found",
        ExecProblem::NotExecutable => "not_executable",
        ExecProblem::BadWorkingDirectory => "bad_working_directory",
        ExecProblem::UnknownUser => "unknown_user",
        ExecProblem::ArgumentsTooLong => "arguments_too_long",
        ExecProblem::TooManyProcesses => "too_many_processes",
        ExecProblem::OutOfMemory => "out_of_memory",
        ExecProblem::NoInterpreter => "no_interpreter",
        ExecProblem::NoLanguageServer => "no_language_server",
        ExecProblem::Other => "other",
    }
}

const fn git_problem(problem: GitProblem) -> &'static str {
    match problem {
        GitProblem::AuthFailed => "auth_failed",
        GitProblem::AccessDenied => "access_denied",
        GitProblem::RepoNotFound => "repository_not_found",
        GitProblem::BranchNotFound => "branch_not_found",
        GitProblem::RevisionNotFound => "revision_not_found",
        GitProblem::RemoteNotFound => "remote_not_found",
        GitProblem::PathNotFound => "path_not_found",
        GitProblem::BranchExists => "branch_exists",
        GitProblem::RemoteExists => "remote_exists",
        GitProblem::TargetExists => "target_exists",
        GitProblem::BranchInUse => "branch_in_use",
        GitProblem::NotOnBranch => "not_on_branch",
        GitProblem::NoCommits => "no_commits",
        GitProblem::DirtyWorktree => "dirty_worktree",
        GitProblem::MergeConflict => "merge_conflict",
        GitProblem::NothingToCommit => "nothing_to_commit",
        GitProblem::NoIdentity => "no_identity",
        GitProblem::PushRejected => "push_rejected",
        GitProblem::RemoteRejected => "remote_rejected",
        GitProblem::TransportFailed => "transport_failed",
        GitProblem::UnsupportedUrl => "unsupported_url",
        GitProblem::InvalidName => "invalid_name",
        GitProblem::PermissionDenied => "permission_denied",
        GitProblem::NoSpace => "no_space",
        GitProblem::TimedOut => "timed_out",
        GitProblem::Killed => "killed",
        GitProblem::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use lazaret_core::{Reason, State, Verb};

    use super::*;
    use crate::failure::{PanicMessage, Part};

    /// One of each; the compiler asks for the words of a new variant, and the snapshot for its review.
    fn failures() -> Vec<Failure> {
        let upstream = |problem| Error::Upstream {
            what: "docker.io".to_owned(),
            problem,
            retry_after: None,
            source: "a secret".into(),
        };
        let core = [
            Error::Unauthenticated,
            Error::Forbidden { scope: "admin" },
            Error::invalid("memory_bytes", "must be from 1 to 2, not 3"),
            Error::not_found(Kind::Sandbox, "68a0000100008000800000000000ffff"),
            Error::not_found(Kind::Cursor, "x"),
            Error::AlreadyExists { kind: Kind::Account, id: "red".to_owned() },
            Error::Refused { kind: Kind::Sandbox, state: State::Stopped, verb: Verb::Pause },
            Error::Ended {
                kind: Kind::Sandbox,
                id: "68a0000100008000800000000000ffff".to_owned(),
                state: State::Stopped,
                reason: Reason::OutOfMemory,
            },
            Error::Over { kind: Kind::Session, id: "x".to_owned() },
            Error::InUse { kind: Kind::Image, id: "x".to_owned(), by: "a sandbox".to_owned() },
            Error::File { path: "/x".to_owned(), problem: FileProblem::NoSpace },
            Error::Exec { what: "x".to_owned(), problem: ExecProblem::OutOfMemory },
            Error::Git { problem: GitProblem::PushRejected, detail: "x".to_owned() },
            Error::LimitReached(Limit::Sandboxes),
            Error::LimitReached(Limit::UploadBytes),
            upstream(UpstreamProblem::Corrupt),
            upstream(UpstreamProblem::Throttled),
            upstream(UpstreamProblem::Stalled),
            upstream(UpstreamProblem::NotAllowed),
            Error::Unsupported { what: "pause".to_owned() },
            Error::Unavailable { retry_after: Some(Duration::from_secs(7)), source: "a secret".into() },
            Error::internal("a secret"),
        ];
        let field = |problem| Rejection::Field { part: Part::Body, field: "a.b".to_owned(), problem };
        let rejected = [
            Rejection::UnknownPath,
            Rejection::WrongMethod,
            Rejection::MissingKey,
            Rejection::TooMany { retry_after: Duration::from_millis(2_100) },
            Rejection::Malformed { part: Part::Query, reason: "it is torn".to_owned() },
            field(FieldProblem::Missing),
            field(FieldProblem::Unknown),
            field(FieldProblem::Duplicate),
            field(FieldProblem::WrongType { expected: "a string".to_owned(), got: "null".to_owned() }),
            Rejection::TooLarge { max_bytes: 5 },
            Rejection::WrongMediaType { expected: "application/json" },
            Rejection::UnsatisfiableRange { bytes: 5 },
            Rejection::Ambiguous { name: "x".to_owned(), count: 2 },
            Rejection::SlowBody,
            Rejection::TimedOut,
            Rejection::Panicked(PanicMessage("a secret".to_owned())),
        ];
        core.into_iter().map(Failure::from).chain(rejected.into_iter().map(Failure::from)).collect()
    }

    #[test]
    fn every_failure_has_its_status_code_and_sentence() {
        let lines: Vec<String> = failures()
            .iter()
            .map(|failure| {
                let (status, problem) = answer(failure);
                format!("{} {}", status.as_u16(), serde_json::to_string(&problem).unwrap())
            })
            .collect();
        assert!(!lines.iter().any(|line| line.contains("secret")), "a source leaks: {lines:#?}");
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_time_to_wait_is_what_the_core_knows_and_never_zero() {
        let unavailable = |retry_after| Failure::from(Error::Unavailable { retry_after, source: "x".into() });
        assert_eq!(retry_after_s(&unavailable(Some(Duration::from_secs(7)))), 7);
        assert_eq!(retry_after_s(&unavailable(Some(Duration::ZERO))), 1);
        assert_eq!(retry_after_s(&unavailable(None)), 1);
        let retry_after = Duration::from_millis(2_100);
        assert_eq!(retry_after_s(&Rejection::TooMany { retry_after }.into()), 3);
    }
}
