//! What the store has: lookups, removal, and the `host` image.
//!
//! Lookups answer from memory. Changes of the store come one after the other, under `changing`, and what lookups see
//! follows each step on disk. Not here: how an image gets in (`publish`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lazaret_core::ports::{Lower, Rootfs};
use lazaret_core::{
    BUILT_IN_IMAGE, Clock, Digest, Image, ImageConfig, ImageReference, Timestamp, Viewer, digest_start,
};

use crate::archive;
use crate::error::ImagesError;
use crate::host::{self, Stamp};
use crate::store::layout::{Layout, remove_directory};
use crate::store::record::{Index, Record, Source};
use crate::unpack::limits::UnpackLimits;
use crate::unpack::tree::Tree;

/// How much of a malformed name an error repeats.
const NAME_SHOWN_CHARS: usize = 80;

/// How often the use of an image is noted on disk: collection counts in days.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// What every handle of a store shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    /// The root directory of the host; `/` but for tests.
    pub(crate) host_root: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: UnpackLimits,
    /// Held for as long as a change of the store takes on disk, so that changes come one after the other.
    pub(crate) changing: Mutex<()>,
    /// What lookups answer from. Never held across an operation on the disk; taken after `changing`.
    pub(crate) state: Mutex<State>,
}

/// What lookups answer from.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) index: Index,
    /// The `host` image and what the host looked like when it was planned; `None` before the first lookup.
    pub(crate) host: Option<(Stamp, Digest)>,
    /// When images were last used, as far as that is known; to the hour.
    pub(crate) used: BTreeMap<Digest, Timestamp>,
}

/// Runs work that blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, ImagesError> + Send + 'static,
) -> Result<T, ImagesError> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || work(&shared)).await.map_err(ImagesError::Thread)?
}

impl Shared {
    pub(crate) fn find(&self, name: &str, viewer: Viewer) -> Result<Option<Image>, ImagesError> {
        if name == BUILT_IN_IMAGE {
            let digest = self.current_host()?;
            let state = lock(&self.state);
            return Ok(state.index.records.get(&digest).map(|record| state.image(&digest, record)));
        }
        let state = lock(&self.state);
        let Some(digest) = state.resolve(name, viewer)? else { return Ok(None) };
        Ok(state.index.records.get(&digest).map(|record| state.image(&digest, record)))
    }

    pub(crate) fn list(&self, viewer: Viewer) -> Result<Vec<Image>, ImagesError> {
        self.look_at_host();
        let state = lock(&self.state);
        // What is between the steps of a build is nobody's image, unless somebody named it.
        let steps: BTreeSet<&Digest> = state.index.steps.values().collect();
        let images = state.index.records.iter().map(|(digest, record)| state.image(digest, record));
        let mut images: Vec<Image> = images
            .filter(|image| image.is_open_to(viewer))
            .filter(|image| !(image.names.is_empty() && steps.contains(&image.digest)))
            .collect();
        images.sort_by(|a, b| (a.names.is_empty(), &a.names).cmp(&(b.names.is_empty(), &b.names)));
        Ok(images)
    }

    pub(crate) fn rootfs(&self, image: &Digest) -> Result<Rootfs, ImagesError> {
        self.note_use(image);
        let state = lock(&self.state);
        let record =
            state.index.records.get(image).ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        let mut lowers = vec![Lower { at: PathBuf::from("/"), source: self.layout.rootfs(&record.tree) }];
        if record.source.is_none() {
            lowers.push(Lower { at: PathBuf::from("/usr"), source: self.host_root.join("usr") });
        }
        Ok(Rootfs { lowers })
    }

