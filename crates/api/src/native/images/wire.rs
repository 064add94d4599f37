//! Images as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Every image here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageList {
    /// By name.
    pub(crate) images: Vec<Image>,
}

/// An image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Image {
    /// `sha256:` and 64 digits.
    pub(crate) digest: String,
    /// Names that point at it.
    pub(crate) names: Vec<String>,
    /// Bytes of the unpacked file system; 0 where that is not counted.
    pub(crate) bytes: u64,
    /// RFC 3339; when it came here.
    pub(crate) created_at: String,
    /// Part of the server: cannot be removed.
    pub(crate) built_in: bool,
    /// What its maker configured.
    pub(crate) config: ImageConfig,
}

/// What an image's maker configured.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageConfig {
    /// Environment; a name that is set twice has its last value.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory; null for `/`.
    pub(crate) working_dir: Option<String>,
    /// User; null for root.
    pub(crate) user: Option<String>,
    /// Recorded; a sandbox does not run it.
    pub(crate) entrypoint: Vec<String>,
    /// Recorded; a sandbox does not run it.
    pub(crate) command: Vec<String>,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
}

/// How to import.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// A name for it; the archive's own names if it is absent.
    pub(crate) name: Option<String>,
    /// What the body is; found out by looking if it is absent.
    pub(crate) source: Option<Source>,
}

/// Kinds of archives.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// Find out by looking.
    #[default]
    Detect,
    /// What `docker save` writes.
    DockerArchive,
    /// A tar of an OCI image layout.
    OciArchive,
    /// A tar of a root file system.
    RootfsTar,
}

/// What to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// Such as `docker.io/library/debian:bookworm`.
    pub(crate) reference: String,
}
