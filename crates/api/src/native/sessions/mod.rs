//! Shells that keep their state from one command to the next.
//!
//! ```text
//!   event: stdout | stderr | skipped        event: ended | error
//!   data: {"data_base64":"..."} | {}        data: LogEnd | {"error":...}       (then the stream ends)
//! ```

mod convert;
pub(super) mod wire;

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use lazaret_core::services::{LogStream, Until};
use lazaret_core::{CommandId, CommandSpec, Error, Kind, LogEvent, SessionSpec};

use super::error::ErrorBody;
use super::execs::events::{KEEP_ALIVE, event, failed};
use super::execs::{wants_events, wire::Chunk};
use super::target::Target;
use crate::extract::{Json, PathParams};
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// Make a session. It ends with `exit`, or with the sandbox's run; a restart of the server leaves it as it is.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/sessions", operation_id = "create_session",
    tag = "sessions", params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::NewSession,
    responses((status = 201, body = wire::Session), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    target: Target,
    Json(new): Json<wire::NewSession>,
) -> Result<(StatusCode, Json<wire::Session>), Failure> {
    let session = app.core.sessions.create(&target.caller, target.id, SessionSpec::from(new)).await?;
    Ok((StatusCode::CREATED, Json(session.into())))
}

/// The sessions of a sandbox, those included whose shell has ended and that were not deleted.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/sessions", operation_id = "list_sessions",
    tag = "sessions", params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::SessionList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, target: Target) -> Result<Json<wire::SessionList>, Failure> {
    let sessions = app.core.sessions.list(&target.caller, target.id).await?;
    Ok(Json(wire::SessionList { sessions: sessions.into_iter().map(wire::Session::from).collect() }))
}

/// One session.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}", operation_id = "get_session",
    tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 200, body = wire::Session), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, target: Target) -> Result<Json<wire::Session>, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    Ok(Json(app.core.sessions.get(&target.caller, target.id, name).await?.into()))
}

/// End a session and what it runs: with SIGTERM, and five seconds later with SIGKILL.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}", operation_id = "delete_session",
    tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    app.core.sessions.delete(&target.caller, target.id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a command when its turn has come: to its end, or in the background.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands",
    operation_id = "run_command", tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name")),
    request_body = wire::NewCommand,
    responses(
        (status = 200, description = "It has ended", body = wire::CommandResult),
        (status = 202, description = "It runs in the background, or waits for its turn", body = wire::Command),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn run(
    State(app): State<App>,
    target: Target,
    Json(new): Json<wire::NewCommand>,
) -> Result<Response, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    let sessions = &app.core.sessions;
    if new.background {
        let command = sessions.start(&target.caller, target.id, name, CommandSpec::from(new)).await?;
        return Ok((StatusCode::ACCEPTED, Json(wire::Command::from(command))).into_response());
    }
    let (command, log) = sessions.run(&target.caller, target.id, name, CommandSpec::from(new)).await?;
    let log = log.collect().await?;
    Ok(Json(wire::CommandResult::new(command.id, &log)).into_response())
}

/// A command of a session.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}",
    operation_id = "get_command", tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name"),
        ("command" = String, Path, description = "The command's id")),
    responses((status = 200, body = wire::Command), (status = "default", body = ErrorBody)))]
pub(crate) async fn command(State(app): State<App>, target: Target) -> Result<Json<wire::Command>, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    let command = command_id(&target.params)?;
    Ok(Json(app.core.sessions.command(&target.caller, target.id, name, command).await?.into()))
}

/// The log of a command, from its beginning: in one piece, or as server-sent events (`Accept: text/event-stream`).
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}/log",
    operation_id = "command_log", tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name"),
        ("command" = String, Path, description = "The command's id"), wire::LogQuery),
    responses(
        (status = 200, description = "The log; or the events stdout, stderr, skipped, and ended or error",
            content((wire::CommandResult = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn log(
    State(app): State<App>,
    target: Target<wire::LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    let command = command_id(&target.params)?;
    let until = if target.query.follow { Until::TheEnd } else { Until::Now };
    let log = app.core.sessions.follow(&target.caller, target.id, name, command, until).await?;
    if wants_events(&headers) {
        return Ok(follow(log));
    }
    Ok(Json(wire::CommandResult::new(command, &log.collect().await?)).into_response())
}

/// Send input to a command in the background.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}/input",
    operation_id = "send_input", tag = "sessions",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("session" = String, Path, description = "The session's name"),
        ("command" = String, Path, description = "The command's id")),
    request_body = wire::Input,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn input(
    State(app): State<App>,
    target: Target,
    Json(mut input): Json<wire::Input>,
) -> Result<StatusCode, Failure> {
    let name = target.params.text("session", Kind::Session)?;
    let command = command_id(&target.params)?;
    if !input.data.ends_with('\n') {
        input.data.push('\n');
    }
    app.core.sessions.send(&target.caller, target.id, name, command, input.data.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn follow(log: LogStream) -> Response {
    let events = stream::unfold(Some(log), |log| async {
        let mut log = log?;
        Some(match log.events.recv().await {
            Some(Ok(LogEvent::Stdout(bytes))) => (event("stdout", &Chunk::from(bytes)), Some(log)),
            Some(Ok(LogEvent::Stderr(bytes))) => (event("stderr", &Chunk::from(bytes)), Some(log)),
            Some(Ok(LogEvent::Skipped)) => (event("skipped", &serde_json::json!({})), Some(log)),
            Some(Ok(LogEvent::Ended(end))) => {
                let end = wire::LogEnd { running: end.is_none(), end: end.into() };
                (event("ended", &end), None)
            }
            Some(Err(error)) => (failed(error), None),
            None => (failed(log.guard.how_it_ended().await), None),
        })
    });
    let events = events.map(Ok::<Event, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn command_id(params: &PathParams) -> Result<CommandId, Error> {
    let text = params.text("command", Kind::Command)?;
    ids::parse_uuid(text).map(CommandId::from_bytes).ok_or_else(|| Error::not_found(Kind::Command, text))
}
