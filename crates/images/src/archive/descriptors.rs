//! OCI's and Docker's descriptions of an image: indexes, manifests and what they refer to.
//!
//! ```text
//! index ─▶ [index ─▶]* manifest ─▶ configuration, layers
//! ```
//!
//! An archive and a registry have the same documents; how the bytes are come by is not here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::config::{platform, this_platform};
use super::{ArchiveError, parse_json};

/// Media types of an index.
pub(crate) const INDEX_TYPES: &[&str] =
    &["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// Media types of a manifest.
pub(crate) const MANIFEST_TYPES: &[&str] =
    &["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

const CONFIG_TYPES: &[&str] =
    &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Layers by their start: what follows is the compression, which the bytes tell themselves.
const LAYER_TYPES: &[&str] =
    &["application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"];

/// Layers that a registry need not have: their bytes lie wherever the manifest says.
const FOREIGN_LAYER_TYPES: &[&str] = &[
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// Compressions that a layer's media type may end in.
const LAYER_SUFFIXES: &[&str] = &["", "+gzip", "+zstd", ".gzip", ".zstd"];

/// An index's name for an image: whole with containerd's key, often just a tag with OCI's own.
const NAME_KEYS: &[&str] = &["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// `docker save` nests one index in another; more has no use.
pub(crate) const INDEX_DEPTH_MAX: usize = 4;

/// Several images, or one for several machines.
#[derive(Deserialize)]
pub(crate) struct Index {
    manifests: Vec<Descriptor>,
}

/// One image.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// What a blob is, and how to tell that it is the right one.
#[derive(Debug, Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    urls: Vec<String>,
}

#[derive(Debug, Deserialize, Clone)]
struct Platform {
    architecture: String,
    os: String,
}

/// An index or a manifest.
pub(crate) enum Document {
    Index(Index),
    Manifest(Manifest),
}

impl Document {
    /// What the bytes are, by the type that they were announced with. A document that could be read as either is refused:
    /// two readers would see two images under one digest.
    ///
    /// # Errors
    /// [`ArchiveError::Json`], [`ArchiveError::MediaType`], [`ArchiveError::TwoKinds`].
    pub(crate) fn parse(name: &str, announced: &str, json: &[u8]) -> Result<Document, ArchiveError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            media_type: Option<String>,
            manifests: Option<IgnoredAny>,
            layers: Option<IgnoredAny>,
            config: Option<IgnoredAny>,
        }
        let shape: Shape = parse_json(name, json)?;
        let kinds = (shape.manifests.is_some(), shape.layers.is_some() || shape.config.is_some());
        let says_otherwise = shape.media_type.as_deref().is_some_and(|own| own != announced);
        if kinds == (true, true) || says_otherwise {
            return Err(ArchiveError::TwoKinds(name.to_owned()));
        }
        if INDEX_TYPES.contains(&announced) {
            Ok(Document::Index(parse_json(name, json)?))
        } else if MANIFEST_TYPES.contains(&announced) {
            Ok(Document::Manifest(parse_json(name, json)?))
        } else {
            Err(media_type(announced))
        }
    }
}

impl Index {
    /// The descriptor to follow: the only image for this machine. Its names in the index are added to `names`.
    ///
    /// # Errors
    /// [`ArchiveError::NoImage`], [`ArchiveError::Several`], [`ArchiveError::Platform`].
    pub(crate) fn choose(&self, names: &mut Vec<String>) -> Result<Descriptor, ArchiveError> {
        let known = |descriptor: &&Descriptor| {
            let kind = &descriptor.media_type[..];
            INDEX_TYPES.contains(&kind) || MANIFEST_TYPES.contains(&kind)
        };
        let images: Vec<&Descriptor> = self.manifests.iter().filter(known).collect();
        let wanted = this_platform();
        let matching: Vec<&Descriptor> =
            images.iter().copied().filter(|image| image.is_for(&wanted)).collect();
        // Two descriptors of one blob are one image with two names.
        let first = match matching.first() {
            Some(first) if matching.iter().all(|image| image.digest == first.digest) => *first,
            Some(_) => return Err(ArchiveError::Several(listing(&matching))),
            None if images.is_empty() => return Err(ArchiveError::NoImage),
            None => {
                let found: Vec<String> = images.iter().filter_map(|image| image.platform()).collect();
                return Err(ArchiveError::Platform { found: found.join(", "), wanted });
            }
        };
        names.extend(matching.iter().filter_map(|image| image.name()));
        Ok(first.clone())
    }
}

impl Manifest {
    /// Refuses a manifest of something other than an image.
    ///
    /// # Errors
    /// [`ArchiveError::MediaType`].
    pub(crate) fn check_types(&self) -> Result<(), ArchiveError> {
        if !CONFIG_TYPES.contains(&&self.config.media_type[..]) {
            return Err(media_type(&self.config.media_type));
        }
        match self.layers.iter().find(|layer| !layer.is_layer()) {
            Some(layer) => Err(media_type(&layer.media_type)),
            None => Ok(()),
        }
    }
}

impl Descriptor {
    /// Whether the blob has to be fetched from somewhere else than the registry of the image.
    pub(crate) fn is_foreign(&self) -> bool {
        self.is_one_of(FOREIGN_LAYER_TYPES) || !self.urls.is_empty()
    }

    fn is_layer(&self) -> bool {
        self.is_one_of(LAYER_TYPES) || self.is_one_of(FOREIGN_LAYER_TYPES)
    }

    fn is_one_of(&self, starts: &[&str]) -> bool {
        let suffix = starts.iter().find_map(|start| self.media_type.strip_prefix(start));
        suffix.is_some_and(|suffix| LAYER_SUFFIXES.contains(&suffix))
    }

    /// Without a platform it may be for this machine; the configuration tells.
    fn is_for(&self, wanted: &str) -> bool {
        self.platform().is_none_or(|platform| platform == wanted)
    }

    fn platform(&self) -> Option<String> {
        self.platform.as_ref().map(|its| platform(&its.os, &its.architecture))
    }

    /// A name that stands alone. A bare tag, which is what OCI's key often holds, names no image.
    fn name(&self) -> Option<String> {
        let name = NAME_KEYS.iter().find_map(|key| self.annotations.get(*key))?;
        (name.contains(':') || name.contains('/')).then(|| name.clone())
    }
}

fn media_type(found: &str) -> ArchiveError {
    ArchiveError::MediaType(found.chars().take(120).collect())
}

fn listing(images: &[&Descriptor]) -> String {
    const SHOWN: usize = 10;
    let name = |image: &&Descriptor| {
        image.name().unwrap_or_else(|| image.digest.clone()).chars().take(80).collect::<String>()
    };
    images.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_two_readers_could_take_for_two_things_is_refused() {
        let manifest = MANIFEST_TYPES[0];
        for (announced, json, want) in [
            (
                manifest,
                r#"{"layers":[],"config":{},"manifests":[]}"#,
                "x can be read as two kinds of document",
            ),
            (
                manifest,
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
                "x can be read as two kinds of document",
            ),
            ("text/html", "{}", "media type \"text/html\" is not supported"),
            (manifest, "[]", "x is malformed"),
        ] {
            let error = Document::parse("x", announced, json.as_bytes()).map(drop).unwrap_err();
            assert_eq!(error.to_string(), want, "{json}");
        }
    }

    #[test]
    fn layers_that_lie_elsewhere_are_recognised() {
        let layer = |kind: &str, urls: &str| {
            let json = format!(r#"{{"mediaType":"{kind}","digest":"d","size":1{urls}}}"#);
            serde_json::from_str::<Descriptor>(&json).unwrap()
        };
        let urls = r#","urls":["http://169.254.169.254/"]"#;
        let plain = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (kind, urls, want) in [
            (plain, "", false),
            (plain, urls, true),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "", true),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", "", true),
        ] {
            assert_eq!(layer(kind, urls).is_foreign(), want, "{kind}");
            assert!(layer(kind, urls).is_layer());
        }
    }
}
