//! Labels, intervals, bounds, network and the public flag of a sandbox that is there.

use axum::extract::State as AppState;
use lazaret_core::{
    EgressPolicy, IdleAction, LeaseChanges, Life, ResourceChanges, Resources, Sandbox, SandboxChanges, State,
};

use super::error::ErrorBody;
use super::sandboxes::One;
use super::target::Target;
use super::wire::{self, Labels, NetworkSettings, Resize};
use super::{convert, create, lease, network};
use crate::daytona::bad_request;
use crate::extract::{Json, PathParams};
use crate::failure::Failure;
use crate::settings::App;

async fn apply(app: &App, target: Target, changes: SandboxChanges) -> One {
    let changed = app.core.sandboxes.update(&target.caller, target.sandbox.id, changes).await?;
    Ok(Json(convert::sandbox(app, &target.base, changed)))
}

async fn apply_lease(app: &App, target: Target, lease: LeaseChanges) -> One {
    apply(app, target, SandboxChanges { lease, ..SandboxChanges::default() }).await
}

/// Puts these labels in the place of those that are there.
#[utoipa::path(put, path = "/sandbox/{id}/labels", operation_id = "replaceLabels", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    request_body = Labels,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn labels(
    AppState(app): AppState<App>,
    target: Target,
    Json(Labels { labels }): Json<Labels>,
) -> One {
    let labels = Some(create::texts("labels", labels)?);
    apply(&app, target, SandboxChanges { labels, ..SandboxChanges::default() }).await
}

/// Makes the previews of a sandbox public, or not.
#[utoipa::path(post, path = "/sandbox/{id}/public/{public}", operation_id = "updatePublicStatus", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("public" = bool, Path, description = "Whether previews need no token")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn public(AppState(app): AppState<App>, target: Target) -> One {
    let public = match text(&target.params, "public") {
        "true" => true,
        "false" => false,
        _ => return Err(bad_request("isPublic must be true or false")),
    };
    apply(&app, target, SandboxChanges { public: Some(public), ..SandboxChanges::default() }).await
}

/// Sets when a sandbox stops by itself.
#[utoipa::path(post, path = "/sandbox/{id}/autostop/{minutes}", operation_id = "setAutostopInterval", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("minutes" = i64, Path, description = "Without use; 0 for never")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn auto_stop(AppState(app): AppState<App>, target: Target) -> One {
    let idle = lease::auto_stop(minutes(&target.params)?)?.map(|span| (span, IdleAction::Stop));
    let idle = kept_unless_replaced(&target.sandbox, idle, IdleAction::Pause);
    apply_lease(&app, target, LeaseChanges { idle, ..LeaseChanges::default() }).await
}

/// Sets when a sandbox is paused by itself.
#[utoipa::path(post, path = "/sandbox/{id}/autopause/{minutes}", operation_id = "setAutoPauseInterval", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("minutes" = i64, Path, description = "Without use; 0 for never")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn auto_pause(AppState(app): AppState<App>, target: Target) -> One {
    let idle = lease::auto_pause(minutes(&target.params)?)?.map(|span| (span, IdleAction::Pause));
    if idle.is_some() && convert::is_ephemeral(&target.sandbox) {
        return Err(bad_request("Ephemeral sandboxes cannot have auto-pause enabled"));
    }
    let idle = kept_unless_replaced(&target.sandbox, idle, IdleAction::Stop);
    apply_lease(&app, target, LeaseChanges { idle, ..LeaseChanges::default() }).await
}

/// The change of the idle time. There is one, for whichever of the two intervals is set: taking the one away that is not
/// set changes nothing.
fn kept_unless_replaced(
    sandbox: &Sandbox,
    wanted: Option<(std::time::Duration, IdleAction)>,
    other: IdleAction,
) -> Option<Option<(std::time::Duration, IdleAction)>> {
    let has_other = sandbox.lease.idle.is_some_and(|(_, action)| action == other);
    if wanted.is_none() && has_other { None } else { Some(wanted) }
}

