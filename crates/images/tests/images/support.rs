//! Stores and archives for the tests of imports.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use lazaret_core::ports::Images;
use lazaret_core::{
    AccountId, Clock, Digest, Image, ImageSource, ImportProgress, ManualClock, Timestamp, body_from_bytes,
};
use lazaret_images::ImageStore;
use lazaret_images::registry::settings::RegistrySettings;
use lazaret_images::unpack::limits::UnpackLimits;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;

/// When everything in these tests happens.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

/// Whoever makes images of their own in these tests.
pub(crate) fn maker() -> AccountId {
    AccountId::from_bytes([1; 16])
}

/// A store in a directory that goes with it.
pub(crate) struct Store {
    pub(crate) images: ImageStore,
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store::with_limits(UnpackLimits::default())
    }

    pub(crate) fn with_limits(limits: UnpackLimits) -> Store {
        Store::with(limits, RegistrySettings::default())
    }

    pub(crate) fn with_registries(registries: RegistrySettings) -> Store {
        Store::with(UnpackLimits::default(), registries)
    }

    pub(crate) fn with(limits: UnpackLimits, registries: RegistrySettings) -> Store {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let images = open(directory.path(), limits, registries, &clock);
        Store { images, directory, clock }
    }

    /// Closes the store and opens it again, as a restart of the server does.
    pub(crate) fn reopen(self) -> Store {
        let Store { images, directory, clock } = self;
        drop(images);
        let images = open(directory.path(), UnpackLimits::default(), RegistrySettings::default(), &clock);
        Store { images, directory, clock }
    }

    pub(crate) async fn import(&self, archive: Vec<u8>, name: Option<&str>) -> lazaret_core::Result<Image> {
        self.import_as(archive, ImageSource::Detect, name).await
    }

    pub(crate) async fn import_as(
        &self,
        archive: Vec<u8>,
        source: ImageSource,
        name: Option<&str>,
    ) -> lazaret_core::Result<Image> {
        let (progress, _) = watch::channel(ImportProgress { bytes_read: 0, entries: 0 });
        self.images.import(body_from_bytes(archive), source, name, progress).await
    }

    /// The image's tree on the host.
    pub(crate) async fn root(&self, image: &Image) -> std::path::PathBuf {
        let lowers = self.images.rootfs(&image.digest).await.unwrap().lowers;
        assert_eq!(lowers.len(), 1);
        lowers[0].source.clone()
    }

    /// Everything in the store: path, kind and length of each entry.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut directories = vec![self.directory.path().to_owned()];
        while let Some(directory) = directories.pop() {
            // What goes while it is listed is not there.
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                let length = if metadata.is_dir() { 0 } else { metadata.len() };
                found.push(format!("{} {:?} {length}", entry.path().display(), metadata.file_type()));
                if metadata.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// Names in a directory of the store.
    pub(crate) fn files(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn open(
    directory: &Path,
    limits: UnpackLimits,
    registries: RegistrySettings,
    clock: &Arc<ManualClock>,
) -> ImageStore {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    ImageStore::open(directory, Path::new("/"), clock, limits, registries).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of these files.
pub(crate) fn tar_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, name, contents).unwrap();
    }
    builder.into_inner().unwrap()
}

/// What images in these tests say of this machine.
pub(crate) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A configuration for layers with these uncompressed bytes.
pub(crate) fn config(layers: &[&[u8]]) -> String {
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", sha256(layer))).collect();
    format!(
        r#"{{"architecture":"{}","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}},
           "config":{{"Env":["PATH=/bin","A=1"],"WorkingDir":"/srv","User":"app","Cmd":["/bin/app"]}}}}"#,
        architecture(),
        diff_ids.join(",")
    )
}

/// What `docker save` of one image writes.
pub(crate) fn docker_archive(tags: &str, layers: &[&[u8]]) -> Vec<u8> {
    let config = config(layers);
    let config_name = format!("{}.json", sha256(config.as_bytes()).hex());
    let names: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}/layer.tar")).collect();
    let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let manifest =
        format!(r#"[{{"Config":"{config_name}","RepoTags":{tags},"Layers":[{}]}}]"#, list.join(","));
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(layers.iter().copied()).collect();
    files.push((&config_name, config.as_bytes()));
    files.push(("manifest.json", manifest.as_bytes()));
    tar_of(files)
}

/// An OCI layout whose parts a test may spoil before it is written.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: String,
    pub(crate) index: String,
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
}

impl Layout {
    /// A layout with one image of these layers, stored by `store` each.
    pub(crate) fn new(layers: &[&[u8]], media_type: &str, store: impl Fn(&[u8]) -> Vec<u8>) -> Layout {
        let config = config(layers).into_bytes();
        let mut blobs = vec![blob(&config)];
        let mut descriptors = Vec::new();
        for layer in layers {
            let stored = store(layer);
            descriptors.push(descriptor(media_type, &stored, ""));
            blobs.push(blob(&stored));
        }
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.oci.image.config.v1+json", &config, ""),
            descriptors.join(",")
        );
        let named = r#","annotations":{"org.opencontainers.image.ref.name":"example.org/team/app:1.0"}"#;
        let index = index(&[descriptor(MANIFEST_TYPE, manifest.as_bytes(), named)]);
        blobs.push(blob(manifest.as_bytes()));
        Layout { config, manifest, index, blobs }
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut files: Vec<(&str, &[u8])> = vec![("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)];
        files.push(("index.json", self.index.as_bytes()));
        files.extend(self.blobs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        tar_of(files)
    }
}

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn index(descriptors: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptors.join(","))
}

/// A descriptor of these bytes, with more fields at its end.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8], more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#, sha256(bytes), bytes.len())
}

pub(crate) fn blob(bytes: &[u8]) -> (String, Vec<u8>) {
    (format!("blobs/sha256/{}", sha256(bytes).hex()), bytes.to_vec())
}
