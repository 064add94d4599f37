//! How an image gets into the store: from a workspace to its place.
//!
//! ```text
//! work/<w>/rootfs ─rename─▶ rootfs/<chain id> ─▶ blobs ─▶ record: from here on it exists ─▶ names
//! ```
//!
//! A crash between two steps leaves a tree or a blob without a record, which the next start removes.

use std::io::Read;

use lazaret_core::ports::ProgressSender;
use lazaret_core::{Digest, Image, ImageSource};

use crate::assembly::{Assembly, chain_ids};
use crate::error::ImagesError;
use crate::import::{self, Unpacked};
use crate::shared::{Shared, lock, stored_name};
use crate::store::record::{Record, Source};

impl Shared {
    /// Takes the image in an upload.
    ///
    /// # Errors
    /// [`ImagesError`]; nothing is kept then.
    pub(crate) fn import(
        &self,
        upload: impl Read,
        source: ImageSource,
        name: Option<String>,
        progress: &ProgressSender,
    ) -> Result<Image, ImagesError> {
        let mut unpacked = import::unpack(upload, source, self.layout.workspace()?, self.limits, progress)?;
        unpacked.names = match name {
            Some(name) => vec![name],
            None => unpacked.names.iter().map(|name| stored_name(name)).collect::<Result<_, _>>()?,
        };
        self.publish(unpacked)
    }

    /// A tree to apply layers to, which has as many of the lowest already as one of the store's trees has.
    ///
    /// # Errors
    /// [`ImagesError::Disk`], [`ImagesError::Import`].
    pub(crate) fn begin(&self, diff_ids: &[Digest]) -> Result<Assembly, ImagesError> {
        let workspace = self.layout.workspace()?;
        // Held, so that nobody removes the tree while its names are copied.
        let _changing = lock(&self.changing);
        let known = |tree: &Digest| lock(&self.state).index.records.values().any(|one| one.tree == *tree);
        let chain = chain_ids(diff_ids);
        match chain.iter().rposition(known) {
            Some(highest) => {
                let base = self.layout.rootfs(&chain[highest]);
                Assembly::begin_on(workspace, self.limits, &base, highest + 1)
            }
            None => Assembly::begin(workspace, self.limits),
        }
    }

    /// Points a name at an image that is here; `None` if it is not.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn name_known(&self, image: &Digest, name: &str) -> Result<Option<Image>, ImagesError> {
        let _changing = lock(&self.changing);
        if !lock(&self.state).index.records.contains_key(image) {
            return Ok(None);
        }
        self.layout.set_name(name, image)?;
        let mut state = lock(&self.state);
        state.index.names.insert(name.to_owned(), *image);
        Ok(state.index.records.get(image).map(|record| state.image(image, record)))
    }

    /// Makes an unpacked image one of the store's.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn publish(&self, unpacked: Unpacked) -> Result<Image, ImagesError> {
        let _changing = lock(&self.changing);
        self.layout.publish_rootfs(&unpacked.workspace.path().join("rootfs"), &unpacked.tree)?;
        let blobs = unpacked.manifest.iter().chain([&unpacked.config]);
        for (digest, bytes) in blobs {
            self.layout.write(&self.layout.blob(digest), bytes)?;
        }
        let image = unpacked.image;
        let known = lock(&self.state).index.records.contains_key(&image);
        if !known {
            let manifest = unpacked.manifest.as_ref().map(|(digest, _)| *digest);
            let record = Record {
                tree: unpacked.tree,
                source: Some(Source { manifest, config: unpacked.config.0 }),
                config: unpacked.run,
                bytes: unpacked.bytes,
                created_at: self.clock.now(),
                pulled: unpacked.pulled,
            };
            record.write(&self.layout, &image)?;
            lock(&self.state).index.records.insert(image, record);
        }
        for name in unpacked.names {
            self.layout.set_name(&name, &image)?;
            lock(&self.state).index.names.insert(name, image);
        }
        tracing::info!(image.digest = %image, image.bytes = unpacked.bytes, "image published");
        let state = lock(&self.state);
        let record =
            state.index.records.get(&image).ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        Ok(state.image(&image, record))
    }
}
