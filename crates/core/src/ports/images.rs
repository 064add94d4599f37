//! Where root file systems come from.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::ports::{BuildRoom, Changes};
use crate::{
    AccountId, Body, CollectionPolicy, Digest, Error, Image, ImageConfig, ImageReference, ImageSource,
    ImportProgress, PullProgress, Result, Viewer,
};

/// One read-only tree on the host and where a sandbox sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lower {
    /// Absolute path inside: `/` for the first, a directory of it for the others.
    pub at: PathBuf,
    /// Directory on the host. Sub-mounts of it are not taken along.
    pub source: PathBuf,
}

/// What the root of a sandbox is made of: each lower gets a writable overlay on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// In mount order; the first is `/`.
    pub lowers: Vec<Lower>,
}

/// Where an import reports how far it is; readers see the latest value.
pub type ProgressSender = watch::Sender<ImportProgress>;

/// Where a pull reports how far each layer is; readers see the latest value.
pub type PullSender = watch::Sender<PullProgress>;

/// An image to be made of another one.
#[derive(Debug)]
pub struct Commit {
    /// For whom: without a name, the new image is there for this account alone ([`Image::is_open_to`]).
    pub maker: AccountId,
    /// The image to begin with.
    pub base: Digest,
    /// What a sandbox of that image has written, to become a layer; `None` for the same layers with another configuration.
    pub changes: Option<Changes>,
    /// What the new image configures.
    pub config: ImageConfig,
    /// A name to point at it; without one it is found by its digest alone.
    pub name: Option<String>,
    /// For the image's history: what made it, such as `RUN make`.
    pub made_by: String,
    /// How long it stays.
    pub keep: Keep,
}

/// How long an image stays that nobody can bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Until somebody removes it.
    UntilRemoved,
    /// Until the policy of collection says that it was unused for too long.
    WhileUsed,
}

/// The content store.
#[async_trait]
pub trait Images: Send + Sync {
    /// The image that `name` (a name, a digest or the start of one) stands for, of those that are open to `viewer`; `None`
    /// if there is none.
    async fn find(&self, name: &str, viewer: Viewer) -> Result<Option<Image>>;

    /// Every image that is open to `viewer`, by name.
    async fn list(&self, viewer: Viewer) -> Result<Vec<Image>>;

    /// The trees of an image, complete and ready to mount.
    async fn rootfs(&self, digest: &Digest) -> Result<Rootfs>;

    /// Reads an image from `body` and points `name` at it; without a name, the archive's own names are taken.
    async fn import(
        &self,
        body: Body,
        source: ImageSource,
        name: Option<&str>,
        progress: ProgressSender,
    ) -> Result<Image>;

    /// Fetches an image from its registry, or from a mirror of it, and points its name at it. When the returned future
    /// is dropped the pull ends soon and leaves nothing.
    async fn pull(&self, reference: &ImageReference, progress: PullSender) -> Result<Image>;

    /// Makes an image of another one. The same changes of the same base, with the same configuration, are the same image,
    /// whenever they are made. When the returned future is dropped the work ends soon and leaves nothing.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for the base; [`crate::Error::Invalid`] for changes that no image can hold, naming the
    /// first; [`crate::Error::LimitReached`] for their size or the host's disk; [`crate::Error::Unsupported`] for a base
    /// that no image can be made of.
    async fn commit(&self, commit: Commit) -> Result<Image>;

    /// A place for a build of this account, with this archive unpacked as its context. An archive that is given up, too
    /// large or hostile is an error, and nothing of it stays.
    async fn begin_build(&self, _maker: AccountId, _context: Option<Body>) -> Result<Arc<dyn BuildRoom>> {
        Err(Error::Unsupported { what: "a build, by this content store".to_owned() })
    }

    /// The image that has nothing: no files, and nothing configured. It stays for as long as it is used.
    async fn scratch(&self) -> Result<Image> {
        Err(Error::Unsupported { what: "a build, by this content store".to_owned() })
    }

    /// The result of a build step that is remembered under this key, if its image is still here. Counts as use of it.
    async fn find_step(&self, _key: &Digest) -> Result<Option<Digest>> {
        Ok(None)
    }

    /// Remembers the result of a build step until its image goes.
    async fn remember_step(&self, _key: &Digest, _image: &Digest) -> Result<()> {
        Ok(())
    }

    /// Removes images that can be had again (pulled ones, and earlier states of the built-in one) by the policy, and
    /// answers which. Those that are `needed` stay.
    async fn collect(&self, needed: &BTreeSet<Digest>, policy: &CollectionPolicy) -> Result<Vec<Digest>>;

    /// Removes a name that stands for an image which is open to `viewer`, and the content behind it once nothing points at
    /// it. The caller has checked that no sandbox uses it.
    async fn remove(&self, name: &str, viewer: Viewer) -> Result<()>;
}
