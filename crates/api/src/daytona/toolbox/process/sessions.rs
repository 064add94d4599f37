//! Shells that keep their state from one command to the next.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use lazaret_core::{
    CommandEnd, CommandId, CommandLog, CommandSpec, Error, Kind, LogPiece, Session, SessionCommand,
    SessionSpec, Stdin,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked;
use super::marks::{Marker, Shape};
use crate::daytona::toolbox::error::{ErrorBody, worded};
use crate::daytona::toolbox::target::Target;
use crate::extract::{Json, PathParams};
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// The session of the image's own command, which no sandbox here runs.
const ENTRYPOINT: &str = "entrypoint";

/// A session to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateSession {
    session_id: String,
}

/// A command to run in a session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecuteCommand {
    command: String,
    /// Answer at once, and let it run.
    run_async: Option<bool>,
    /// The older name of the same.
    #[serde(rename = "async")]
    old_async: Option<bool>,
    suppress_input_echo: Option<bool>,
}

/// Input of a command.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SendInput {
    data: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionBody {
    session_id: String,
    commands: Vec<CommandBody>,
}

/// A command of a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandBody {
    id: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

/// A command that was begun; how it goes is asked for by its id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    cmd_id: String,
    #[schema(required)]
    exit_code: Option<i32>,
    #[schema(required)]
    output: Option<String>,
    #[schema(required)]
    stderr: Option<String>,
    #[schema(required)]
    stdout: Option<String>,
}

/// A command that has ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    cmd_id: String,
    #[schema(required)]
    exit_code: Option<i32>,
    #[serde(flatten)]
    log: LogBody,
}

/// What a command printed. The single streams are told to clients that read them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogBody {
    /// Both streams in one, each line marked by its stream for clients that read the marks.
    pub(super) output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stdout: Option<String>,
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        let commands = session.commands.into_iter().map(CommandBody::from).collect();
        Self { session_id: session.name, commands }
    }
}

impl From<SessionCommand> for CommandBody {
    fn from(command: SessionCommand) -> Self {
        Self {
            id: ids::uuid(command.id.as_bytes()),
            command: command.command,
            exit_code: command.end.map(exit_code),
        }
    }
}

/// An end as one number; a command that never ran has the one of a command that could not be started.
fn exit_code(end: CommandEnd) -> i32 {
    match end {
        CommandEnd::Code(code) => code.into(),
        CommandEnd::WithShell(exit) => asked::exit_code(exit),
        CommandEnd::NeverRan => -1,
    }
}

/// Makes a session: a shell that keeps its state from one command to the next.
#[utoipa::path(post, path = "/process/session", operation_id = "CreateSession", tag = "process",
    request_body = CreateSession,
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    State(app): State<App>,
    target: Target,
    Json(new): Json<CreateSession>,
) -> Result<StatusCode, Failure> {
    if new.session_id == ENTRYPOINT {
        let message = format!("the session id '{ENTRYPOINT}' is reserved");
        return Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    }
    let cwd = Some(asked::directory(&target, &app, None).await?);
    let spec = SessionSpec { name: new.session_id, cwd, ..SessionSpec::default() };
    app.core.sessions.create(&target.caller, target.id, spec).await?;
    Ok(StatusCode::CREATED)
}

/// The sessions, with their commands.
#[utoipa::path(get, path = "/process/session", operation_id = "ListSessions", tag = "process",
    responses((status = 200, body = Vec<SessionBody>), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, target: Target) -> Result<Json<Vec<SessionBody>>, Failure> {
    let sessions = app.core.sessions.list(&target.caller, target.id).await?;
    Ok(Json(sessions.into_iter().map(SessionBody::from).collect()))
}

/// One session.
#[utoipa::path(get, path = "/process/session/{session}", operation_id = "GetSession", tag = "process",
    params(("session" = String, Path, description = "The session's id")),
    responses((status = 200, body = SessionBody), (status = "default", body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, target: Target) -> Result<Json<SessionBody>, Failure> {
    let session = app.core.sessions.get(&target.caller, target.id, session(&target.params)?).await?;
    Ok(Json(session.into()))
}

/// Ends a session and everything in it.
#[utoipa::path(delete, path = "/process/session/{session}", operation_id = "DeleteSession", tag = "process",
    params(("session" = String, Path, description = "The session's id")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    app.core.sessions.delete(&target.caller, target.id, session(&target.params)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session of the image's own command, which no sandbox here has.
#[utoipa::path(get, path = "/process/session/entrypoint", operation_id = "GetEntrypointSession", tag = "process",
    responses((status = 404, body = ErrorBody), (status = "default", body = ErrorBody)))]
pub(super) async fn entrypoint(_target: Target) -> Failure {
    Error::not_found(Kind::Session, ENTRYPOINT).into()
}

/// What the image's own command printed, which no sandbox here has.
#[utoipa::path(get, path = "/process/session/entrypoint/logs", operation_id = "GetEntrypointLogs", tag = "process",
    responses((status = 404, body = ErrorBody), (status = "default", body = ErrorBody)))]
