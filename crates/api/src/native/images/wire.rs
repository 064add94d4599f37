//! Images as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Every image here, and the names that can be had.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageList {
    /// By name.
    pub(crate) images: Vec<Image>,
    /// Names that stand for images of registries, by name.
    pub(crate) catalogue: Vec<OfferedImage>,
}

/// A name of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedImage {
    /// The name.
    pub(crate) name: String,
    /// What it stands for, as a full reference.
    pub(crate) reference: String,
    /// For people.
    pub(crate) title: String,
    /// What it is like, in one word.
    pub(crate) family: String,
    /// Among the first to be shown.
    pub(crate) popular: bool,
    /// Digest of its image, if that is here.
    pub(crate) digest: Option<String>,
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

/// How to build.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct BuildQuery {
    /// A name for the image; without one it is found by its digest, and collected when it is not used.
    pub(crate) name: Option<String>,
    /// Where the Dockerfile is in the archive; `Dockerfile` if it is absent.
    pub(crate) dockerfile: Option<String>,
    /// The Dockerfile only comes along: it is not part of the context.
    pub(crate) beside: bool,
    /// The stage to build, by name or number; the last if it is absent.
    pub(crate) target: Option<String>,
    /// Do every step anew.
    pub(crate) no_cache: bool,
    /// What `RUN` may reach; nothing if it is absent.
    pub(crate) network: Option<crate::native::sandboxes::wire::NetworkKind>,
    /// For `allowlist`: a host name, or `*.` and a suffix; can be given several times.
    pub(crate) domain: Vec<String>,
    /// For `allowlist`: a network in CIDR form; can be given several times.
    pub(crate) cidr: Vec<String>,
    /// How long all of it may take.
    pub(crate) timeout_ms: Option<u64>,
}

/// A step begins, or was done before.
#[derive(Debug, Serialize)]
pub(crate) struct BuildStep {
    /// From 1.
    pub(crate) number: usize,
    /// Steps of the stages that are needed.
    pub(crate) total: usize,
    /// The line in the Dockerfile.
    pub(crate) line: usize,
    /// The instruction as it is written.
    pub(crate) text: String,
    /// Its result was here.
    pub(crate) cached: bool,
}

/// Something that may not be as its maker wanted.
#[derive(Debug, Serialize)]
pub(crate) struct BuildWarning {
    /// What.
    pub(crate) message: String,
}

/// What to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// A name of the catalogue, or a reference such as `debian:bookworm` or `ghcr.io/owner/name@sha256:...`.
    pub(crate) reference: String,
}

/// How far a pull is.
#[derive(Debug, Serialize)]
pub(crate) struct PullProgress {
    /// Lowest first; empty until the manifest is here.
    pub(crate) layers: Vec<LayerProgress>,
}

/// How far a layer is.
#[derive(Debug, Serialize)]
pub(crate) struct LayerProgress {
    /// Digest of the layer as the registry stores it.
    pub(crate) digest: String,
    /// Bytes that the registry stores.
    pub(crate) bytes: u64,
    /// Bytes of them that are here.
    pub(crate) fetched_bytes: u64,
    /// `waiting`, `fetching`, `fetched`, `unpacking`, `done`, or `shared` if it was here already.
    pub(crate) step: &'static str,
}
