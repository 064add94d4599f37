//! The store as the core sees it: names in, trees and configurations out.
//!
//! Lookups answer from memory; everything that touches the disk runs on blocking threads. The `host` image is
//! looked at anew at each lookup (a few dozen `stat`s) and built again when what it was made from has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use lazaret_core::ports::{self, Lower, ProgressSender, Rootfs};
use lazaret_core::{Body, Clock, Digest, Image, ImageConfig, ImageSource};

use crate::archive;
use crate::error::{ImagesError, ImportError};
use crate::host::{self, HOST_IMAGE, Stamp};
use crate::import;
use crate::reference;
use crate::store::layout::Layout;
use crate::store::record::{Index, Record, Source};
use crate::unpack::limits::UnpackLimits;
use crate::unpack::tree::Tree;
use crate::upload::{UploadReader, upload};

/// How much of a malformed name an error repeats.
const NAME_SHOWN_CHARS: usize = 80;

/// The content store of one data directory.
#[derive(Debug, Clone)]
pub struct ImageStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    /// The root directory of the host; `/` but for tests.
    host_root: PathBuf,
    clock: Arc<dyn Clock>,
    limits: UnpackLimits,
    /// Held for as long as a change of the store takes on disk, so that changes come one after the other.
    changing: Mutex<()>,
    /// What lookups answer from. Never held across an operation on the disk; taken after `changing`.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    index: Index,
    /// The `host` image and what the host looked like when it was planned; `None` before the first lookup.
    host: Option<(Stamp, Digest)>,
}

impl ImageStore {
    /// Opens the store in `directory`, making it if it is not there, and removes what a crash left half-made.
    ///
    /// `host_root` is the directory whose `/usr` the `host` image shows: `/` in a server. `limits` bound what an import
    /// may make. The call blocks.
    ///
    /// # Errors
    /// [`ImagesError::Busy`] when another server has the store open, [`ImagesError::Host`] when the store lies
    /// where every sandbox would see it, [`ImagesError::Disk`] and [`ImagesError::Record`] when it cannot be read.
    pub fn open(
        directory: &Path,
        host_root: &Path,
        clock: Arc<dyn Clock>,
        limits: UnpackLimits,
    ) -> Result<ImageStore, ImagesError> {
        let layout = Layout::open(directory)?;
        host::refuse_data_inside_usr(host_root, directory)?;
        let index = Index::read(&layout, |source| configuration(&layout, source))?;
        let state = Mutex::new(State { index, host: None });
        let shared = Shared {
            layout,
            host_root: host_root.to_owned(),
            clock,
            limits,
            changing: Mutex::new(()),
            state,
        };
        shared.remove_unnamed_trees()?;
        Ok(ImageStore { shared: Arc::new(shared) })
    }

    /// Runs work that blocks on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ImagesError> + Send + 'static,
    ) -> lazaret_core::Result<T> {
        let shared = Arc::clone(&self.shared);
        let outcome =
            tokio::task::spawn_blocking(move || work(&shared)).await.map_err(ImagesError::Thread)?;
        Ok(outcome?)
    }
}

#[async_trait]
impl ports::Images for ImageStore {
    async fn find(&self, name: &str) -> lazaret_core::Result<Option<Image>> {
        let name = name.to_owned();
        self.blocking(move |shared| shared.find(&name)).await
    }

    async fn list(&self) -> lazaret_core::Result<Vec<Image>> {
        self.blocking(Shared::list).await
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
        let name = name.map(canonical_name).transpose()?;
        let (pump, mut upload) = upload(body);
        let importing = self.blocking(move |shared| {
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
            image = &mut importing => image,
            () = pump.run() => importing.await,
        }
    }

    async fn pull(&self, reference: &str, _progress: ProgressSender) -> lazaret_core::Result<Image> {
        Err(lazaret_core::Error::Unsupported {
            what: format!(
                "pulling {reference} from a registry; save it elsewhere (docker save, skopeo copy) and import it"
            ),
        })
    }

    async fn remove(&self, name: &str) -> lazaret_core::Result<()> {
        let name = name.to_owned();
        self.blocking(move |shared| shared.remove(&name)).await
    }
}

impl Shared {
    fn find(&self, name: &str) -> Result<Option<Image>, ImagesError> {
        if name == HOST_IMAGE {
            let digest = self.current_host()?;
            let state = lock(&self.state);
            return Ok(state.index.records.get(&digest).map(|record| state.image(&digest, record)));
        }
        let state = lock(&self.state);
        let Some(digest) = state.resolve(name)? else { return Ok(None) };
        Ok(state.index.records.get(&digest).map(|record| state.image(&digest, record)))
    }

