//! Images in memory: `host`, and whatever a test imports.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use lazaret_core::ports::{
    BuildRoom, Commit, CopyFiles, Images, Lower, MakeDirectory, ProgressSender, PullSender, Rootfs,
};
use lazaret_core::{
    AccountId, Body, CollectionPolicy, Digest, DockerfilePlacement, Error, Image, ImageConfig,
    ImageReference, ImageSource, Kind, LayerProgress, LayerStep, Limit, PullProgress, Result, Timestamp,
    UpstreamProblem, Viewer, collect,
};

/// Largest archive that a test may import.
const ARCHIVE_MAX_BYTES: u64 = 1024 * 1024;

/// The content store.
pub struct MemoryImages {
    now: Timestamp,
    images: Mutex<Vec<Image>>,
}

impl MemoryImages {
    pub(super) fn new(now: Timestamp) -> Self {
        let config =
            ImageConfig { env: vec![("LANG".to_owned(), "C.UTF-8".to_owned())], ..ImageConfig::default() };
        let host = Image {
            digest: Digest::from_bytes([1; 32]),
            names: vec!["host".to_owned()],
            config,
            bytes: 0,
            created_at: now,
            built_in: true,
            makers: BTreeSet::new(),
        };
        Self { now, images: Mutex::new(vec![host]) }
    }

    fn images(&self) -> MutexGuard<'_, Vec<Image>> {
        self.images.lock().expect("no panic under this lock")
    }
}

#[async_trait]
impl Images for MemoryImages {
    async fn find(&self, name: &str, viewer: Viewer) -> Result<Option<Image>> {
        let is_it = |image: &&Image| {
            let is_named = image.names.iter().any(|known| known == name) || image.digest.to_string() == name;
            is_named && image.is_open_to(viewer)
        };
        Ok(self.images().iter().find(is_it).cloned())
    }

    async fn list(&self, viewer: Viewer) -> Result<Vec<Image>> {
        Ok(self.images().iter().filter(|image| image.is_open_to(viewer)).cloned().collect())
    }

    async fn rootfs(&self, _digest: &Digest) -> Result<Rootfs> {
        Ok(Rootfs { lowers: vec![Lower { at: PathBuf::from("/"), source: PathBuf::from("/nowhere") }] })
    }

    async fn import(
        &self,
        body: Body,
        source: ImageSource,
        name: Option<&str>,
        _progress: ProgressSender,
    ) -> Result<Image> {
        let bytes = collect(body, ARCHIVE_MAX_BYTES, Limit::ImageSize).await?;
        if bytes.is_empty() {
            return Err(Error::invalid("body", format!("is no archive that {source:?} could read")));
        }
        let image = Image {
            digest: Digest::from_bytes([bytes[0]; 32]),
            names: vec![name.unwrap_or("imported:latest").to_owned()],
            config: ImageConfig { working_dir: Some("/srv".to_owned()), ..ImageConfig::default() },
            bytes: bytes.len() as u64,
            created_at: self.now,
            built_in: false,
            makers: BTreeSet::new(),
        };
        self.images().push(image.clone());
        Ok(image)
    }

    /// `registry.test` has every image, in two layers; no other registry can be reached.
    async fn pull(&self, reference: &ImageReference, progress: PullSender) -> Result<Image> {
        if reference.registry() != "registry.test" {
            return Err(Error::Upstream {
                what: reference.registry().to_owned(),
                problem: UpstreamProblem::Unreachable,
                retry_after: None,
                source: "this is a test".into(),
            });
        }
        let layer = |byte, step| LayerProgress {
            digest: Digest::from_bytes([byte; 32]),
            bytes: 9,
            fetched_bytes: 9,
            step,
        };
        progress.send_replace(PullProgress {
            layers: vec![layer(5, LayerStep::Shared), layer(6, LayerStep::Done)],
        });
        let image = Image {
            digest: Digest::from_bytes([7; 32]),
            names: vec![reference.familiar()],
            config: ImageConfig::default(),
            bytes: 18,
            created_at: self.now,
            built_in: false,
            makers: BTreeSet::new(),
        };
        self.images().push(image.clone());
        Ok(image)
    }

    /// The image's digest is made of the base's and of the configuration's length; what was changed is not looked at.
    async fn commit(&self, commit: Commit) -> Result<Image> {
        let mut images = self.images();
        let base = images.iter().find(|image| image.digest == commit.base);
        let base = base.ok_or_else(|| Error::not_found(Kind::Image, commit.base))?;
        let mut digest = *base.digest.as_bytes();
        digest[0] ^= u8::from(commit.changes.is_some());
        digest[1] ^= u8::try_from(commit.made_by.len() % 255).unwrap_or(0);
        let image = Image {
            digest: Digest::from_bytes(digest),
            names: commit.name.into_iter().collect(),
            config: commit.config,
            bytes: base.bytes + 1,
            created_at: self.now,
            built_in: false,
            makers: BTreeSet::from([commit.maker]),
        };
        images.push(image.clone());
        Ok(image)
    }

    /// The context of a build is one file: whatever came is its Dockerfile.
    async fn begin_build(&self, _maker: AccountId, context: Option<Body>) -> Result<Arc<dyn BuildRoom>> {
        let file = match context {
            Some(body) => Some(collect(body, ARCHIVE_MAX_BYTES, Limit::ImageSize).await?),
            None => None,
        };
        Ok(Arc::new(MemoryRoom { file }))
    }

    async fn collect(&self, _needed: &BTreeSet<Digest>, _policy: &CollectionPolicy) -> Result<Vec<Digest>> {
        Ok(Vec::new())
    }

    async fn remove(&self, name: &str, _viewer: Viewer) -> Result<()> {
        let mut images = self.images();
        let is_it =
            |image: &Image| image.names.iter().any(|known| known == name) || image.digest.to_string() == name;
        let at = images.iter().position(is_it);
        images.remove(at.ok_or_else(|| Error::not_found(Kind::Image, name))?);
        Ok(())
    }
}

/// A room whose context is a Dockerfile; nothing can be copied in it.
struct MemoryRoom {
    file: Option<Bytes>,
}

#[async_trait]
impl BuildRoom for MemoryRoom {
    async fn dockerfile(&self, path: &str, _placement: DockerfilePlacement) -> Result<Option<Bytes>> {
        Ok(self.file.clone().filter(|_| path == "Dockerfile"))
    }

    async fn digest(&self, _sources: &[String]) -> Result<Digest> {
        Err(Error::invalid("dockerfile", "there is no such file to copy"))
    }

    async fn copy(&self, _copy: CopyFiles) -> Result<Image> {
        Err(Error::invalid("dockerfile", "there is no such file to copy"))
    }

    async fn make_directory(&self, _make: MakeDirectory) -> Result<Option<Image>> {
        Ok(None)
    }
}
