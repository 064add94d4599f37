//! Results of build steps: from a key to the image that the step made.
//!
//! A key is a file in `steps/`, written after the image's record and removed before it. So a crash in between leaves a step
//! that is done again, and never a key whose image is not there.

use std::collections::BTreeSet;

use lazaret_core::{Digest, Image, Viewer};

use crate::archive::config;
use crate::assembly::chain_id;
use crate::error::{ImagesError, ImportError};
use crate::hash::digest_of;
use crate::import::Unpacked;
use crate::shared::{Shared, lock};
use crate::unpack::tree::Tree;

impl Shared {
    /// The image that a step made; its use is noted.
    pub(crate) fn find_step(&self, key: &Digest) -> Option<Digest> {
        let image = lock(&self.state).index.steps.get(key).copied()?;
        self.note_use(&image);
        Some(image)
    }

    /// Remembers what a step made, if it is still here.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn remember_step(&self, key: &Digest, image: &Digest) -> Result<(), ImagesError> {
        let _changing = lock(&self.changing);
        if lock(&self.state).index.records.contains_key(image) {
            self.layout.write(&self.layout.step(key), format!("{image}\n").as_bytes())?;
            lock(&self.state).index.steps.insert(*key, *image);
        }
        Ok(())
    }

    /// Forgets every step that made an image. The caller holds `changing`.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn forget_steps(&self, image: &Digest) -> Result<(), ImagesError> {
        let keys: Vec<Digest> = {
            let state = lock(&self.state);
            state.index.steps.iter().filter(|(_, made)| *made == image).map(|(key, _)| *key).collect()
        };
        for key in keys {
            self.layout.remove_file(&self.layout.step(&key))?;
            lock(&self.state).index.steps.remove(&key);
        }
        Ok(())
    }

    /// The image that has nothing.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn scratch(&self) -> Result<Image, ImagesError> {
        let json = config::for_scratch();
        let digest = digest_of(&json);
        if let Some(image) = self.find(&digest.to_string(), Viewer::Server)? {
            return Ok(image);
        }
        let run = config::parse(&json).map_err(|error| ImportError::Archive(error.into()))?.run;
        let workspace = self.layout.workspace()?;
        let tree = Tree::create(workspace.path()).map_err(ImportError::Tree)?;
        tree.sync().map_err(ImportError::Tree)?;
        self.publish(Unpacked {
            image: digest,
            tree: chain_id(&[]),
            manifest: None,
            config: (digest, json),
            run,
            bytes: 0,
            names: Vec::new(),
            replaceable: true,
            makers: BTreeSet::new(),
            workspace,
        })
    }
}
