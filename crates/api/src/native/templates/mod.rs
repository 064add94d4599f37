//! Templates: recipes that sandboxes are made of.

mod convert;
pub(super) mod wire;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::Kind;

use super::error::ErrorBody;
use super::target::Asked;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// Make a template, of an image or of a stopped sandbox. One whose image is not here yet gets it in the background: its state
/// tells how that goes, and so do events.
#[utoipa::path(post, path = "/lazaret/v1/templates", operation_id = "create_template", tag = "templates",
    request_body = wire::NewTemplate,
    responses((status = 201, body = wire::Template), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Json(new): Json<wire::NewTemplate>,
) -> Result<(StatusCode, Json<wire::Template>), Failure> {
    let new = convert::new_template(&app, &asked.caller, new)?;
    let template = app.core.templates.create(&asked.caller, new).await?;
    Ok((StatusCode::CREATED, Json(template.into())))
}

/// Every template of the account, oldest first.
#[utoipa::path(get, path = "/lazaret/v1/templates", operation_id = "list_templates", tag = "templates",
    responses((status = 200, body = wire::TemplateList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, asked: Asked) -> Result<Json<wire::TemplateList>, Failure> {
    let templates = app.core.templates.list(&asked.caller)?;
    Ok(Json(wire::TemplateList { templates: templates.into_iter().map(wire::Template::from).collect() }))
}

/// A template as it is now.
#[utoipa::path(get, path = "/lazaret/v1/templates/{template}", operation_id = "get_template", tag = "templates",
    params(("template" = String, Path, description = "Its id or name")),
    responses((status = 200, body = wire::Template), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, asked: Asked) -> Result<Json<wire::Template>, Failure> {
    Ok(Json(app.core.templates.get(&asked.caller, name(&asked)?)?.into()))
}

/// Let sandboxes be made of a template again. One that failed is prepared once more, and an image that has gone is fetched
/// again.
#[utoipa::path(post, path = "/lazaret/v1/templates/{template}/activate", operation_id = "activate_template",
    tag = "templates", params(("template" = String, Path, description = "Its id or name")),
    responses((status = 200, body = wire::Template), (status = "default", body = ErrorBody)))]
pub(crate) async fn activate(State(app): State<App>, asked: Asked) -> Result<Json<wire::Template>, Failure> {
    Ok(Json(app.core.templates.activate(&asked.caller, name(&asked)?).await?.into()))
}

/// Keep sandboxes from being made of a template. Those that there are go on.
#[utoipa::path(post, path = "/lazaret/v1/templates/{template}/deactivate", operation_id = "deactivate_template",
    tag = "templates", params(("template" = String, Path, description = "Its id or name")),
    responses((status = 200, body = wire::Template), (status = "default", body = ErrorBody)))]
pub(crate) async fn deactivate(
    State(app): State<App>,
    asked: Asked,
) -> Result<Json<wire::Template>, Failure> {
    Ok(Json(app.core.templates.deactivate(&asked.caller, name(&asked)?).await?.into()))
}

/// Remove a template. An image that was made for it goes once no sandbox needs it; sandboxes of it go on.
#[utoipa::path(delete, path = "/lazaret/v1/templates/{template}", operation_id = "delete_template",
    tag = "templates", params(("template" = String, Path, description = "Its id or name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.templates.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(asked: &Asked) -> Result<&str, Failure> {
    Ok(asked.params.text("template", Kind::Template)?)
}
