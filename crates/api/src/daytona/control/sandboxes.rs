//! Making sandboxes, finding them, and the verbs of their life.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use lazaret_core::{Caller, Error, Kind, NameUse, Sandbox, SandboxId, State, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::target::{Asked, Target};
use super::wire::{self, NewSandbox};
use super::{convert, create};
use crate::daytona::bad_request;
use crate::extract::{Json, OptionalJson};
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// What most routes answer.
pub(super) type One = Result<Json<wire::Sandbox>, Failure>;

/// Makes a sandbox. The answer is held until it runs, since callers do not always wait by themselves.
#[utoipa::path(post, path = "/sandbox", operation_id = "createSandbox", tag = "sandbox",
    request_body = NewSandbox,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    OptionalJson(new): OptionalJson<NewSandbox>,
) -> One {
    let spec = create::spec(&app, &asked.caller, new).await?;
    let made = app.core.sandboxes.create(&asked.caller, spec).await?;
    Ok(Json(convert::sandbox(&app, &asked.base, made)))
}

/// One sandbox.
#[utoipa::path(get, path = "/sandbox/{id}", operation_id = "getSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn show(AppState(app): AppState<App>, target: Target) -> One {
    Ok(Json(convert::sandbox(&app, &target.base, target.sandbox)))
}

/// Removes a sandbox; it is gone, and its name free, when the answer comes.
#[utoipa::path(delete, path = "/sandbox/{id}", operation_id = "deleteSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(AppState(app): AppState<App>, target: Target) -> One {
    let Target { caller, mut sandbox, base, .. } = target;
    // Asked for its user while there still is somebody to ask.
    sandbox.user = app.core.sandboxes.user_of(&sandbox);
    app.core.sandboxes.delete(&caller, sandbox.id).await?;
    sandbox.state = State::Deleted;
    Ok(Json(convert::sandbox(&app, &base, sandbox)))
}

/// Starts a stopped sandbox, unpacks an archived one, goes on with a paused one.
#[utoipa::path(post, path = "/sandbox/{id}/start", operation_id = "startSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn start(AppState(app): AppState<App>, target: Target) -> One {
    let Target { caller, sandbox, base, .. } = target;
    let started = match sandbox.state {
        State::Paused => app.core.sandboxes.resume(&caller, sandbox.id).await?,
        // Whoever wants it back says so by `recover`.
        State::Error => return Err(refused(&sandbox, Verb::Start)),
        _ => app.core.sandboxes.start(&caller, sandbox.id).await?,
    };
    Ok(Json(convert::sandbox(&app, &base, started)))
}

/// How to stop.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct StopQuery {
    /// At once, without time to end by itself.
    force: bool,
}

/// Stops a sandbox; its disk stays.
#[utoipa::path(post, path = "/sandbox/{id}/stop", operation_id = "stopSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        StopQuery),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn stop(AppState(app): AppState<App>, target: Target<StopQuery>) -> One {
    let Target { caller, sandbox, base, query, .. } = target;
    if !matches!(sandbox.state, State::Running | State::Paused) {
        return Err(refused(&sandbox, Verb::Stop));
    }
    let grace = query.force.then_some(std::time::Duration::ZERO);
    let stopped = app.core.sandboxes.stop(&caller, sandbox.id, grace).await?;
    Ok(Json(convert::sandbox(&app, &base, stopped)))
}

/// Freezes a sandbox.
#[utoipa::path(post, path = "/sandbox/{id}/pause", operation_id = "pauseSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn pause(AppState(app): AppState<App>, target: Target) -> One {
    let Target { caller, sandbox, base, .. } = target;
    let paused = app.core.sandboxes.pause(&caller, sandbox.id).await?;
    Ok(Json(convert::sandbox(&app, &base, paused)))
}

/// How to recover.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct RecoverQuery {
    /// Leave it stopped.
    skip_start: bool,
}