    pub(crate) fn remove(&self, name: &str, viewer: Viewer) -> Result<(), ImagesError> {
        if lock(&self.state).is_of_host(name, viewer)? {
            self.look_at_host();
        }
        let _changing = lock(&self.changing);
        let (image, leaving) = {
            let state = lock(&self.state);
            if name == BUILT_IN_IMAGE {
                return Err(ImagesError::BuiltIn(name.to_owned()));
            }
            let image = state.resolve(name, viewer)?;
            let image = image.ok_or_else(|| ImagesError::NotFound(name.to_owned()))?;
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
        self.take_out(&image)?.map_or(Ok(()), remove_directory)
    }

    /// Remembers that an image is used, on disk as the time of change of its record.
    pub(crate) fn note_use(&self, image: &Digest) {
        let now = self.clock.now();
        {
            let mut state = lock(&self.state);
            let fresh = |used: &Timestamp| now.since(*used) < USE_NOTED_EVERY && *used <= now;
            if !state.index.records.contains_key(image) || state.used.get(image).is_some_and(fresh) {
                return;
            }
            state.used.insert(*image, now);
        }
        if let Err(error) = self.layout.set_record_time(image, now) {
            // The image may then be collected too early after a restart, and be pulled again.
            tracing::warn!(image.digest = %image, error = &error as &dyn std::error::Error,
                "the use of an image could not be noted");
        }
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
                replaceable: false,
                makers: BTreeSet::new(),
                created_at: self.clock.now(),
            };
            record.write(&self.layout, &digest)?;
            lock(&self.state).index.records.insert(digest, record);
            tracing::info!(image.digest = %digest, "host image built");
        }
        lock(&self.state).host = Some((stamp, digest));
        Ok(digest)
    }

    /// Removes trees and blobs that a crash left between their rename and their record.
    pub(crate) fn remove_unnamed(&self) -> Result<(), ImagesError> {
        for directory in ["rootfs", "blobs"] {
            let path = self.layout.directory(directory);
            for entry in fs::read_dir(&path).map_err(ImagesError::disk("list", &path))? {
                let entry = entry.map_err(ImagesError::disk("list", &path))?;
                let digest = entry.file_name().to_str().and_then(crate::hash::digest_from_hex);
                let Some(digest) = digest.filter(|digest| !lock(&self.state).index.names_content(digest))
                else {
                    continue;
                };
                tracing::info!(%digest, directory, "content without an image is removed");
                match directory {
                    "rootfs" => self.layout.remove_rootfs(&digest)?,
                    _ => self.layout.remove_file(&self.layout.blob(&digest))?,
                }
            }
        }
        Ok(())
    }
}

impl State {
    /// The image that a name, a digest or the start of a digest stands for; the viewer's others do not make it ambiguous.
    pub(crate) fn resolve(&self, name: &str, viewer: Viewer) -> Result<Option<Digest>, ImagesError> {
        if let Some(key) = self.index.name_key(name) {
            return Ok(self.index.names.get(&key).copied());
        }
        let Some(start) = digest_start(name) else { return Ok(None) };
        let records = self.index.records.iter().filter(|(digest, _)| digest.hex().starts_with(start));
        let mut matching = records
            .map(|(digest, record)| self.image(digest, record))
            .filter(|image| image.is_open_to(viewer))
            .map(|image| image.digest);
        match (matching.next(), matching.next()) {
            (_, Some(_)) => Err(ImagesError::Ambiguous(name.to_owned())),
            (found, None) => Ok(found),
        }
    }

    fn fresh_host(&self, stamp: &Stamp) -> Option<Digest> {
        self.host.as_ref().filter(|(taken, _)| taken == stamp).map(|(_, digest)| *digest)
    }

    /// Whether the name stands for a `host` image, be it the current one or an old one.
    fn is_of_host(&self, name: &str, viewer: Viewer) -> Result<bool, ImagesError> {
        let record = self.resolve(name, viewer)?.and_then(|image| self.index.records.get(&image));
        Ok(record.is_some_and(|record| record.source.is_none()))
    }

    pub(crate) fn is_current_host(&self, image: &Digest) -> bool {
        self.host.as_ref().is_some_and(|(_, digest)| digest == image)
    }

    pub(crate) fn image(&self, digest: &Digest, record: &Record) -> Image {
        let built_in = self.is_current_host(digest);
        let names = if built_in { vec![BUILT_IN_IMAGE.to_owned()] } else { self.index.names_of(digest) };
        Image {
            digest: *digest,
            names,
            config: record.config.clone(),
            bytes: record.bytes,
            created_at: record.created_at,
            built_in,
            makers: record.makers.clone(),
        }
    }
}

/// Takes a lock whose holder may have panicked: every change under one is a single insertion or removal, so a panic
/// leaves nothing half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A name as it is stored.
pub(crate) fn stored_name(name: &str) -> Result<String, ImagesError> {
    match ImageReference::parse(name) {
        Ok(reference) => Ok(reference.familiar()),
        Err(source) => Err(ImagesError::Name { name: name.chars().take(NAME_SHOWN_CHARS).collect(), source }),
    }
}

/// The configuration behind a record.
pub(crate) fn configuration(layout: &Layout, source: Option<&Source>) -> Result<ImageConfig, ImagesError> {
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
