//! Snapshots, which are templates: made of an image or of a stopped sandbox, listed, switched on and off, removed.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use lazaret_core::{Kind, NewTemplate, Template, TemplateSource, TemplateState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::create::Origin;
use super::server::REGION;
use super::target::{Asked, Target};
use super::wire::NewBuild;
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
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListQuery {
    page: Option<i64>,
    limit: Option<i64>,
    name: Option<String>,
    source_sandbox_id: Option<String>,
}

/// A snapshot to make.
#[derive(Debug, Deserialize)]
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

/// The name of a snapshot of a sandbox.
#[derive(Debug, Deserialize)]
pub(super) struct OfSandbox {
    name: String,
}

pub(super) async fn list(
    AppState(app): AppState<App>,
    asked: Asked<ListQuery>,
) -> Result<Json<Value>, Failure> {
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
    Ok(Json(json!({"items": items, "total": total, "page": page, "totalPages": total.div_ceil(limit)})))
}

/// Makes a snapshot; its image may still be on its way when the answer comes, and its state says so.
pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    Json(new): Json<NewSnapshot>,
) -> Result<Json<Value>, Failure> {
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
pub(super) async fn of_sandbox(
    AppState(app): AppState<App>,
    target: Target,
    Json(wanted): Json<OfSandbox>,
) -> super::sandboxes::One {
    let new = NewTemplate::new(wanted.name, TemplateSource::Sandbox(target.sandbox.id));
    app.core.templates.create(&target.caller, new).await?;
    Ok(Json(convert::sandbox(&app, &target.base, target.sandbox)))
}

pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    Ok(Json(shown(&app.core.templates.get(&asked.caller, name(&asked)?)?)))
}

pub(super) async fn delete(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.templates.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::OK)
}

pub(super) async fn activate(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    Ok(Json(shown(&app.core.templates.activate(&asked.caller, name(&asked)?).await?)))
}

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

fn shown(template: &Template) -> Value {
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
    json!({
        "id": ids::uuid(template.id.as_bytes()),
        "organizationId": ids::uuid(template.account.as_bytes()),
        "general": false,
        "name": template.name,
        "imageName": image,
        "state": state,
        // In GiB, as bounds are.
        "size": template.bytes.map(gib),
        "entrypoint": (!recipe.start_command.is_empty()).then_some(&recipe.start_command),
        "cpu": u64::from(recipe.resources.cpu_millis).div_ceil(1000),
        "gpu": 0,
        "mem": recipe.resources.memory_bytes.div_ceil(GIB),
        "disk": recipe.resources.disk_bytes.div_ceil(GIB),
        "errorReason": template.reason,
        "createdAt": iso8601(template.created_at),
        "updatedAt": iso8601(template.updated_at),
        "lastUsedAt": template.last_used_at.map(iso8601),
        "sourceSandboxId": origin(template),
        "regionIds": [REGION],
        "sandboxClass": "container",
    })
}
