//! Volumes. Clients name no size, so all of them have the default one.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use lazaret_core::{
    Error, Kind, MountPath, NewVolume, Order, PageRequest, Subpath, Volume, VolumeMount, VolumeState,
    WantedMount,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::target::Asked;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// A volume to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewVolumeBody {
    /// Unique in the account.
    name: String,
}

/// A volume.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VolumeShown {
    id: String,
    name: String,
    organization_id: String,
    /// `ready` or `deleting`.
    state: &'static str,
    created_at: String,
    updated_at: String,
    /// When a sandbox that mounts it started last.
    #[schema(required)]
    last_used_at: Option<String>,
    /// Nothing, since no volume is in error.
    #[schema(required, value_type = Option<String>)]
    error_reason: (),
}

/// A volume in a sandbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SandboxVolume {
    /// Its id, or its name where a sandbox is made.
    volume_id: String,
    mount_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subpath: Option<String>,
}

/// Every volume, oldest first; those that were deleted are not kept.
#[utoipa::path(get, path = "/volumes", operation_id = "listVolumes", tag = "volumes",
    responses((status = 200, body = Vec<VolumeShown>), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    AppState(app): AppState<App>,
    asked: Asked,
) -> Result<Json<Vec<VolumeShown>>, Failure> {
    let all = PageRequest { limit: usize::MAX, order: Order::Ascending, after: None };
    let volumes = app.core.volumes.list(&asked.caller, all).await?.items;
    Ok(Json(volumes.iter().map(VolumeShown::from).collect()))
}

/// Make a volume.
#[utoipa::path(post, path = "/volumes", operation_id = "createVolume", tag = "volumes",
    request_body = NewVolumeBody,
    responses((status = 200, body = VolumeShown), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    Json(new): Json<NewVolumeBody>,
) -> Result<Json<VolumeShown>, Failure> {
    let new = NewVolume { name: new.name, size_bytes: None };
    Ok(Json((&app.core.volumes.create(&asked.caller, new).await?).into()))
}

/// A volume.
#[utoipa::path(get, path = "/volumes/{volume}", operation_id = "getVolume", tag = "volumes",
    params(("volume" = String, Path, description = "Its id, or its name")),
    responses((status = 200, body = VolumeShown), (status = "default", body = ErrorBody)))]
pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<VolumeShown>, Failure> {
    Ok(Json((&app.core.volumes.get(&asked.caller, name(&asked)?).await?).into()))
}

/// A volume, by its name.
#[utoipa::path(get, path = "/volumes/by-name/{volume}", operation_id = "getVolumeByName", tag = "volumes",
    params(("volume" = String, Path, description = "Its name, or its id")),
    responses((status = 200, body = VolumeShown), (status = "default", body = ErrorBody)))]
pub(super) async fn show_by_name(app: AppState<App>, asked: Asked) -> Result<Json<VolumeShown>, Failure> {
    show(app, asked).await
}

/// Delete a volume that no sandbox mounts, with what is in it.
#[utoipa::path(delete, path = "/volumes/{volume}", operation_id = "deleteVolume", tag = "volumes",
    params(("volume" = String, Path, description = "Its id, or its name")),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.volumes.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::OK)
}

fn name(asked: &Asked) -> Result<&str, Failure> {
    Ok(asked.params.text("volume", Kind::Volume)?)
}

impl From<&Volume> for VolumeShown {
    fn from(volume: &Volume) -> Self {
        Self {
            id: ids::uuid(volume.id.as_bytes()),
            name: volume.name.clone(),
            organization_id: ids::uuid(volume.account.as_bytes()),
            state: match volume.state {
                VolumeState::Ready => "ready",
                VolumeState::Deleting => "deleting",
            },
            created_at: iso8601(volume.created_at),
            updated_at: iso8601(volume.last_used_at.unwrap_or(volume.created_at)),
            last_used_at: volume.last_used_at.map(iso8601),
            error_reason: (),
        }
    }
}

impl From<VolumeMount> for SandboxVolume {
    fn from(mount: VolumeMount) -> Self {
        Self {
            volume_id: ids::uuid(mount.volume.as_bytes()),
            mount_path: mount.path.as_str().to_owned(),
            subpath: mount.subpath.map(|subpath| subpath.as_str().to_owned()),
        }
    }
}

impl TryFrom<SandboxVolume> for WantedMount {
    type Error = Error;

    fn try_from(volume: SandboxVolume) -> Result<Self, Error> {
        let subpath = volume.subpath.as_deref().filter(|subpath| !subpath.is_empty());
        Ok(Self {
            volume: volume.volume_id,
            path: MountPath::new(&volume.mount_path)?,
            subpath: subpath.map(Subpath::new).transpose()?,
        })
    }
}
