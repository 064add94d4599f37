//! Terminals: made, listed, resized, ended; looked at in `pty_socket.rs`.

use std::collections::BTreeMap;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret_core::{Error, Kind, Terminal, TerminalSpec};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Done, Variables};
use super::marks::offered;
use super::pty_socket;
use crate::daytona::time::iso8601;
use crate::daytona::toolbox::error::{ErrorBody, worded};
use crate::daytona::toolbox::target::Target;
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// Lines of a terminal whose maker names no number.
const ROWS_DEFAULT: i64 = 24;
/// Characters in a line of such a terminal.
const COLS_DEFAULT: i64 = 80;
/// Before the variables in a subprotocol.
const ENVS: &str = "X-Daytona-Pty-Envs~";

/// A terminal to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatePty {
    /// Must be given, whatever the contract says of it.
    #[serde(default)]
    id: String,
    rows: Option<i64>,
    cols: Option<i64>,
    cwd: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    envs: Variables,
}

/// A terminal to make.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ConnectQuery {
    #[serde(default)]
    id: String,
    rows: Option<i64>,
    cols: Option<i64>,
    cwd: Option<String>,
}

/// A size.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ResizePty {
    rows: i64,
    cols: i64,
}

/// A terminal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PtyBody {
    id: String,
    cwd: String,
    envs: BTreeMap<String, String>,
    rows: u16,
    cols: u16,
    created_at: String,
    /// Only those are told of.
    active: bool,
    /// Shells start at once.
    lazy_start: bool,
}

/// A terminal that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadePty {
    /// Its id.
    session_id: String,
}

/// The terminals of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PtyList {
    sessions: Vec<PtyBody>,
}

impl From<Terminal> for PtyBody {
    fn from(terminal: Terminal) -> Self {
        let Terminal { name, rows, cols, cwd, env, created_at } = terminal;
        let created_at = iso8601(created_at);
        Self { id: name, cwd, envs: env, rows, cols, created_at, active: true, lazy_start: false }
    }
}

/// Makes a terminal, to be looked at later.
#[utoipa::path(post, path = "/process/pty", operation_id = "CreatePtySession", tag = "process",
    request_body = CreatePty,
    responses((status = 201, body = MadePty), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    State(app): State<App>,
    target: Target,
    Json(new): Json<CreatePty>,
) -> Result<(StatusCode, Json<MadePty>), Failure> {
    check_id(&new.id)?;
    let spec = TerminalSpec {
        rows: side("rows", new.rows.unwrap_or(ROWS_DEFAULT))?,
        cols: side("cols", new.cols.unwrap_or(COLS_DEFAULT))?,
        cwd: Some(asked::directory(&target, &app, new.cwd).await?),
        env: new.envs.checked()?,
        name: new.id,
    };
    let (terminal, _session) = app.core.terminals.create(&target.caller, target.id, spec).await?;
    Ok((StatusCode::CREATED, Json(MadePty { session_id: terminal.name })))
}

/// The terminals whose shell runs.
#[utoipa::path(get, path = "/process/pty", operation_id = "ListPtySessions", tag = "process",
    responses((status = 200, body = PtyList), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, target: Target) -> Result<Json<PtyList>, Failure> {
    let terminals = app.core.terminals.list(&target.caller, target.id).await?;
    Ok(Json(PtyList { sessions: terminals.into_iter().map(PtyBody::from).collect() }))
}

