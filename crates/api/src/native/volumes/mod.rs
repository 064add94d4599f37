//! Volumes: directories that sandboxes mount, and that outlive them.

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

/// Make a volume, which sandboxes can mount at once.
#[utoipa::path(post, path = "/lazaret/v1/volumes", operation_id = "create_volume", tag = "volumes",
    request_body = wire::NewVolume,
    responses((status = 201, body = wire::Volume), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Json(new): Json<wire::NewVolume>,
) -> Result<(StatusCode, Json<wire::Volume>), Failure> {
    let volume = app.core.volumes.create(&asked.caller, new.into()).await?;
    Ok((StatusCode::CREATED, Json(volume.into())))
}

/// A page of the account's volumes.
#[utoipa::path(get, path = "/lazaret/v1/volumes", operation_id = "list_volumes", tag = "volumes",
    params(wire::ListQuery),
    responses((status = 200, body = wire::VolumePage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    asked: Asked<wire::ListQuery>,
) -> Result<Json<wire::VolumePage>, Failure> {
    let page = app.core.volumes.list(&asked.caller, asked.query.into_request()?).await?;
    let volumes = page.items.into_iter().map(wire::Volume::from).collect();
    Ok(Json(wire::VolumePage { volumes, has_more: page.has_more }))
}

/// A volume as it is now.
#[utoipa::path(get, path = "/lazaret/v1/volumes/{volume}", operation_id = "get_volume", tag = "volumes",
    params(("volume" = String, Path, description = "Its id or name")),
    responses((status = 200, body = wire::Volume), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, asked: Asked) -> Result<Json<wire::Volume>, Failure> {
    Ok(Json(app.core.volumes.get(&asked.caller, name(&asked)?).await?.into()))
}

/// Remove a volume and its files. It is refused while a sandbox mounts it, running or not.
#[utoipa::path(delete, path = "/lazaret/v1/volumes/{volume}", operation_id = "delete_volume", tag = "volumes",
    params(("volume" = String, Path, description = "Its id or name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.volumes.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(asked: &Asked) -> Result<&str, Failure> {
    Ok(asked.params.text("volume", Kind::Volume)?)
}
