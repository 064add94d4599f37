//! Volumes. Clients name no size, so all of them have the default one.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use lazaret_core::{
    Error, Kind, MountPath, NewVolume, Order, PageRequest, Subpath, Volume, VolumeMount, VolumeState,
    WantedMount,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::target::Asked;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// A volume to make.
#[derive(Debug, Deserialize)]
pub(super) struct NewNamed {
    name: String,
}

/// A volume in a sandbox.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SandboxVolume {
    /// Its id, or its name where a sandbox is made.
    volume_id: String,
    mount_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subpath: Option<String>,
}

/// Every volume, oldest first; those that were deleted are not kept.
pub(super) async fn list(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    let all = PageRequest { limit: usize::MAX, order: Order::Ascending, after: None };
    let volumes = app.core.volumes.list(&asked.caller, all).await?.items;
    Ok(Json(volumes.iter().map(shown).collect()))
}

pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    Json(new): Json<NewNamed>,
) -> Result<Json<Value>, Failure> {
    let new = NewVolume { name: new.name, size_bytes: None };
    Ok(Json(shown(&app.core.volumes.create(&asked.caller, new).await?)))
}

pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    Ok(Json(shown(&app.core.volumes.get(&asked.caller, name(&asked)?).await?)))
}

pub(super) async fn delete(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.volumes.delete(&asked.caller, name(&asked)?).await?;
    Ok(StatusCode::OK)
}

fn name(asked: &Asked) -> Result<&str, Failure> {
    Ok(asked.params.text("volume", Kind::Volume)?)
}

fn shown(volume: &Volume) -> Value {
    json!({
        "id": ids::uuid(volume.id.as_bytes()),
        "name": volume.name,
        "organizationId": ids::uuid(volume.account.as_bytes()),
        "state": match volume.state {
            VolumeState::Ready => "ready",
            VolumeState::Deleting => "deleting",
        },
        "createdAt": iso8601(volume.created_at),
        "updatedAt": iso8601(volume.last_used_at.unwrap_or(volume.created_at)),
        "lastUsedAt": volume.last_used_at.map(iso8601),
        "errorReason": null,
    })
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
