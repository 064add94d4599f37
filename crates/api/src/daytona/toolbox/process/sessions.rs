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
use serde_json::{Value, json};

use super::asked;
use super::marks::{Marker, Shape};
use crate::daytona::toolbox::error::worded;
use crate::daytona::toolbox::target::Target;
use crate::extract::{Json, PathParams};
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// The session of the image's own command, which no sandbox here runs.
const ENTRYPOINT: &str = "entrypoint";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateSession {
    session_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecuteCommand {
    command: String,
    run_async: Option<bool>,
    /// The older name of the same.
    #[serde(rename = "async")]
    old_async: Option<bool>,
    suppress_input_echo: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SendInput {
    data: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionBody {
    session_id: String,
    commands: Vec<CommandBody>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandBody {
    id: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
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

pub(super) async fn list(State(app): State<App>, target: Target) -> Result<Response, Failure> {
    let sessions = app.core.sessions.list(&target.caller, target.id).await?;
    let sessions: Vec<SessionBody> = sessions.into_iter().map(SessionBody::from).collect();
    Ok(axum::Json(sessions).into_response())
}

pub(super) async fn show(State(app): State<App>, target: Target) -> Result<Response, Failure> {
    let session = app.core.sessions.get(&target.caller, target.id, session(&target.params)?).await?;
    Ok(Json(SessionBody::from(session)).into_response())
}

pub(super) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    app.core.sessions.delete(&target.caller, target.id, session(&target.params)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn entrypoint(_target: Target) -> Failure {
    Error::not_found(Kind::Session, ENTRYPOINT).into()
}

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
        let body = json!({
            "cmdId": ids::uuid(command.id.as_bytes()),
            "output": null, "stdout": null, "stderr": null, "exitCode": null,
        });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let spec = CommandSpec { command: request.command, stdin: Stdin::Empty, echo: false };
    let (command, log) = sessions.run(&target.caller, target.id, name, spec).await?;
    let log = log.collect().await?;
    if log.end == Some(CommandEnd::NeverRan) {
        return Err(Error::Over { kind: Kind::Session, id: name.to_owned() }.into());
    }
    let mut body = written(&log, Shape::of(&headers));
    body["cmdId"] = ids::uuid(command.id.as_bytes()).into();
    body["exitCode"] = log.end.map(exit_code).into();
    Ok(Json(body).into_response())
}

pub(super) async fn command(State(app): State<App>, target: Target) -> Result<Response, Failure> {
    let command = command_id(&target.params)?;
    let found =
        app.core.sessions.command(&target.caller, target.id, session(&target.params)?, command).await?;
    Ok(Json(CommandBody::from(found)).into_response())
}

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
pub(super) fn written(log: &CommandLog, shape: Shape) -> Value {
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
    let mut body = json!({"output": asked::text(&output, log.truncated)});
    if shape == Shape::Split {
        body["stdout"] = asked::text(&stdout, false).into();
        body["stderr"] = asked::text(&stderr, log.truncated).into();
    }
    body
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
