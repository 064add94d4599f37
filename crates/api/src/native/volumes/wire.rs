//! Volumes as JSON.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::native::sandboxes::wire::Order;

/// A directory that sandboxes mount, and that outlives them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Volume {
    /// UUID.
    pub(crate) id: String,
    /// Unique within the account.
    pub(crate) name: String,
    /// What its files, with the file system's own bookkeeping, may take at most.
    pub(crate) size_bytes: u64,
    /// `ready` or `deleting`.
    pub(crate) state: &'static str,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339; when a sandbox last started with it, null if none did yet.
    pub(crate) last_used_at: Option<String>,
}

/// A volume to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVolume {
    /// A name that no other volume of the account has, without slashes and colons.
    pub(crate) name: String,
    /// What its files may take at most, from 32 MiB to 1 TiB; 10 GiB if it is absent.
    pub(crate) size_bytes: Option<u64>,
}

/// Which volumes to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// How many at most: 1 to 1000, 100 if it is absent.
    pub(crate) limit: Option<u32>,
    /// By creation: `desc` (the default) or `asc`.
    pub(crate) order: Option<Order>,
    /// Start behind the volume with this id, which may have been deleted meanwhile.
    pub(crate) after: Option<String>,
}

/// A page of volumes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VolumePage {
    /// The volumes, in the asked order.
    pub(crate) volumes: Vec<Volume>,
    /// There are more behind the last.
    pub(crate) has_more: bool,
}

/// A volume in a sandbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeMount {
    /// Its id, or its name where a sandbox is made.
    pub(crate) volume: String,
    /// Absolute path inside; made if it is missing. Not beneath `/proc`, `/sys`, `/dev` or `/etc`.
    pub(crate) path: String,
    /// The directory of the volume that is there, made if it is missing; all of it if this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subpath: Option<String>,
}