/// One terminal.
#[utoipa::path(get, path = "/process/pty/{pty}", operation_id = "GetPtySession", tag = "process",
    params(("pty" = String, Path, description = "The terminal's id")),
    responses((status = 200, body = PtyBody), (status = "default", body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, target: Target) -> Result<Json<PtyBody>, Failure> {
    let name = name(&target.params)?;
    let found = app.core.terminals.get(&target.caller, target.id, name).await;
    Ok(Json(found.map_err(|error| missing(error, name))?.into()))
}

/// Ends a terminal and everything in it.
#[utoipa::path(delete, path = "/process/pty/{pty}", operation_id = "DeletePtySession", tag = "process",
    params(("pty" = String, Path, description = "The terminal's id")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, target: Target) -> Result<Json<Done>, Failure> {
    let name = name(&target.params)?;
    let deleted = app.core.terminals.delete(&target.caller, target.id, name).await;
    deleted.map_err(|error| missing(error, name))?;
    Ok(Json(Done { message: format!("PTY session {name} deleted") }))
}

/// Gives a terminal another size.
#[utoipa::path(post, path = "/process/pty/{pty}/resize", operation_id = "ResizePtySession", tag = "process",
    params(("pty" = String, Path, description = "The terminal's id")),
    request_body = ResizePty,
    responses((status = 200, body = PtyBody), (status = "default", body = ErrorBody)))]
pub(super) async fn resize(
    State(app): State<App>,
    target: Target,
    Json(size): Json<ResizePty>,
) -> Result<Json<PtyBody>, Failure> {
    let size = (side("rows", size.rows)?, side("cols", size.cols)?);
    let terminal = app.core.terminals.resize(&target.caller, target.id, name(&target.params)?, size).await?;
    Ok(Json(terminal.into()))
}

/// Makes a terminal and looks at it over a WebSocket in one step. A refusal is an answer without an upgrade.
#[utoipa::path(get, path = "/process/pty/create-connect", operation_id = "CreateConnectPtySession", tag = "process",
    params(ConnectQuery),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn create_connect(
    State(app): State<App>,
    target: Target<ConnectQuery>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(no_upgrade)?;
    let query = &target.query;
    check_id(&query.id)?;
    let spec = TerminalSpec {
        name: query.id.clone(),
        rows: side("rows", query.rows.unwrap_or(ROWS_DEFAULT))?,
        cols: side("cols", query.cols.unwrap_or(COLS_DEFAULT))?,
        cwd: Some(asked::directory(&target, &app, query.cwd.clone()).await?),
        env: variables(&headers)?,
    };
    let (_, session) = app.core.terminals.create(&target.caller, target.id, spec).await?;
    Ok(pty_socket::upgrade(upgrade, &headers, Ok(session)))
}

/// Looks at a terminal over a WebSocket. A refusal is told after the upgrade, where clients look for it.
#[utoipa::path(get, path = "/process/pty/{pty}/connect", operation_id = "ConnectPtySession", tag = "process",
    params(("pty" = String, Path, description = "The terminal's id")),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn connect(
    State(app): State<App>,
    target: Target,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(no_upgrade)?;
    let session = app.core.terminals.attach(&target.caller, target.id, name(&target.params)?).await;
    Ok(pty_socket::upgrade(upgrade, &headers, session))
}

fn check_id(id: &str) -> Result<(), Failure> {
    if id.is_empty() {
        return Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", "id is required"));
    }
    Ok(())
}

/// The variables among the offered subprotocols.
fn variables(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Failure> {
    let Some(encoded) = offered(headers).find_map(|word| word.strip_prefix(ENVS)) else {
        return Ok(BTreeMap::new());
    };
    let broken = || worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the variables of the PTY cannot be read");
    let json = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| broken())?;
    serde_json::from_slice::<Variables>(&json).map_err(|_| broken())?.checked()
}

fn no_upgrade(rejection: WebSocketUpgradeRejection) -> Failure {
    let reason = format!("this path is for WebSockets: {rejection}");
    Rejection::Malformed { part: Part::Header, reason }.into()
}

/// A side of a terminal; the core knows the bounds.
fn side(field: &'static str, number: i64) -> Result<u16, Error> {
    u16::try_from(number).map_err(|_| Error::invalid(field, format!("{number} is out of range")))
}

/// A terminal that has ended is none any more, but for a resize.
fn missing(error: Error, name: &str) -> Error {
    match error {
        Error::Over { .. } => Error::not_found(Kind::Terminal, name),
        other => other,
    }
}

fn name(params: &PathParams) -> Result<&str, Error> {
    params.text("pty", Kind::Terminal)
}
