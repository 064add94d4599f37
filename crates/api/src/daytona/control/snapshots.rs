//! Snapshots, which are templates: made of an image or of a stopped sandbox, listed, switched on and off, removed.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use lazaret_core::{Kind, NewTemplate, Template, TemplateSource, TemplateState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::create::Origin;
use super::error::ErrorBody;
use super::server::REGION;
use super::target::{Asked, Target};
use super::wire::{self, NewBuild};
use super::{convert, create};
use crate::daytona::bad_request;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::ids;
use crate::settings::App;

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 200;
const GIB: u64 = 1024 * 1024 * 1024;

/// Which snapshots.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The page's number, from 1.
    page: Option<i64>,
    /// Snapshots of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// A part of the name.
    name: Option<String>,
    /// The sandbox that it was made of.
    source_sandbox_id: Option<String>,
}

/// A snapshot to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewSnapshot {
    name: String,
    #[serde(default)]
    image_name: Option<String>,
    #[serde(default)]
    build_info: Option<NewBuild>,
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    cpu: Option<i64>,
    #[serde(default)]
    memory: Option<i64>,
    #[serde(default)]
    disk: Option<i64>,
    #[serde(default)]
    gpu: Option<i64>,
}

/// A snapshot. Sizes are in GiB.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    /// Whole cores.
    cpu: u32,
    created_at: String,
    disk: u64,
    #[schema(required)]
    entrypoint: Option<Vec<String>>,
    #[schema(required)]
    error_reason: Option<String>,
    general: bool,
    gpu: u64,
    id: String,
    #[schema(required)]
    image_name: Option<String>,
    #[schema(required)]
    last_used_at: Option<String>,
    mem: u64,
    name: String,
    organization_id: String,
    region_ids: [&'static str; 1],
    sandbox_class: &'static str,
    /// Of the image, once it is here.
    #[schema(required)]
    size: Option<f64>,
    #[schema(required)]
    source_sandbox_id: Option<String>,
    /// `pulling`, `snapshotting`, `building`, `active`, `inactive`, `error` or `removing`.
    state: &'static str,
    updated_at: String,
}

/// A page of snapshots.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotPage {
    items: Vec<Snapshot>,
    /// This page's number.
    page: i64,
    /// Snapshots of all pages.
    total: usize,
    total_pages: usize,
}

/// The name of a snapshot of a sandbox.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct OfSandbox {
    name: String,
}

/// The snapshots of the account, the newest first.
#[utoipa::path(get, path = "/snapshots", operation_id = "getAllSnapshots", tag = "snapshots",
    params(ListQuery),
    responses((status = 200, body = SnapshotPage), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    AppState(app): AppState<App>,
    asked: Asked<ListQuery>,
) -> Result<Json<SnapshotPage>, Failure> {
    let query = asked.query;
    let limit = match query.limit.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => usize::try_from(limit).expect("a small number"),
        _ => return Err(bad_request(&format!("limit must be from 1 to {LIMIT_MAX}"))),
    };
    let page = query.page.unwrap_or(1);
    let skipped = usize::try_from(page - 1).map_err(|_| bad_request("page must be at least 1"))?;
    let mut found = app.core.templates.list(&asked.caller)?;
    found.retain(|template| {
        let named = query.name.as_ref().is_none_or(|part| template.name.contains(part.as_str()));
        let of = query.source_sandbox_id.as_ref();
        named && of.is_none_or(|of| origin(template).as_ref() == Some(of))
    });
    found.reverse();
    let total = found.len();
    let items: Vec<_> = found.iter().skip(skipped.saturating_mul(limit)).take(limit).map(shown).collect();
    Ok(Json(SnapshotPage { items, page, total, total_pages: total.div_ceil(limit) }))
}

/// Makes a snapshot; its image may still be on its way when the answer comes, and its state says so.
#[utoipa::path(post, path = "/snapshots", operation_id = "createSnapshot", tag = "snapshots",
    request_body = NewSnapshot,
    responses((status = 200, body = Snapshot), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    Json(new): Json<NewSnapshot>,
) -> Result<Json<Snapshot>, Failure> {
    if new.gpu.is_some_and(|count| count > 0) {
        let problem = FieldProblem::Unsupported;
        return Err(Rejection::Field { part: Part::Body, field: "gpu".to_owned(), problem }.into());
    }
    let origin = match (new.image_name.filter(|name| !name.is_empty()), &new.build_info) {
        (Some(_), Some(_)) => return Err(bad_request("imageName and buildInfo cannot be given together")),
        (Some(name), None) => Origin::Image(name),
        (None, Some(build)) => Origin::of(build)?,
        (None, None) => return Err(bad_request("imageName or buildInfo must be given")),
    };
    let bounds = create::bounds(new.cpu, new.memory, new.disk)?;
    let wanted = NewTemplate {
        resources: bounds,
        start_command: new.entrypoint,
        ..NewTemplate::new(new.name, TemplateSource::Build)
    };
    let made = match origin {
        Origin::Image(name) => {
            let wanted = NewTemplate { source: TemplateSource::Image(name), ..wanted };
            app.core.templates.create(&asked.caller, wanted).await?
        }
        Origin::Dockerfile(text) => {
            let (builder, caller) = (app.clone(), asked.caller.clone());
            let work = async move { create::built(&builder, &caller, text, None).await };
            app.core.templates.create_built(&asked.caller, wanted, work).await?
        }
    };
    Ok(Json(shown(&made)))
}

