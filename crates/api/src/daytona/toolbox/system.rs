//! The sandbox as a machine: its variables, its ports, what it uses.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use lazaret_core::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ErrorBody, Toolbox, worded};
use super::target::Target;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::Failure;
use crate::routing::Routes;
use crate::settings::App;

/// The ports that the contract speaks of.
const PORTS: std::ops::RangeInclusive<u16> = 3000..=9999;

pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    routes
        .on(Method::POST, "/env", set_env)
        .on(Method::GET, "/port", ports)
        .on(Method::GET, "/port/{port}/in-use", is_in_use)
        .on(Method::GET, "/system/metrics", metrics)
}

/// Variables to set and to take away, in everything that begins from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateEnv {
    set: Option<BTreeMap<String, String>>,
    unset: Option<Vec<String>>,
    /// Variables whose value begins so go as well, but for those that are set.
    unset_value_prefix: Option<String>,
}

/// Nothing more to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {}

/// Ports that something listens on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ports {
    ports: Vec<u16>,
}

/// Whether something listens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortUse {
    is_in_use: bool,
}

/// What the sandbox has and uses. Sizes are in bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    /// Whole cores.
    cpu_count: u32,
    /// Of its cores together.
    cpu_used_pct: f64,
    disk_free: u64,
    disk_total: u64,
    disk_used: u64,
    mem_total: u64,
    mem_used: u64,
    /// ISO 8601.
    timestamp: String,
    /// In seconds.
    timestamp_unix: i64,
}

/// Sets variables of the sandbox.
#[utoipa::path(post, path = "/env", operation_id = "UpdateEnv", tag = "system",
    request_body = UpdateEnv,
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody)))]
pub(super) async fn set_env(
    State(app): State<App>,
    target: Target,
    Json(update): Json<UpdateEnv>,
) -> Result<Json<Changed>, Failure> {
    let set = update.set.unwrap_or_default();
    let mut unset = update.unset.unwrap_or_default();
    if let Some(prefix) = update.unset_value_prefix.filter(|prefix| !prefix.is_empty()) {
        let sandbox = app.core.sandboxes.get(&target.caller, target.id).await?;
        let matching = sandbox.env.into_iter().filter(|(_, value)| value.starts_with(&prefix));
        unset.extend(matching.map(|(name, _)| name));
    }
    app.core.sandboxes.set_env(&target.caller, target.id, unset, set).await?;
    Ok(Json(Changed {}))
}

/// The ports from 3000 to 9999 that something listens on.
#[utoipa::path(get, path = "/port", operation_id = "GetPorts", tag = "system",
    responses((status = 200, body = Ports), (status = "default", body = ErrorBody)))]
pub(super) async fn ports(State(app): State<App>, target: Target) -> Result<Json<Ports>, Failure> {
    let listening = app.core.ingress.listening(&target.caller, target.id).await?;
    let ports: Vec<u16> = listening.into_iter().filter(|port| PORTS.contains(port)).collect();
    Ok(Json(Ports { ports }))
}

/// Whether something listens on a port.
#[utoipa::path(get, path = "/port/{port}/in-use", operation_id = "IsPortInUse", tag = "system",
    params(("port" = u16, Path, minimum = 3000, maximum = 9999, description = "The port")),
    responses((status = 200, body = PortUse), (status = "default", body = ErrorBody)))]
pub(super) async fn is_in_use(State(app): State<App>, target: Target) -> Result<Json<PortUse>, Failure> {
    let text = target.params.text("port", Kind::Sandbox)?;
    let port = text.parse::<u16>().ok().filter(|port| PORTS.contains(port)).ok_or_else(|| {
        let message = format!("port must be a number from {} to {}", PORTS.start(), PORTS.end());
        worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    })?;
    let listening = app.core.ingress.listening(&target.caller, target.id).await?;
    Ok(Json(PortUse { is_in_use: listening.contains(&port) }))
}

/// What the sandbox has and uses now.
#[utoipa::path(get, path = "/system/metrics", operation_id = "GetSystemMetrics", tag = "system",
    responses((status = 200, body = Metrics), (status = "default", body = ErrorBody)))]
pub(super) async fn metrics(State(app): State<App>, target: Target) -> Result<Json<Metrics>, Failure> {
    let sandbox = app.core.sandboxes.get(&target.caller, target.id).await?;
    let load = app.core.sandboxes.load(&target.caller, target.id).await?;
    let resources = sandbox.resources;
    Ok(Json(Metrics {
        cpu_count: resources.cpu_millis.div_ceil(1000),
        cpu_used_pct: load.cpu_percent,
        disk_free: resources.disk_bytes.saturating_sub(load.usage.disk_bytes),
        disk_total: resources.disk_bytes,
        disk_used: load.usage.disk_bytes,
        mem_total: resources.memory_bytes,
        mem_used: load.usage.memory_bytes,
        timestamp: iso8601(load.at),
        timestamp_unix: load.at.unix_seconds(),
    }))
}