    fn list(&self) -> Result<Vec<Image>, ImagesError> {
        self.look_at_host();
        let state = lock(&self.state);
        let mut images: Vec<Image> =
            state.index.records.iter().map(|(digest, record)| state.image(digest, record)).collect();
        images.sort_by(|a, b| (a.names.is_empty(), &a.names).cmp(&(b.names.is_empty(), &b.names)));
        Ok(images)
    }

    fn rootfs(&self, image: &Digest) -> Result<Rootfs, ImagesError> {
        let state = lock(&self.state);
        let record =
            state.index.records.get(image).ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        let mut lowers = vec![Lower { at: PathBuf::from("/"), source: self.layout.rootfs(&record.tree) }];
        if record.source.is_none() {
            lowers.push(Lower { at: PathBuf::from("/usr"), source: self.host_root.join("usr") });
        }
        Ok(Rootfs { lowers })
    }

    fn import(
        &self,
        upload: &mut UploadReader,
        source: ImageSource,
        name: Option<String>,
        progress: &ProgressSender,
    ) -> Result<Image, ImagesError> {
        let workspace = self.layout.workspace()?;
        let unpacked = import::unpack(upload, source, workspace.path(), self.limits, progress)?;
        let names = match name {
            Some(name) => vec![name],
            None => unpacked
                .names
                .iter()
                .map(|name| canonical_name(reference::familiar(name)))
                .collect::<Result<_, _>>()?,
        };
        let _changing = lock(&self.changing);
        self.layout.publish_rootfs(&workspace.path().join("rootfs"), &unpacked.tree)?;
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
            };
            record.write(&self.layout, &image)?;
            lock(&self.state).index.records.insert(image, record);
        }
        for name in names {
            self.layout.set_name(&name, &image)?;
            lock(&self.state).index.names.insert(name, image);
        }
        tracing::info!(image.digest = %image, image.bytes = unpacked.bytes, "image imported");
        let state = lock(&self.state);
        let record =
            state.index.records.get(&image).ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        Ok(state.image(&image, record))
    }

    fn remove(&self, name: &str) -> Result<(), ImagesError> {
        if lock(&self.state).is_of_host(name)? {
            self.look_at_host();
        }
        let _changing = lock(&self.changing);
        let (image, leaving) = {
            let state = lock(&self.state);
            if name == HOST_IMAGE {
                return Err(ImagesError::BuiltIn(name.to_owned()));
            }
            let image = state.resolve(name)?.ok_or_else(|| ImagesError::NotFound(name.to_owned()))?;
            if state.is_current_host(&image) {
                return Err(ImagesError::BuiltIn(name.to_owned()));
            }
            // Named by its digest, the image itself is meant, with every name it has.
            let leaving = match state.index.name_key(name) {
                Some(key) => vec![key],
                None => state.index.names_of(&image),
            };
            (image, leaving)
        };
        for name in leaving {
            self.layout.remove_name(&name)?;
            lock(&self.state).index.names.remove(&name);
        }
        if !lock(&self.state).index.names_of(&image).is_empty() {
            return Ok(());
        }
        // The record goes first: an image that is half gone must not be found.
        self.layout.remove_file(&self.layout.record(&image))?;
        let (tree, blobs) = lock(&self.state).index.forget(&image);
        for blob in blobs {
            self.layout.remove_file(&self.layout.blob(&blob))?;
        }
        tree.map_or(Ok(()), |tree| self.layout.remove_rootfs(&tree))
    }

    /// Makes sure that it is known which image is the `host` image now, where there can be one.
    fn look_at_host(&self) {
        if let Err(error) = self.current_host() {
            // The other images are there all the same; `find` says what is wrong with this one.
            tracing::warn!(error = &error as &dyn std::error::Error, "the host image is not available");
        }
    }

    /// The `host` image as the host is now.
    fn current_host(&self) -> Result<Digest, ImagesError> {
        let stamp = Stamp::take(&self.host_root);
        if let Some(digest) = lock(&self.state).fresh_host(&stamp) {
            return Ok(digest);
        }
        let _changing = lock(&self.changing);
        // Another lookup may have built it meanwhile.
        if let Some(digest) = lock(&self.state).fresh_host(&stamp) {
            return Ok(digest);
        }
        let plan = host::plan(&self.host_root)?;
        let digest = plan.digest();
        if !lock(&self.state).index.records.contains_key(&digest) {
            let workspace = self.layout.workspace()?;
            let mut tree = Tree::create(workspace.path())?;
            plan.write(&mut tree)?;
            tree.sync()?;
            self.layout.publish_rootfs(&workspace.path().join("rootfs"), &digest)?;
            let record = Record {
                tree: digest,
                source: None,
                config: configuration(&self.layout, None)?,
                bytes: plan.size_bytes(),
                created_at: self.clock.now(),
            };
            record.write(&self.layout, &digest)?;
            lock(&self.state).index.records.insert(digest, record);
            tracing::info!(image.digest = %digest, "host image built");
        }
        lock(&self.state).host = Some((stamp, digest));
        Ok(digest)
    }

    /// Removes trees that a crash left between their rename and their record.
    fn remove_unnamed_trees(&self) -> Result<(), ImagesError> {
        let directory = self.layout.directory("rootfs");
        let entries = std::fs::read_dir(&directory).map_err(ImagesError::disk("list", &directory))?;
        for entry in entries {
            let entry = entry.map_err(ImagesError::disk("list", &directory))?;
            let Some(tree) = entry.file_name().to_str().and_then(crate::hash::digest_from_hex) else {
                continue;
            };
            if !lock(&self.state).index.records.values().any(|record| record.tree == tree) {
                tracing::info!(tree.digest = %tree, "a tree without an image is removed");
                self.layout.remove_rootfs(&tree)?;
            }
        }
        Ok(())
    }
}