pub(super) async fn entrypoint_logs(target: Target) -> Failure {
    entrypoint(target).await
}

/// Runs a command in a session, to its end unless it says otherwise.
#[utoipa::path(post, path = "/process/session/{session}/exec", operation_id = "SessionExecuteCommand", tag = "process",
    params(("session" = String, Path, description = "The session's id")),
    request_body = ExecuteCommand,
    responses(
        (status = 200, body = Ended),
        (status = 202, body = Begun),
        (status = "default", body = ErrorBody)))]
pub(super) async fn exec(
    State(app): State<App>,
    target: Target,
    headers: HeaderMap,
    Json(request): Json<ExecuteCommand>,
) -> Result<Response, Failure> {
    let name = session(&target.params)?;
    let sessions = &app.core.sessions;
    if request.run_async.or(request.old_async).unwrap_or(false) {
        let echo = !request.suppress_input_echo.unwrap_or(false);
        let spec = CommandSpec { command: request.command, stdin: Stdin::Stream, echo };
        let command = sessions.start(&target.caller, target.id, name, spec).await?;
        let cmd_id = ids::uuid(command.id.as_bytes());
        let body = Begun { cmd_id, exit_code: None, output: None, stderr: None, stdout: None };
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let spec = CommandSpec { command: request.command, stdin: Stdin::Empty, echo: false };
    let (command, log) = sessions.run(&target.caller, target.id, name, spec).await?;
    let log = log.collect().await?;
    if log.end == Some(CommandEnd::NeverRan) {
        return Err(Error::Over { kind: Kind::Session, id: name.to_owned() }.into());
    }
    let (cmd_id, exit_code) = (ids::uuid(command.id.as_bytes()), log.end.map(exit_code));
    Ok(Json(Ended { cmd_id, exit_code, log: written(&log, Shape::of(&headers)) }).into_response())
}

/// One command of a session.
#[utoipa::path(get, path = "/process/session/{session}/command/{command}", operation_id = "GetSessionCommand", tag = "process",
    params(("session" = String, Path, description = "The session's id"),
        ("command" = String, Path, description = "The command's id")),
    responses((status = 200, body = CommandBody), (status = "default", body = ErrorBody)))]
pub(super) async fn command(State(app): State<App>, target: Target) -> Result<Json<CommandBody>, Failure> {
    let command = command_id(&target.params)?;
    let found =
        app.core.sessions.command(&target.caller, target.id, session(&target.params)?, command).await?;
    Ok(Json(found.into()))
}

/// Sends a line to a command's standard input.
#[utoipa::path(post, path = "/process/session/{session}/command/{command}/input", operation_id = "SendInput", tag = "process",
    params(("session" = String, Path, description = "The session's id"),
        ("command" = String, Path, description = "The command's id")),
    request_body = SendInput,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn input(
    State(app): State<App>,
    target: Target,
    Json(mut input): Json<SendInput>,
) -> Result<StatusCode, Failure> {
    if !input.data.ends_with('\n') {
        input.data.push('\n');
    }
    let (name, command) = (session(&target.params)?, command_id(&target.params)?);
    app.core.sessions.send(&target.caller, target.id, name, command, input.data.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A log in the fields that a client of this shape reads.
pub(super) fn written(log: &CommandLog, shape: Shape) -> LogBody {
    let mut marker = Marker::new(shape);
    let (mut output, mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    for piece in &log.pieces {
        match piece {
            LogPiece::Stdout(bytes) => {
                output.extend_from_slice(&marker.stdout(bytes));
                stdout.extend_from_slice(bytes);
            }
            LogPiece::Stderr(bytes) => {
                output.extend_from_slice(&marker.stderr(bytes));
                stderr.extend_from_slice(bytes);
            }
        }
    }
    output.extend_from_slice(&marker.end());
    let is_split = shape == Shape::Split;
    LogBody {
        output: asked::text(&output, log.truncated),
        stderr: is_split.then(|| asked::text(&stderr, log.truncated)),
        stdout: is_split.then(|| asked::text(&stdout, false)),
    }
}

/// The session that a path names.
pub(super) fn session(params: &PathParams) -> Result<&str, Error> {
    params.text("session", Kind::Session)
}

/// The command that a path names.
pub(super) fn command_id(params: &PathParams) -> Result<CommandId, Error> {
    let text = params.text("command", Kind::Command)?;
    ids::parse_uuid(text).map(CommandId::from_bytes).ok_or_else(|| Error::not_found(Kind::Command, text))
}
