//! Running commands and snippets, and following those in the background.

pub(super) mod convert;
pub(super) mod events;
pub(super) mod socket;
pub(super) mod wire;

use axum::extract::{State, WebSocketUpgrade};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use lazaret_core::services::RunSpec;
use lazaret_core::{Error, ExecId, Kind};

use super::error::ErrorBody;
use super::target::Target;
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Part, Rejection};
use crate::ids;
use crate::settings::App;

/// Run a command: to its end, as server-sent events (`Accept: text/event-stream`), or in the background.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/exec", operation_id = "exec", tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::ExecRequest,
    responses(
        (status = 200, description = "The result; or the events started, stdout, stderr, and exited or error",
            content((wire::ExecResult = "application/json"), (String = "text/event-stream"))),
        (status = 202, description = "It runs in the background", body = wire::Background),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn exec(
    State(app): State<App>,
    target: Target,
    headers: HeaderMap,
    Json(request): Json<wire::ExecRequest>,
) -> Result<Response, Failure> {
    let exec = convert::Exec::try_from(request)?.without_terminal()?;
    let (caller, id) = (&target.caller, target.id);
    if exec.background {
        let (exec, session) = app.core.execs.start_background(caller, id, exec.spec).await?;
        let answer = wire::Background { exec_id: ids::uuid(exec.as_bytes()), pid: session.pid };
        return Ok((StatusCode::ACCEPTED, Json(answer)).into_response());
    }
    if wants_events(&headers) {
        let session = app.core.execs.start(caller, id, exec.spec).await?;
        return Ok(events::run(session, exec.stdin));
    }
    let longest = convert::longest(exec.spec.timeout);
    let run = app.core.execs.run(caller, id, exec.spec, exec.stdin);
    let result = tokio::time::timeout(longest, run).await.map_err(|_| Rejection::TimedOut)?;
    Ok(Json(wire::ExecResult::from(result?)).into_response())
}

/// Run a snippet with the image's interpreter.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/run", operation_id = "run", tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::RunRequest,
    responses((status = 200, body = wire::ExecResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn run(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::RunRequest>,
) -> Result<Json<wire::ExecResult>, Failure> {
    let spec = RunSpec::try_from(request)?;
    let longest = convert::longest(spec.timeout);
    let run = app.core.execs.run_code(&target.caller, target.id, spec);
    let result = tokio::time::timeout(longest, run).await.map_err(|_| Rejection::TimedOut)?;
    Ok(Json(result?.into()))
}

/// The background execs that the sandbox still knows.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/execs", operation_id = "list_execs", tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::ExecList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, target: Target) -> Result<Json<wire::ExecList>, Failure> {
    let execs = app.core.execs.list(&target.caller, target.id).await?;
    Ok(Json(wire::ExecList { execs: execs.into_iter().map(wire::Exec::from).collect() }))
}

/// Follow the output of a background exec as server-sent events, until it ends.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/execs/{exec}/output", operation_id = "follow_exec",
    tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("exec" = String, Path, description = "The exec's id"), wire::OutputQuery),
    responses(
        (status = 200, description = "The events started, stdout, stderr, skipped, and exited or error",
            content((String = "text/event-stream"))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn output(
    State(app): State<App>,
    target: Target<wire::OutputQuery>,
) -> Result<Response, Failure> {
    let offset = target.query.offset.unwrap_or(0);
    let exec = exec_id(&target.params)?;
    let session = app.core.execs.attach(&target.caller, target.id, exec, offset).await?;
    Ok(events::attach(session, offset, app.settings.stopping.clone()))
}

/// Forget a background exec, and kill it if it runs.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/execs/{exec}", operation_id = "delete_exec",
    tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("exec" = String, Path, description = "The exec's id")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    app.core.execs.remove(&target.caller, target.id, exec_id(&target.params)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a command over a WebSocket, with a terminal if wanted. The first text message is the request; then binary is
/// standard input, and text is a control message. The server's binary messages begin with 1 for standard output or 2
/// for standard error; its text messages tell of the start and the end.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/exec/ws", operation_id = "exec_socket", tag = "execs",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn socket(
    State(app): State<App>,
    target: Target,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|error| Rejection::Malformed {
        part: Part::Header,
        reason: format!("this path is for WebSockets: {error}"),
    })?;
    // Refused with a status while there still can be one.
    app.core.sandboxes.get(&target.caller, target.id).await?;
    let span = tracing::Span::current();
    let upgrade =
        upgrade.max_message_size(socket::MESSAGE_MAX_BYTES).max_frame_size(socket::MESSAGE_MAX_BYTES);
    Ok(upgrade.on_upgrade(move |socket| {
        tracing::Instrument::instrument(socket::serve(app, target.caller, target.id, socket), span)
    }))
}

fn exec_id(params: &PathParams) -> Result<ExecId, Error> {
    let text = params.text("exec", Kind::Exec)?;
    ids::parse_uuid(text).map(ExecId::from_bytes).ok_or_else(|| Error::not_found(Kind::Exec, text))
}

/// Whether the client prefers events to JSON: it names them.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|media| {
        let essence = media.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    })
}
