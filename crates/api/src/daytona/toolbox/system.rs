//! The sandbox as a machine: its variables, its ports, what it uses.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use lazaret_core::Kind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Toolbox, worded};
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateEnv {
    set: Option<BTreeMap<String, String>>,
    unset: Option<Vec<String>>,
    /// Variables whose value begins so go as well, but for those that are set.
    unset_value_prefix: Option<String>,
}

async fn set_env(
    State(app): State<App>,
    target: Target,
    Json(update): Json<UpdateEnv>,
) -> Result<Json<Value>, Failure> {
    let set = update.set.unwrap_or_default();
    let mut unset = update.unset.unwrap_or_default();
    if let Some(prefix) = update.unset_value_prefix.filter(|prefix| !prefix.is_empty()) {
        let sandbox = app.core.sandboxes.get(&target.caller, target.id).await?;
        let matching = sandbox.env.into_iter().filter(|(_, value)| value.starts_with(&prefix));
        unset.extend(matching.map(|(name, _)| name));
    }
    app.core.sandboxes.set_env(&target.caller, target.id, unset, set).await?;
    Ok(Json(json!({})))
}

async fn ports(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    let listening = app.core.ingress.listening(&target.caller, target.id).await?;
    let ports: Vec<u16> = listening.into_iter().filter(|port| PORTS.contains(port)).collect();
    Ok(Json(json!({"ports": ports})))
}

async fn is_in_use(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    let text = target.params.text("port", Kind::Sandbox)?;
    let port = text.parse::<u16>().ok().filter(|port| PORTS.contains(port)).ok_or_else(|| {
        let message = format!("port must be a number from {} to {}", PORTS.start(), PORTS.end());
        worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    })?;
    let listening = app.core.ingress.listening(&target.caller, target.id).await?;
    Ok(Json(json!({"isInUse": listening.contains(&port)})))
}

async fn metrics(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    let sandbox = app.core.sandboxes.get(&target.caller, target.id).await?;
    let load = app.core.sandboxes.load(&target.caller, target.id).await?;
    let resources = sandbox.resources;
    Ok(Json(json!({
        "cpuCount": resources.cpu_millis.div_ceil(1000),
        "cpuUsedPct": load.cpu_percent,
        "memTotal": resources.memory_bytes,
        "memUsed": load.usage.memory_bytes,
        "diskTotal": resources.disk_bytes,
        "diskUsed": load.usage.disk_bytes,
        "diskFree": resources.disk_bytes.saturating_sub(load.usage.disk_bytes),
        "timestamp": iso8601(load.at),
        "timestampUnix": load.at.unix_seconds(),
    })))
}