/// Sets when a stopped sandbox is archived.
#[utoipa::path(post, path = "/sandbox/{id}/autoarchive/{minutes}", operation_id = "setAutoArchiveInterval", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("minutes" = i64, Path, description = "Once stopped; 0 for the longest")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn auto_archive(AppState(app): AppState<App>, target: Target) -> One {
    let span = lease::auto_archive(minutes(&target.params)?)?;
    apply_lease(
        &app,
        target,
        LeaseChanges { archive_stopped_after: Some(Some(span)), ..LeaseChanges::default() },
    )
    .await
}

/// Sets when a stopped sandbox is deleted.
#[utoipa::path(post, path = "/sandbox/{id}/autodelete/{minutes}", operation_id = "setAutoDeleteInterval", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("minutes" = i64, Path, description = "Once stopped; 0 for at once, negative for never")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn auto_delete(AppState(app): AppState<App>, target: Target) -> One {
    let span = lease::auto_delete(minutes(&target.params)?);
    apply_lease(&app, target, LeaseChanges { delete_stopped_after: Some(span), ..LeaseChanges::default() })
        .await
}

/// Sets the end of a sandbox: counts from now, and 0 takes it away.
#[utoipa::path(post, path = "/sandbox/{id}/ttl/{minutes}", operation_id = "setTtl", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("minutes" = i64, Path, description = "From now; 0 for no end")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn ttl(AppState(app): AppState<App>, target: Target) -> One {
    let life = lease::ttl(minutes(&target.params)?)?.map(Life::FromNow);
    apply_lease(&app, target, LeaseChanges { life: Some(life), ..LeaseChanges::default() }).await
}

/// Sets other bounds, in whole cores and GiB.
#[utoipa::path(post, path = "/sandbox/{id}/resize", operation_id = "resizeSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    request_body = Resize,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn resize(AppState(app): AppState<App>, target: Target, Json(wanted): Json<Resize>) -> One {
    let resources = create::bounds(wanted.cpu, wanted.memory, wanted.disk)?;
    check_resize(&target.sandbox, resources)?;
    apply(&app, target, SandboxChanges { resources, ..SandboxChanges::default() }).await
}

/// What this contract refuses beyond the core.
fn check_resize(sandbox: &Sandbox, wanted: ResourceChanges) -> Result<(), Failure> {
    let Resources { memory_bytes, cpu_millis, disk_bytes, .. } = sandbox.resources;
    let same = wanted.memory_bytes.unwrap_or(memory_bytes) == memory_bytes
        && wanted.cpu_millis.unwrap_or(cpu_millis) == cpu_millis
        && wanted.disk_bytes.unwrap_or(disk_bytes) == disk_bytes;
    if same {
        return Err(bad_request(
            "No resource changes specified - sandbox is already at the desired configuration",
        ));
    }
    if sandbox.state == State::Running && wanted.cpu_millis.is_some_and(|millis| millis < cpu_millis) {
        return Err(bad_request("cpu: may not be lowered while the sandbox is started"));
    }
    Ok(())
}

/// Sets what a sandbox may reach.
#[utoipa::path(post, path = "/sandbox/{id}/network-settings", operation_id = "updateNetworkSettings", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    request_body = NetworkSettings,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn network_settings(
    AppState(app): AppState<App>,
    target: Target,
    Json(wanted): Json<NetworkSettings>,
) -> One {
    let NetworkSettings { network_block_all, network_allow_list, domain_allow_list } = wanted;
    let policy =
        network::policy(network_block_all, network_allow_list.as_deref(), domain_allow_list.as_deref())?;
    let names_lists = network_allow_list.is_some() || domain_allow_list.is_some();
    // Lists that are emptied allow nothing.
    let policy = policy.or(names_lists.then_some(EgressPolicy::Disabled));
    let Some(policy) = policy else {
        return Err(bad_request("networkBlockAll, networkAllowList or domainAllowList must be given"));
    };
    let changed = app.core.sandboxes.set_network(&target.caller, target.sandbox.id, policy).await?;
    Ok(Json(convert::sandbox(&app, &target.base, changed)))
}

fn text<'a>(params: &'a PathParams, name: &str) -> &'a str {
    std::str::from_utf8(params.bytes(name)).unwrap_or_default()
}

/// The minutes at the end of the path.
fn minutes(params: &PathParams) -> Result<i64, Failure> {
    text(params, "minutes").parse().map_err(|_| bad_request("interval must be a whole number of minutes"))
}
