//! Labels, intervals, bounds, network and the public flag of a sandbox that is there.

use axum::extract::State as AppState;
use lazaret_core::{
    EgressPolicy, IdleAction, LeaseChanges, Life, ResourceChanges, Resources, Sandbox, SandboxChanges, State,
};

use super::sandboxes::One;
use super::target::Target;
use super::wire::{Labels, NetworkSettings, Resize};
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

pub(super) async fn labels(
    AppState(app): AppState<App>,
    target: Target,
    Json(Labels { labels }): Json<Labels>,
) -> One {
    let labels = Some(create::texts("labels", labels)?);
    apply(&app, target, SandboxChanges { labels, ..SandboxChanges::default() }).await
}

pub(super) async fn public(AppState(app): AppState<App>, target: Target) -> One {
    let public = match text(&target.params, "public") {
        "true" => true,
        "false" => false,
        _ => return Err(bad_request("isPublic must be true or false")),
    };
    apply(&app, target, SandboxChanges { public: Some(public), ..SandboxChanges::default() }).await
}

pub(super) async fn auto_stop(AppState(app): AppState<App>, target: Target) -> One {
    let idle = lease::auto_stop(minutes(&target.params)?)?.map(|span| (span, IdleAction::Stop));
    let idle = kept_unless_replaced(&target.sandbox, idle, IdleAction::Pause);
    apply_lease(&app, target, LeaseChanges { idle, ..LeaseChanges::default() }).await
}

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

pub(super) async fn auto_archive(AppState(app): AppState<App>, target: Target) -> One {
    let span = lease::auto_archive(minutes(&target.params)?)?;
    apply_lease(
        &app,
        target,
        LeaseChanges { archive_stopped_after: Some(Some(span)), ..LeaseChanges::default() },
    )
    .await
}

pub(super) async fn auto_delete(AppState(app): AppState<App>, target: Target) -> One {
    let span = lease::auto_delete(minutes(&target.params)?);
    apply_lease(&app, target, LeaseChanges { delete_stopped_after: Some(span), ..LeaseChanges::default() })
        .await
}

/// Counts from now; 0 takes the end away.
pub(super) async fn ttl(AppState(app): AppState<App>, target: Target) -> One {
    let life = lease::ttl(minutes(&target.params)?)?.map(Life::FromNow);
    apply_lease(&app, target, LeaseChanges { life: Some(life), ..LeaseChanges::default() }).await
}

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
