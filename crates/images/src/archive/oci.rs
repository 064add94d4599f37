//! An OCI image layout in a tar.
//!
//! ```text
//! index.json ─▶ [index ─▶]* manifest ─▶ configuration, layers       all but the first at blobs/sha256/<hex>
//! ```
//!
//! Every blob on the way is checked against the size and the digest of the descriptor that leads to it.

use std::collections::BTreeMap;

use lazaret_core::Digest;
use serde::Deserialize;

use super::config::{platform, this_platform};
use super::{Archive, ArchiveError, Bundle, LayerBlob, parse_digest, parse_json, verify};

const INDEX: &str = "index.json";

const INDEX_TYPES: &[&str] =
    &["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

const MANIFEST_TYPES: &[&str] =
    &["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

const CONFIG_TYPES: &[&str] =
    &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Layers by their start: what follows is the compression, which the bytes tell themselves.
const LAYER_TYPES: &[&str] = &[
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
];

/// Compressions that a layer's media type may end in.
const LAYER_SUFFIXES: &[&str] = &["", "+gzip", "+zstd", ".gzip", ".zstd"];

/// The layout's name for an image: whole with containerd's key, often just a tag with OCI's own.
const NAME_KEYS: &[&str] = &["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// `docker save` nests one index in another; more has no use.
const INDEX_DEPTH_MAX: usize = 4;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone)]
struct Platform {
    architecture: String,
    os: String,
}

/// The one image of the layout that is for this machine.
///
/// # Errors
/// See [`ArchiveError`].
pub(super) fn read(archive: &Archive) -> Result<Bundle, ArchiveError> {
    let json = archive.read(INDEX)?;
    let index: Index = parse_json(INDEX, &json)?;
    let mut names: Vec<String> = Vec::new();
    let chosen = choose(archive, index, &mut names, 0)?;
    let (digest, manifest_json) = blob(archive, &chosen)?;
    let name = &chosen.digest;
    let manifest: Manifest = parse_json(name, &manifest_json)?;
    if !CONFIG_TYPES.contains(&&manifest.config.media_type[..]) {
        return Err(media_type(&manifest.config));
    }
    let (_, config) = blob(archive, &manifest.config)?;
    let layers = manifest.layers.iter().map(|layer| locate(archive, layer)).collect::<Result<_, _>>()?;
    Ok(Bundle { manifest: Some((digest, manifest_json)), config, layers, names })
}

/// The descriptor of the manifest to take, through nested indexes.
fn choose(
    archive: &Archive,
    index: Index,
    names: &mut Vec<String>,
    depth: usize,
) -> Result<Descriptor, ArchiveError> {
    if depth == INDEX_DEPTH_MAX {
        return Err(ArchiveError::IndexDepth);
    }
    let known = |descriptor: &&Descriptor| {
        let kind = &descriptor.media_type[..];
        INDEX_TYPES.contains(&kind) || MANIFEST_TYPES.contains(&kind)
    };
    let images: Vec<&Descriptor> = index.manifests.iter().filter(known).collect();
    let wanted = this_platform();
    let matching: Vec<&Descriptor> = images.iter().copied().filter(|image| image.is_for(&wanted)).collect();
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
    if MANIFEST_TYPES.contains(&&first.media_type[..]) {
        return Ok(first.clone());
    }
    let (_, json) = blob(archive, first)?;
    choose(archive, parse_json(&first.digest, &json)?, names, depth + 1)
}

/// A small blob, checked.
fn blob(archive: &Archive, descriptor: &Descriptor) -> Result<(Digest, Vec<u8>), ArchiveError> {
    let digest = parse_digest(&descriptor.digest)?;
    check_size(archive, descriptor, &digest)?;
    let bytes = archive.read(&member(&digest))?;
    verify(&descriptor.digest, &bytes, &digest)?;
    Ok((digest, bytes))
}

/// A layer's place; its digest is checked when it is read.
fn locate(archive: &Archive, descriptor: &Descriptor) -> Result<LayerBlob, ArchiveError> {
    let suffix = LAYER_TYPES.iter().find_map(|start| descriptor.media_type.strip_prefix(start));
    if !suffix.is_some_and(|suffix| LAYER_SUFFIXES.contains(&suffix)) {
        return Err(media_type(descriptor));
    }
    let digest = parse_digest(&descriptor.digest)?;
    let (offset, size) = check_size(archive, descriptor, &digest)?;
    Ok(LayerBlob { offset, size, digest: Some(digest) })
}

fn check_size(
    archive: &Archive,
    descriptor: &Descriptor,
    digest: &Digest,
) -> Result<(u64, u64), ArchiveError> {
    let (offset, size) = archive.find(&member(digest))?;
    if size == descriptor.size {
        return Ok((offset, size));
    }
    Err(ArchiveError::Size { what: descriptor.digest.clone(), found: size, wanted: descriptor.size })
}

fn member(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn media_type(descriptor: &Descriptor) -> ArchiveError {
    ArchiveError::MediaType(descriptor.media_type.chars().take(120).collect())
}

fn listing(images: &[&Descriptor]) -> String {
    const SHOWN: usize = 10;
    let name = |image: &&Descriptor| {
        image.name().unwrap_or_else(|| image.digest.clone()).chars().take(80).collect::<String>()
    };
    images.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ")
}

impl Descriptor {
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