/// Takes a sandbox out of its errored state: running, or stopped if it is not to be started.
#[utoipa::path(post, path = "/sandbox/{id}/recover", operation_id = "recoverSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        RecoverQuery),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn recover(AppState(app): AppState<App>, target: Target<RecoverQuery>) -> One {
    let Target { caller, sandbox, base, query, .. } = target;
    if sandbox.state != State::Error {
        return Err(bad_request("Sandbox is not in an errored state"));
    }
    let recovered = match query.skip_start {
        true => app.core.sandboxes.stop(&caller, sandbox.id, None).await?,
        false => app.core.sandboxes.start(&caller, sandbox.id).await?,
    };
    Ok(Json(convert::sandbox(&app, &base, recovered)))
}

/// Packs a stopped sandbox's disk away.
#[utoipa::path(post, path = "/sandbox/{id}/archive", operation_id = "archiveSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn archive(AppState(app): AppState<App>, target: Target) -> One {
    let Target { caller, sandbox, base, .. } = target;
    if convert::is_ephemeral(&sandbox) {
        return Err(bad_request("Ephemeral sandboxes cannot be archived"));
    }
    let archived = app.core.sandboxes.archive(&caller, sandbox.id).await?;
    Ok(Json(convert::sandbox(&app, &base, archived)))
}

/// Makes a sandbox that begins with a copy of a stopped one's disk.
#[utoipa::path(post, path = "/sandbox/{id}/fork", operation_id = "forkSandbox", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    request_body = wire::Fork,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn fork(
    AppState(app): AppState<App>,
    target: Target,
    OptionalJson(fork): OptionalJson<wire::Fork>,
) -> One {
    let Target { caller, sandbox, base, .. } = target;
    let name = fork.name.as_deref().map(create::check_name).transpose()?;
    let made = app.core.sandboxes.fork(&caller, sandbox.id, name, NameUse::Unique).await?;
    Ok(Json(convert::sandbox(&app, &base, made)))
}

/// The forks of a sandbox: none, since a fork is a sandbox of its own from its first moment on.
#[utoipa::path(get, path = "/sandbox/{id}/forks", operation_id = "getSandboxForks", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = Vec<wire::Sandbox>), (status = "default", body = ErrorBody)))]
pub(super) async fn forks(_target: Target) -> Json<[wire::Sandbox; 0]> {
    Json([])
}

/// What a sandbox descends from: nothing, since a fork is a sandbox of its own.
#[utoipa::path(get, path = "/sandbox/{id}/ancestors", operation_id = "getSandboxAncestors", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = Vec<wire::Sandbox>), (status = "default", body = ErrorBody)))]
pub(super) async fn ancestors(_target: Target) -> Json<[wire::Sandbox; 0]> {
    Json([])
}

/// The sandbox that one was forked from, which none has: a 404.
#[utoipa::path(get, path = "/sandbox/{id}/parent", operation_id = "getSandboxParent", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn parent(target: Target) -> One {
    Err(Error::not_found(Kind::Sandbox, target.sandbox.id).into())
}

/// Counts as use.
#[utoipa::path(post, path = "/sandbox/{id}/last-activity", operation_id = "updateLastActivity", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn touch(AppState(app): AppState<App>, target: Target) -> Result<StatusCode, Failure> {
    app.core.sandboxes.get_and_renew(&target.caller, target.sandbox.id).await?;
    Ok(StatusCode::CREATED)
}

/// An address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolboxUrl {
    /// What the sandbox's id and a path of the toolbox go behind.
    url: String,
}

/// Where the toolbox of a sandbox is.
#[utoipa::path(get, path = "/sandbox/{id}/toolbox-proxy-url", operation_id = "getToolboxProxyUrl", tag = "sandbox",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses((status = 200, body = ToolboxUrl), (status = "default", body = ErrorBody)))]
pub(super) async fn toolbox(target: Target) -> Json<ToolboxUrl> {
    Json(ToolboxUrl { url: target.base.toolbox() })
}

fn refused(sandbox: &Sandbox, verb: Verb) -> Failure {
    Error::Refused { kind: Kind::Sandbox, state: sandbox.state, verb }.into()
}

/// A sandbox for an event, if the account still has it.
pub(super) async fn find(app: &App, caller: &Caller, id: SandboxId) -> Option<Sandbox> {
    app.core.sandboxes.get(caller, id).await.ok()
}

/// What is left to say of a sandbox that is gone.
pub(super) fn gone(id: SandboxId) -> Value {
    json!({"id": ids::uuid(id.as_bytes()), "state": "destroyed"})
}