impl State {
    /// The image that a name, a digest or the start of a digest stands for.
    fn resolve(&self, name: &str) -> Result<Option<Digest>, ImagesError> {
        if let Some(key) = self.index.name_key(name) {
            return Ok(self.index.names.get(&key).copied());
        }
        let Some(start) = reference::digest_start(name) else { return Ok(None) };
        let mut matching = self.index.records.keys().filter(|digest| digest.hex().starts_with(start));
        match (matching.next(), matching.next()) {
            (_, Some(_)) => Err(ImagesError::Ambiguous(name.to_owned())),
            (found, None) => Ok(found.copied()),
        }
    }

    fn fresh_host(&self, stamp: &Stamp) -> Option<Digest> {
        self.host.as_ref().filter(|(taken, _)| taken == stamp).map(|(_, digest)| *digest)
    }

    /// Whether the name stands for a `host` image, be it the current one or an old one.
    fn is_of_host(&self, name: &str) -> Result<bool, ImagesError> {
        let record = self.resolve(name)?.and_then(|image| self.index.records.get(&image));
        Ok(record.is_some_and(|record| record.source.is_none()))
    }

    fn is_current_host(&self, image: &Digest) -> bool {
        self.host.as_ref().is_some_and(|(_, digest)| digest == image)
    }

    fn image(&self, digest: &Digest, record: &Record) -> Image {
        let built_in = self.is_current_host(digest);
        let names = if built_in { vec![HOST_IMAGE.to_owned()] } else { self.index.names_of(digest) };
        let (config, created_at) = (record.config.clone(), record.created_at);
        Image { digest: *digest, names, config, bytes: record.bytes, created_at, built_in }
    }
}

/// Takes a lock whose holder may have panicked: every change under one is a single insertion or removal, so a panic
/// leaves nothing half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A name as it is stored.
fn canonical_name(name: &str) -> Result<String, ImagesError> {
    reference::canonical(name)
        .map_err(|source| ImagesError::Name { name: name.chars().take(NAME_SHOWN_CHARS).collect(), source })
}

/// The configuration behind a record.
fn configuration(layout: &Layout, source: Option<&Source>) -> Result<ImageConfig, ImagesError> {
    let Some(source) = source else {
        return Ok(ImageConfig { env: host::environment(), ..ImageConfig::default() });
    };
    let digest = source.config;
    let path = layout.blob(&digest);
    let json = fs::read(&path).map_err(ImagesError::disk("read", &path))?;
    archive::verify("it", &json, &digest)
        .and_then(|()| Ok(archive::config::parse(&json)?.run))
        .map_err(|source| ImagesError::Configuration { digest, source })
}
