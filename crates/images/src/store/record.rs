//! What the store remembers of an image, and the names that stand for images.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::str::FromStr;

use lazaret_core::{AccountId, Digest, ImageConfig, ImageReference, Timestamp};
use serde::{Deserialize, Serialize};

use super::layout::{Layout, name_of_file};
use crate::error::ImagesError;
use crate::hash::digest_from_hex;

/// Version of the record's JSON. A record of another version is refused, not guessed at.
const FORMAT: u32 = 1;

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The tree at `/`.
    pub(crate) tree: Digest,
    /// Where the configuration is, and the manifest if there is one; `None` for a `host` image, whose
    /// configuration is in the code.
    pub(crate) source: Option<Source>,
    /// What the configuration says.
    pub(crate) config: ImageConfig,
    /// Bytes of the files in the tree.
    pub(crate) bytes: u64,
    /// When it came here.
    pub(crate) created_at: Timestamp,
    /// Collection may take it: it came from a registry, or was made to be kept for as long as it is used.
    pub(crate) replaceable: bool,
    /// Accounts that made it; empty for what came from elsewhere.
    pub(crate) makers: BTreeSet<AccountId>,
}

/// The blobs that an OCI image came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) manifest: Option<Digest>,
    pub(crate) config: Digest,
}

/// Records by image digest, and image digests by name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) records: BTreeMap<Digest, Record>,
    pub(crate) names: BTreeMap<String, Digest>,
    /// Results of build steps, by key.
    pub(crate) steps: BTreeMap<Digest, Digest>,
}

/// A record as it is on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRecord {
    format: u32,
    tree: String,
    manifest: Option<String>,
    config: Option<String>,
    bytes: u64,
    created_at_unix_micros: i64,
    /// [`Record::replaceable`], by its first meaning; absent in records of images that are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pulled: bool,
    /// [`Record::makers`]; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    makers: Vec<String>,
}

impl Record {
    /// The record of an image that has come a second time: it stays if one of the two was to stay, and is anybody's if one of
    /// the two came from elsewhere.
    pub(crate) fn joined(mut self, other: &Self) -> Self {
        self.replaceable &= other.replaceable;
        if other.makers.is_empty() {
            self.makers.clear();
        } else if !self.makers.is_empty() {
            self.makers.extend(&other.makers);
        }
        self
    }

    /// Writes the record; from then on the image exists.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn write(&self, layout: &Layout, image: &Digest) -> Result<(), ImagesError> {
        let source = self.source.as_ref();
        let stored = StoredRecord {
            format: FORMAT,
            tree: self.tree.to_string(),
            manifest: source.and_then(|source| source.manifest).map(|digest| digest.to_string()),
            config: source.map(|source| source.config.to_string()),
            bytes: self.bytes,
            created_at_unix_micros: self.created_at.unix_micros(),
            pulled: self.replaceable,
            makers: self.makers.iter().map(AccountId::to_string).collect(),
        };
        let path = layout.record(image);
        let json = serde_json::to_vec(&stored)
            .map_err(|source| ImagesError::Record { path: path.clone(), source })?;
        layout.write(&path, &json)
    }
}

impl StoredRecord {
    fn parse(json: &[u8]) -> Result<(Record, Option<Source>), serde_json::Error> {
        use serde::de::Error as _;
        let stored: StoredRecord = serde_json::from_slice(json)?;
        if stored.format != FORMAT {
            return Err(serde_json::Error::custom(format!("format {} is not {FORMAT}", stored.format)));
        }
        let digest = |text: &String| Digest::from_str(text).map_err(serde_json::Error::custom);
        let source = match &stored.config {
            Some(config) => Some(Source {
                manifest: stored.manifest.as_ref().map(digest).transpose()?,
                config: digest(config)?,
            }),
            None => None,
        };
        let record = Record {
            tree: digest(&stored.tree)?,
            source: source.clone(),
            config: ImageConfig::default(),
            bytes: stored.bytes,
            created_at: Timestamp::from_unix_micros(stored.created_at_unix_micros),
            replaceable: stored.pulled,
            makers: stored
                .makers
                .iter()
                .map(|maker| maker.parse().map_err(serde_json::Error::custom))
                .collect::<Result<_, _>>()?,
        };
        Ok((record, source))
    }
}

