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

    /// As [`Shared::begin`], on the tree of an image that is here, which has `lowest` layers.
    ///
    /// # Errors
    /// [`ImagesError::NotFound`] if no image has it any more; as [`Shared::begin`].
    pub(crate) fn begin_on_tree(&self, tree: &Digest, lowest: usize) -> Result<Assembly, ImagesError> {
        let workspace = self.layout.workspace()?;
        let _changing = lock(&self.changing);
        if !lock(&self.state).index.records.values().any(|one| one.tree == *tree) {
            return Err(ImagesError::NotFound(tree.to_string()));
        }
        Assembly::begin_on(workspace, self.limits, &self.layout.rootfs(tree), lowest)
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
        let manifest = unpacked.manifest.as_ref().map(|(digest, _)| *digest);
        let record = Record {
            tree: unpacked.tree,
            source: Some(Source { manifest, config: unpacked.config.0 }),
            config: unpacked.run,
            bytes: unpacked.bytes,
            created_at: self.clock.now(),
            replaceable: unpacked.replaceable,
            makers: unpacked.makers,
        };
        let blobs = unpacked.manifest.into_iter().chain([unpacked.config]).collect::<Vec<_>>();
        self.enter(unpacked.image, record, &blobs, unpacked.names)
    }

    /// Makes an image of a tree that is in its place: blobs, record, names. One that is there already gets the names, and is
    /// [joined](Record::joined) by this one. The caller holds `changing`.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn enter(
        &self,
        image: Digest,
        record: Record,
        blobs: &[(Digest, Vec<u8>)],
        names: Vec<String>,
    ) -> Result<Image, ImagesError> {
        for (digest, bytes) in blobs {
            self.layout.write(&self.layout.blob(digest), bytes)?;
        }
        let known = lock(&self.state).index.records.get(&image).cloned();
        let record = match known {
            None => Some(record),
            Some(known) => Some(known.clone().joined(&record)).filter(|joined| *joined != known),
        };
        if let Some(record) = record {
            record.write(&self.layout, &image)?;
            tracing::info!(image.digest = %image, image.bytes = record.bytes, "image published");
            lock(&self.state).index.records.insert(image, record);
        }
        for name in names {
            self.layout.set_name(&name, &image)?;
            lock(&self.state).index.names.insert(name, image);
        }
        let state = lock(&self.state);
        let record =
            state.index.records.get(&image).ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        Ok(state.image(&image, record))
    }
}
