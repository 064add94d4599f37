//! Nouns of images: what a sandbox's root file system is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{AccountId, Digest, Healthcheck, Timestamp};

/// An image in the content store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of its manifest (of its content, for images without one).
    pub digest: Digest,
    /// Names that point at it, such as `debian:bookworm`.
    pub names: Vec<String>,
    /// What its maker configured.
    pub config: ImageConfig,
    /// Bytes of the unpacked file system; 0 where that is not counted, as for `host`.
    pub bytes: u64,
    /// When it came here.
    pub created_at: Timestamp,
    /// Part of the server: cannot be removed.
    pub built_in: bool,
    /// Accounts that made it of something of their own, such as a sandbox; empty for what came from a registry or an archive.
    pub makers: BTreeSet<AccountId>,
}

impl Image {
    /// Whether it is there for this viewer: a name is for everybody, and what an account made and nobody named is that
    /// account's alone.
    pub fn is_open_to(&self, viewer: Viewer) -> bool {
        let Viewer::Account(account) = viewer else { return true };
        let is_private = self.names.is_empty() && !self.built_in && !self.makers.is_empty();
        !is_private || self.makers.contains(&account)
    }
}

/// Who looks for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The server itself, and operators: every image is there.
    Server,
    /// An account.
    Account(AccountId),
}

/// The parts of an OCI image configuration that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Environment, in the image's order.
    pub env: Vec<(String, String)>,
    /// Working directory; `None` means `/`.
    pub working_dir: Option<String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; `None` means root.
    pub user: Option<String>,
    /// Recorded; a sandbox does not run it.
    pub entrypoint: Vec<String>,
    /// Recorded; a sandbox does not run it.
    pub command: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Recorded, such as `80/tcp`; nothing is opened for them.
    pub exposed_ports: BTreeSet<String>,
    /// Recorded; a sandbox mounts nothing there.
    pub volumes: Vec<String>,
    /// Recorded; a sandbox is asked to stop by its runtime.
    pub stop_signal: Option<String>,
    /// What runs the shell form of a Dockerfile's commands; empty for `/bin/sh -c`.
    pub shell: Vec<String>,
    /// A health check that the image's maker set; recorded. `None` where an image has one that a build did not touch.
    pub healthcheck: Option<Healthcheck>,
    /// Its maker wants things done when something is built on it, which is not done here.
    pub acts_on_build: bool,
}

/// What an import reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource {
    /// Find out by looking.
    Detect,
    /// The output of `docker save`.
    DockerArchive,
    /// A tar of an OCI image layout.
    OciArchive,
    /// A tar of a root file system.
    RootfsTar,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the source that were read.
    pub bytes_read: u64,
    /// File system entries that were written.
    pub entries: u64,
}

/// Which images go that no sandbox needs and that can be had again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionPolicy {
    /// Those that were not used for longer than this.
    pub unused_after: Duration,
    /// And the least recently used, until all images are within so many bytes, files that several share counted for each.
    pub budget_bytes: Option<u64>,
}

impl Default for CollectionPolicy {
    /// A month, and no budget: the disk's reserve is kept in any case.
    fn default() -> Self {
        Self { unused_after: Duration::from_secs(30 * 24 * 60 * 60), budget_bytes: None }
    }
}

/// How far a pull has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The image's layers, lowest first; empty until its manifest is here.
    pub layers: Vec<LayerProgress>,
}

/// How far a layer of a pull has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerProgress {
    /// Digest of the layer as the registry stores it.
    pub digest: Digest,
    /// Bytes that the registry stores.
    pub bytes: u64,
    /// Bytes of them that are here.
    pub fetched_bytes: u64,
    /// What is being done with it.
    pub step: LayerStep,
}

/// What is being done with a layer; a layer never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerStep {
    /// Others come first.
    Waiting,
    /// It is on its way.
    Fetching,
    /// It is here, and its digest is right.
    Fetched,
    /// It is being applied.
    Unpacking,
    /// It is applied, and its diff id is right.
    Done,
    /// An image that is here has it: it was not fetched.
    Shared,
}

impl LayerStep {
    /// The word that dialects show.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Fetching => "fetching",
            Self::Fetched => "fetched",
            Self::Unpacking => "unpacking",
            Self::Done => "done",
            Self::Shared => "shared",
        }
    }
}