impl Index {
    /// Reads every record and name. `config` turns an image's source into its configuration.
    ///
    /// A record whose tree is gone (an operator removed it by hand) is dropped with a warning, and so is a name
    /// that points nowhere.
    ///
    /// # Errors
    /// [`ImagesError::Disk`], [`ImagesError::Record`], and whatever `config` fails with.
    pub(crate) fn read(
        layout: &Layout,
        config: impl Fn(Option<&Source>) -> Result<ImageConfig, ImagesError>,
    ) -> Result<Index, ImagesError> {
        let mut index = Index::default();
        for (file_name, path) in files(layout, "records")? {
            let Some(image) = file_name.strip_suffix(".json").and_then(digest_from_hex) else {
                tracing::warn!(path = %path.display(), "not an image record; left alone");
                continue;
            };
            let json = fs::read(&path).map_err(ImagesError::disk("read", &path))?;
            let (mut record, source) = StoredRecord::parse(&json)
                .map_err(|source| ImagesError::Record { path: path.clone(), source })?;
            if !layout.rootfs(&record.tree).is_dir() {
                tracing::warn!(image = %image, "the tree of the image is gone; its record is dropped");
                layout.remove_file(&path)?;
                continue;
            }
            record.config = config(source.as_ref())?;
            index.records.insert(image, record);
        }
        for (file_name, path) in files(layout, "names")? {
            let text = fs::read_to_string(&path).map_err(ImagesError::disk("read", &path))?;
            match (name_of_file(&file_name), Digest::from_str(text.trim_end())) {
                (Some(name), Ok(image)) if index.records.contains_key(&image) => {
                    index.names.insert(name, image);
                }
                _ => {
                    tracing::warn!(path = %path.display(), "the name points at no image; it is dropped");
                    layout.remove_file(&path)?;
                }
            }
        }
        for (file_name, path) in files(layout, "steps")? {
            let text = fs::read_to_string(&path).map_err(ImagesError::disk("read", &path))?;
            match (digest_from_hex(&file_name), Digest::from_str(text.trim_end())) {
                (Some(key), Ok(image)) if index.records.contains_key(&image) => {
                    index.steps.insert(key, image);
                }
                _ => layout.remove_file(&path)?,
            }
        }
        Ok(index)
    }

    /// The stored spelling of a name, if it is one of the store's.
    pub(crate) fn name_key(&self, name: &str) -> Option<String> {
        let key = ImageReference::parse(name).ok()?.familiar();
        self.names.contains_key(&key).then_some(key)
    }

    /// Drops an image's record. What comes back is nobody's from then on: its tree and its blobs, as far as no other
    /// image has them too.
    pub(crate) fn forget(&mut self, image: &Digest) -> (Option<Digest>, Vec<Digest>) {
        let Some(gone) = self.records.remove(image) else { return (None, Vec::new()) };
        let blobs = |source: &Source| source.manifest.into_iter().chain([source.config]);
        let kept: Vec<Digest> =
            self.records.values().filter_map(|record| record.source.as_ref()).flat_map(blobs).collect();
        let blobs = gone.source.iter().flat_map(blobs).filter(|blob| !kept.contains(blob)).collect();
        let tree = self.records.values().all(|other| other.tree != gone.tree).then_some(gone.tree);
        (tree, blobs)
    }

    /// Whether some record names this tree or blob.
    pub(crate) fn names_content(&self, digest: &Digest) -> bool {
        self.records.values().any(|record| {
            let blobs = |source: &Source| source.config == *digest || source.manifest == Some(*digest);
            record.tree == *digest || record.source.as_ref().is_some_and(blobs)
        })
    }

    /// Names of an image, in order.
    pub(crate) fn names_of(&self, image: &Digest) -> Vec<String> {
        self.names.iter().filter(|(_, target)| *target == image).map(|(name, _)| name.clone()).collect()
    }
}

/// Names and paths of what is in a directory of the store.
fn files(layout: &Layout, directory: &str) -> Result<Vec<(String, std::path::PathBuf)>, ImagesError> {
    let path = layout.directory(directory);
    let read = || -> std::io::Result<Vec<_>> {
        fs::read_dir(&path)?
            .map(|entry| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())))
            .collect()
    };
    read().map_err(ImagesError::disk("list", &path))
}
