//! Terminals that stay when nobody looks at them.

pub(super) mod wire;

use axum::extract::{State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use lazaret_core::{Kind, TerminalSpec};

use super::error::ErrorBody;
use super::execs::socket;
use super::target::Target;
use crate::extract::Json;
use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// Make a terminal. It ends with its shell, or with the sandbox's run; a restart of the server leaves it as it is.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/terminals", operation_id = "create_terminal",
    tag = "terminals", params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::NewTerminal,
    responses((status = 201, body = wire::Terminal), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    target: Target,
    Json(new): Json<wire::NewTerminal>,
) -> Result<(StatusCode, Json<wire::Terminal>), Failure> {
    let spec = TerminalSpec::from(new);
    let (terminal, _session) = app.core.terminals.create(&target.caller, target.id, spec).await?;
    Ok((StatusCode::CREATED, Json(terminal.into())))
}

/// The terminals of a sandbox whose shell runs.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/terminals", operation_id = "list_terminals",
    tag = "terminals", params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::TerminalList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    target: Target,
) -> Result<Json<wire::TerminalList>, Failure> {
    let terminals = app.core.terminals.list(&target.caller, target.id).await?;
    Ok(Json(wire::TerminalList { terminals: terminals.into_iter().map(wire::Terminal::from).collect() }))
}

/// One terminal.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/terminals/{terminal}", operation_id = "get_terminal",
    tag = "terminals",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("terminal" = String, Path, description = "The terminal's name")),
    responses((status = 200, body = wire::Terminal), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, target: Target) -> Result<Json<wire::Terminal>, Failure> {
    let name = target.params.text("terminal", Kind::Terminal)?;
    Ok(Json(app.core.terminals.get(&target.caller, target.id, name).await?.into()))
}

/// Give a terminal a new size.
#[utoipa::path(put, path = "/lazaret/v1/sandboxes/{id}/terminals/{terminal}/size",
    operation_id = "resize_terminal", tag = "terminals",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("terminal" = String, Path, description = "The terminal's name")),
    request_body = wire::Size,
    responses((status = 200, body = wire::Terminal), (status = "default", body = ErrorBody)))]
pub(crate) async fn resize(
    State(app): State<App>,
    target: Target,
    Json(size): Json<wire::Size>,
) -> Result<Json<wire::Terminal>, Failure> {
    let name = target.params.text("terminal", Kind::Terminal)?;
    let size = (size.rows, size.cols);
    Ok(Json(app.core.terminals.resize(&target.caller, target.id, name, size).await?.into()))
}

/// End a terminal and everything in it, with SIGKILL.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/terminals/{terminal}",
    operation_id = "delete_terminal", tag = "terminals",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("terminal" = String, Path, description = "The terminal's name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let name = target.params.text("terminal", Kind::Terminal)?;
    app.core.terminals.delete(&target.caller, target.id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Look at a terminal over a WebSocket, from what it shows next on; closing leaves the terminal as it is. Messages are
/// those of `exec_socket`, without a first request.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/terminals/{terminal}/ws",
    operation_id = "terminal_socket", tag = "terminals",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("terminal" = String, Path, description = "The terminal's name")),
    responses((status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn attach(
    State(app): State<App>,
    target: Target,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|error| Rejection::Malformed {
        part: Part::Header,
        reason: format!("this path is for WebSockets: {error}"),
    })?;
    let name = target.params.text("terminal", Kind::Terminal)?;
    // Refused with a status while there still can be one.
    let session = app.core.terminals.attach(&target.caller, target.id, name).await?;
    let span = tracing::Span::current();
    let upgrade =
        upgrade.max_message_size(socket::MESSAGE_MAX_BYTES).max_frame_size(socket::MESSAGE_MAX_BYTES);
    Ok(upgrade.on_upgrade(move |socket| {
        tracing::Instrument::instrument(socket::serve_session(session, socket), span)
    }))
}
