//! Making, finding, listing, changing and ending sandboxes.

mod convert;
mod secrets;
pub(super) mod wire;

pub(super) use convert::page;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{EgressPolicy, NameUse, SandboxSpec, limits};

use super::error::ErrorBody;
use super::target::{Asked, Target};
use crate::extract::{Json, OptionalJson};
use crate::failure::{Failure, Rejection};
use crate::settings::App;

/// Make a sandbox; it runs, with its files in place, when the answer comes.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes", operation_id = "create_sandbox", tag = "sandboxes",
    request_body = wire::NewSandbox,
    responses((status = 201, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    OptionalJson(new): OptionalJson<wire::NewSandbox>,
) -> Result<(StatusCode, Json<wire::Sandbox>), Failure> {
    let defaults = match &new.template {
        Some(template) => app.core.templates.usable(&asked.caller, template)?.recipe.resources,
        None => app.core.sandboxes.default_resources(),
    };
    let spec: SandboxSpec = new.into_spec(defaults)?;
    let sandbox = app.core.sandboxes.create(&asked.caller, spec).await?;
    Ok((StatusCode::CREATED, Json(sandbox.into())))
}

/// A page of the account's sandboxes.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes", operation_id = "list_sandboxes", tag = "sandboxes",
    params(wire::ListQuery),
    responses((status = 200, body = wire::SandboxPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    asked: Asked<wire::ListQuery>,
) -> Result<Json<wire::SandboxPage>, Failure> {
    let (filter, request) = asked.query.into_request()?;
    let page = app.core.sandboxes.list(&asked.caller, &filter, request).await?;
    let sandboxes = page.items.into_iter().map(wire::Sandbox::from).collect();
    Ok(Json(wire::SandboxPage { sandboxes, has_more: page.has_more }))
}

/// A sandbox as it is now. Asking does not count as use.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}", operation_id = "get_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, target: Target) -> Result<Json<wire::Sandbox>, Failure> {
    Ok(Json(app.core.sandboxes.get(&target.caller, target.id).await?.into()))
}

/// Kill every process and remove everything.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}", operation_id = "delete_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    app.core.sandboxes.delete(&target.caller, target.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change what the sandbox may reach. It holds at once, for open connections too; one that is stopped has it from its next
/// start on.
#[utoipa::path(put, path = "/lazaret/v1/sandboxes/{id}/network", operation_id = "set_sandbox_network",
    tag = "sandboxes", params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::Network,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn set_network(
    State(app): State<App>,
    target: Target,
    Json(network): Json<wire::Network>,
) -> Result<Json<wire::Sandbox>, Failure> {
    let policy = EgressPolicy::try_from(network)?;
    Ok(Json(app.core.sandboxes.set_network(&target.caller, target.id, policy).await?.into()))
}

/// Make another sandbox from a stopped one, with a copy of its disk; it runs when the answer comes.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/fork", operation_id = "fork_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::Fork,
    responses((status = 201, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn fork(
    State(app): State<App>,
    target: Target,
    OptionalJson(fork): OptionalJson<wire::Fork>,
) -> Result<(StatusCode, Json<wire::Sandbox>), Failure> {
    let made = app.core.sandboxes.fork(&target.caller, target.id, fork.name, NameUse::Shared).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Bring a stopped sandbox back with its disk.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/start", operation_id = "start_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn start(State(app): State<App>, target: Target) -> Result<Json<wire::Sandbox>, Failure> {
    Ok(Json(app.core.sandboxes.start(&target.caller, target.id).await?.into()))
}

/// End the processes and keep the disk.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/stop", operation_id = "stop_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::Stop,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn stop(
    State(app): State<App>,
    target: Target,
    OptionalJson(stop): OptionalJson<wire::Stop>,
) -> Result<Json<wire::Sandbox>, Failure> {
    let grace = stop.grace_ms.map(Duration::from_millis);
    // The route has no time limit of its own, since a grace may be longer than any.
    let longest =
        app.settings.request_timeout + grace.unwrap_or(limits::STOP_GRACE).min(limits::STOP_GRACE_MAX);
    let stopped = app.core.sandboxes.stop(&target.caller, target.id, grace);
    let stopped = tokio::time::timeout(longest, stopped).await.map_err(|_| Rejection::TimedOut)?;
    Ok(Json(stopped?.into()))
}

/// Change labels, time limits, bounds and who may see its ports: all that is named, or nothing.
#[utoipa::path(patch, path = "/lazaret/v1/sandboxes/{id}", operation_id = "update_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::Changes,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn update(
    State(app): State<App>,
    target: Target,
    OptionalJson(changes): OptionalJson<wire::Changes>,
) -> Result<Json<wire::Sandbox>, Failure> {
    let changed = app.core.sandboxes.update(&target.caller, target.id, changes.into_changes()).await?;
    Ok(Json(changed.into()))
}

/// Pack the disk of a stopped sandbox away; a start unpacks it.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/archive", operation_id = "archive_sandbox",
    tag = "sandboxes", params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn archive(State(app): State<App>, target: Target) -> Result<Json<wire::Sandbox>, Failure> {
    Ok(Json(app.core.sandboxes.archive(&target.caller, target.id).await?.into()))
}

/// Freeze the processes, with their memory.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/pause", operation_id = "pause_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn pause(State(app): State<App>, target: Target) -> Result<Json<wire::Sandbox>, Failure> {
    Ok(Json(app.core.sandboxes.pause(&target.caller, target.id).await?.into()))
}

/// Thaw the processes.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/resume", operation_id = "resume_sandbox", tag = "sandboxes",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(crate) async fn resume(State(app): State<App>, target: Target) -> Result<Json<wire::Sandbox>, Failure> {
    Ok(Json(app.core.sandboxes.resume(&target.caller, target.id).await?.into()))
}

/// What a sandbox uses now.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/stats", operation_id = "get_sandbox_stats",
    tag = "sandboxes", params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::Stats), (status = "default", body = ErrorBody)))]
pub(crate) async fn stats(State(app): State<App>, target: Target) -> Result<Json<wire::Stats>, Failure> {
    let usage = app.core.sandboxes.usage(&target.caller, target.id).await?;
    let egress = app.core.sandboxes.egress_usage(&target.caller, target.id).await?;
    Ok(Json((usage, egress).into()))
}
