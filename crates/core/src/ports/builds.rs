//! What a build asks of the content store: a place for its context, copies into layers, and results of earlier steps.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{CopyAction, Digest, DockerfilePlacement, Image, ImageConfig, Result};

/// Files to become a layer.
#[derive(Debug, Clone)]
pub struct CopyFiles {
    /// The image that the layer goes on.
    pub base: Digest,
    /// An image to copy from; the context where it is `None`.
    pub from: Option<Digest>,
    /// What is copied, where to and how. Its `from` was resolved.
    pub copy: CopyAction,
    /// What the new image configures.
    pub config: ImageConfig,
    /// For the image's history.
    pub made_by: String,
}

/// A directory to become a layer.
#[derive(Debug, Clone)]
pub struct MakeDirectory {
    /// The image that the layer goes on.
    pub base: Digest,
    /// Absolute.
    pub path: String,
    /// What the new image configures.
    pub config: ImageConfig,
    /// For the image's history.
    pub made_by: String,
}

/// The place of one build in the content store, with its context. It goes with the value.
///
/// Images that are made here stay for as long as they are used, by the policy of collection. When a returned future is
/// dropped the work ends soon and leaves nothing.
#[async_trait]
pub trait BuildRoom: Send + Sync {
    /// The Dockerfile at a path of the context; `None` if there is no such file. One that came beside the context is
    /// taken out of it.
    async fn dockerfile(&self, path: &str, placement: DockerfilePlacement) -> Result<Option<Bytes>>;

    /// A digest of everything that these sources of the context are: names, kinds, modes and contents, without times.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a source that is not there.
    async fn digest(&self, sources: &[String]) -> Result<Digest>;

    /// An image with one layer more, which has the files.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a source that is not there, or one that cannot be where it should go;
    /// [`crate::Error::LimitReached`] for the size or the host's disk; [`crate::Error::NotFound`] for an image.
    async fn copy(&self, copy: CopyFiles) -> Result<Image>;

    /// An image with one layer more, which has the directory and those above it; `None` if the base has it.
    ///
    /// # Errors
    /// As [`BuildRoom::copy`].
    async fn make_directory(&self, make: MakeDirectory) -> Result<Option<Image>>;
}
