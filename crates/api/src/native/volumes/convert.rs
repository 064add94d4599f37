//! Volumes between JSON and the core's nouns.

use lazaret_core::{Error, MountPath, PageRequest, Subpath, VolumeId, WantedMount};

use super::wire;
use crate::failure::Rejection;
use crate::ids;
use crate::native::sandboxes::page;
use crate::native::time::rfc3339;

impl From<lazaret_core::Volume> for wire::Volume {
    fn from(volume: lazaret_core::Volume) -> Self {
        Self {
            id: ids::uuid(volume.id.as_bytes()),
            name: volume.name,
            size_bytes: volume.size_bytes,
            state: volume.state.name(),
            created_at: rfc3339(volume.created_at),
            last_used_at: volume.last_used_at.map(rfc3339),
        }
    }
}

impl From<wire::NewVolume> for lazaret_core::NewVolume {
    fn from(wire::NewVolume { name, size_bytes }: wire::NewVolume) -> Self {
        Self { name, size_bytes }
    }
}

impl From<lazaret_core::VolumeMount> for wire::VolumeMount {
    fn from(mount: lazaret_core::VolumeMount) -> Self {
        Self {
            volume: ids::uuid(mount.volume.as_bytes()),
            path: mount.path.as_str().to_owned(),
            subpath: mount.subpath.map(|subpath| subpath.as_str().to_owned()),
        }
    }
}

impl TryFrom<wire::VolumeMount> for WantedMount {
    type Error = Error;

    fn try_from(mount: wire::VolumeMount) -> Result<Self, Error> {
        Ok(Self {
            volume: mount.volume,
            path: MountPath::new(&mount.path)?,
            subpath: mount.subpath.as_deref().map(Subpath::new).transpose()?,
        })
    }
}

impl wire::ListQuery {
    /// What the core is asked for.
    pub(super) fn into_request(self) -> Result<PageRequest<VolumeId>, Rejection> {
        let (limit, order) = page(self.limit, self.order)?;
        let after = match &self.after {
            Some(text) => Some(VolumeId::from_bytes(
                ids::parse_uuid(text)
                    .ok_or_else(|| Rejection::query("after", "is not the id of a volume"))?,
            )),
            None => None,
        };
        Ok(PageRequest { limit, order, after })
    }
}