/// Makes a snapshot of a stopped sandbox, in the background.
#[utoipa::path(post, path = "/sandbox/{id}/snapshot", operation_id = "createSandboxSnapshot", tag = "snapshots",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    request_body = OfSandbox,
    responses((status = 200, body = wire::Sandbox), (status = "default", body = ErrorBody)))]
pub(super) async fn of_sandbox(
    AppState(app): AppState<App>,
    target: Target,
    Json(wanted): Json<OfSandbox>,
) -> super::sandboxes::One {
    let new = NewTemplate::new(wanted.name, TemplateSource::Sandbox(target.sandbox.id));
    app.core.templates.create(&target.caller, new).await?;
    Ok(Json(convert::sandbox(&app, &target.base, target.sandbox)))
}

/// One snapshot.
#[utoipa::path(get, path = "/snapshots/{snapshot}", operation_id = "getSnapshot", tag = "snapshots",
    params(("snapshot" = String, Path, description = "Id or name of the snapshot")),
    responses((status = 200, body = Snapshot), (status = "default", body = ErrorBody)))]
pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Snapshot>, Failure> {
    Ok(Json(shown(&app.core.templates.get(&asked.caller, name(&asked)?)?)))
}

/// Removes a snapshot; sandboxes that were made of it stay.
#[utoipa::path(delete, path = "/snapshots/{snapshot}", operation_id = "removeSnapshot", tag = "snapshots",
    params(("snapshot" = String, Path, description = "Id or name of the snapshot")),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.templates.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::OK)
}

/// Lets sandboxes be made of a snapshot again.
#[utoipa::path(post, path = "/snapshots/{snapshot}/activate", operation_id = "activateSnapshot", tag = "snapshots",
    params(("snapshot" = String, Path, description = "Id or name of the snapshot")),
    responses((status = 200, body = Snapshot), (status = "default", body = ErrorBody)))]
pub(super) async fn activate(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Snapshot>, Failure> {
    Ok(Json(shown(&app.core.templates.activate(&asked.caller, name(&asked)?).await?)))
}

/// Lets no more sandboxes be made of a snapshot.
#[utoipa::path(post, path = "/snapshots/{snapshot}/deactivate", operation_id = "deactivateSnapshot", tag = "snapshots",
    params(("snapshot" = String, Path, description = "Id or name of the snapshot")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn deactivate(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.templates.deactivate(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(asked: &Asked) -> Result<&str, Failure> {
    Ok(asked.params.text("snapshot", Kind::Template)?)
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

/// The sandbox that a snapshot was made of.
fn origin(template: &Template) -> Option<String> {
    match &template.source {
        TemplateSource::Sandbox(id) => Some(ids::uuid(id.as_bytes())),
        TemplateSource::Image(_) | TemplateSource::Build => None,
    }
}

fn shown(template: &Template) -> Snapshot {
    let image = match &template.source {
        TemplateSource::Image(name) => Some(name.as_str()),
        TemplateSource::Sandbox(_) | TemplateSource::Build => None,
    };
    let state = match template.state {
        TemplateState::Pulling => "pulling",
        TemplateState::Committing => "snapshotting",
        TemplateState::Building => "building",
        TemplateState::Active => "active",
        TemplateState::Inactive => "inactive",
        TemplateState::Error => "error",
        TemplateState::Removing => "removing",
    };
    let recipe = &template.recipe;
    Snapshot {
        cpu: recipe.resources.cpu_millis.div_ceil(1000),
        created_at: iso8601(template.created_at),
        disk: recipe.resources.disk_bytes.div_ceil(GIB),
        entrypoint: (!recipe.start_command.is_empty()).then(|| recipe.start_command.clone()),
        error_reason: template.reason.clone(),
        general: false,
        gpu: 0,
        id: ids::uuid(template.id.as_bytes()),
        image_name: image.map(str::to_owned),
        last_used_at: template.last_used_at.map(iso8601),
        mem: recipe.resources.memory_bytes.div_ceil(GIB),
        name: template.name.clone(),
        organization_id: ids::uuid(template.account.as_bytes()),
        region_ids: [REGION],
        sandbox_class: "container",
        size: template.bytes.map(gib),
        source_sandbox_id: origin(template),
        state,
        updated_at: iso8601(template.updated_at),
    }
}
