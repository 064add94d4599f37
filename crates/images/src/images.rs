//! The store as the core sees it: names in, trees and configurations out.
//!
//! Lookups answer from memory; everything that touches the disk runs on blocking threads. The `host` image is
//! looked at anew at each lookup (a few dozen `stat`s) and built again when what it was made from has changed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lazaret_core::ports::{self, Commit, ProgressSender, PullSender, Rootfs};
use lazaret_core::{
    AccountId, Body, Clock, CollectionPolicy, Digest, Image, ImageReference, ImageSource, Viewer,
};
use tokio::sync::OnceCell;

use crate::build;
use crate::commit::commit;
use crate::error::{ImagesError, ImportError};
use crate::host;
use crate::pull::pull;
use crate::registry::Registries;
use crate::registry::settings::RegistrySettings;
use crate::shared::{Shared, State, blocking, configuration, stored_name};
use crate::store::layout::{Layout, remove_directory};
use crate::store::record::Index;
use crate::unpack::limits::UnpackLimits;
use crate::upload::upload;

/// The content store of one data directory.
#[derive(Debug, Clone)]
pub struct ImageStore {
    shared: Arc<Shared>,
    registries: Arc<LazyRegistries>,
}

/// The client of registries, made when it is first needed: it reads the machine's trust anchors.
#[derive(Debug)]
struct LazyRegistries {
    settings: RegistrySettings,
    client: OnceCell<Registries>,
}

impl ImageStore {
    /// Opens the store in `directory`, making it if it is not there, and removes what a crash left half-made.
    ///
    /// `host_root` is the directory whose `/usr` the `host` image shows: `/` in a server. `limits` bound what an import
    /// or a pull may make. The call blocks.
    ///
    /// # Errors
    /// [`ImagesError::Busy`] when another server has the store open, [`ImagesError::Host`] when the store lies
    /// where every sandbox would see it, [`ImagesError::Disk`] and [`ImagesError::Record`] when it cannot be read.
    pub fn open(
        directory: &Path,
        host_root: &Path,
        clock: Arc<dyn Clock>,
        limits: UnpackLimits,
        registries: RegistrySettings,
    ) -> Result<ImageStore, ImagesError> {
        let layout = Layout::open(directory)?;
        host::refuse_data_inside_usr(host_root, directory)?;
        let index = Index::read(&layout, |source| configuration(&layout, source))?;
        let time = |image: &Digest| Some((*image, layout.record_time(image)?));
        let used = index.records.keys().filter_map(time).collect();
        let state = Mutex::new(State { index, host: None, used });
        let shared = Shared {
            layout,
            host_root: host_root.to_owned(),
            clock,
            limits,
            changing: Mutex::new(()),
            state,
        };
        shared.remove_unnamed()?;
        let registries = Arc::new(LazyRegistries { settings: registries, client: OnceCell::new() });
        Ok(ImageStore { shared: Arc::new(shared), registries })
    }
}

#[async_trait]
impl ports::Images for ImageStore {
    async fn find(&self, name: &str, viewer: Viewer) -> lazaret_core::Result<Option<Image>> {
        let name = name.to_owned();
        Ok(blocking(&self.shared, move |shared| shared.find(&name, viewer)).await?)
    }

    async fn list(&self, viewer: Viewer) -> lazaret_core::Result<Vec<Image>> {
        Ok(blocking(&self.shared, move |shared| shared.list(viewer)).await?)
    }

    async fn rootfs(&self, digest: &Digest) -> lazaret_core::Result<Rootfs> {
        let digest = *digest;
        Ok(self.shared.rootfs(&digest)?)
    }

    async fn import(
        &self,
        body: Body,
        source: ImageSource,
        name: Option<&str>,
        progress: ProgressSender,
    ) -> lazaret_core::Result<Image> {
        let name = name.map(stored_name).transpose()?;
        let (pump, mut upload) = upload(body);
        let importing = blocking(&self.shared, move |shared| {
            let outcome = shared.import(&mut upload, source, name, &progress);
            match upload.take_failure() {
                Some(error) => Err(ImportError::Body(error).into()),
                None => outcome,
            }
        });
        // Once the upload is whole the import goes on, even if nobody waits for it any more. An import that fails early
        // does not wait for the rest of the upload.
        tokio::pin!(importing);
        tokio::select! {
            image = &mut importing => Ok(image?),
            () = pump.run() => Ok(importing.await?),
        }
    }

    async fn pull(&self, reference: &ImageReference, progress: PullSender) -> lazaret_core::Result<Image> {
        let make = async || Registries::new(self.registries.settings.clone());
        let registries = self.registries.client.get_or_try_init(make).await;
        let registries = registries.map_err(ImagesError::Client)?;
        Ok(pull(&self.shared, registries, reference, &progress).await?)
    }

    async fn commit(&self, commission: Commit) -> lazaret_core::Result<Image> {
        Ok(commit(&self.shared, commission).await?)
    }

    async fn begin_build(
        &self,
        maker: AccountId,
        context: Option<Body>,
    ) -> lazaret_core::Result<Arc<dyn ports::BuildRoom>> {
        Ok(build::begin(&self.shared, maker, context).await?)
    }

    async fn scratch(&self) -> lazaret_core::Result<Image> {
        Ok(blocking(&self.shared, Shared::scratch).await?)
    }

    async fn find_step(&self, key: &Digest) -> lazaret_core::Result<Option<Digest>> {
        let key = *key;
        Ok(blocking(&self.shared, move |shared| Ok(shared.find_step(&key))).await?)
    }

    async fn remember_step(&self, key: &Digest, image: &Digest) -> lazaret_core::Result<()> {
        let (key, image) = (*key, *image);
        Ok(blocking(&self.shared, move |shared| shared.remember_step(&key, &image)).await?)
    }

    async fn collect(
        &self,
        needed: &BTreeSet<Digest>,
        policy: &CollectionPolicy,
    ) -> lazaret_core::Result<Vec<Digest>> {
        let (needed, policy) = (needed.clone(), *policy);
        let collected = blocking(&self.shared, move |shared| shared.collect(&needed, &policy)).await?;
        // Nobody waits for the trees: they are out of their places, and the next start would remove them too.
        tokio::task::spawn_blocking(move || {
            for tree in collected.trees {
                if let Err(error) = remove_directory(tree) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a tree could not be removed");
                }
            }
        });
        Ok(collected.images)
    }

    async fn remove(&self, name: &str, viewer: Viewer) -> lazaret_core::Result<()> {
        let name = name.to_owned();
        Ok(blocking(&self.shared, move |shared| shared.remove(&name, viewer)).await?)
    }
}
