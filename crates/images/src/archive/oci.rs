//! An OCI image layout in a tar.
//!
//! ```text
//! index.json ─▶ [index ─▶]* manifest ─▶ configuration, layers       all but the first at blobs/sha256/<hex>
//! ```
//!
//! Every blob on the way is checked against the size and the digest of the descriptor that leads to it.

use lazaret_core::Digest;

use super::descriptors::{Descriptor, Document, INDEX_DEPTH_MAX, Index};
use super::{Archive, ArchiveError, Bundle, LayerBlob, parse_digest, parse_json, verify};

const INDEX: &str = "index.json";

/// The one image of the layout that is for this machine.
///
/// # Errors
/// See [`ArchiveError`].
pub(super) fn read(archive: &Archive) -> Result<Bundle, ArchiveError> {
    let json = archive.read(INDEX)?;
    // The layout says what this file is; it need not say so itself.
    let mut index: Index = parse_json(INDEX, &json)?;
    let mut names: Vec<String> = Vec::new();
    for _ in 0..INDEX_DEPTH_MAX {
        let chosen = index.choose(&mut names)?;
        let (digest, json) = blob(archive, &chosen)?;
        let manifest = match Document::parse(&chosen.digest, &chosen.media_type, &json)? {
            Document::Index(next) => {
                index = next;
                continue;
            }
            Document::Manifest(manifest) => manifest,
        };
        manifest.check_types()?;
        let (_, config) = blob(archive, &manifest.config)?;
        let layers = manifest.layers.iter().map(|layer| locate(archive, layer));
        let layers = layers.collect::<Result<_, _>>()?;
        return Ok(Bundle { manifest: Some((digest, json)), config, layers, names });
    }
    Err(ArchiveError::IndexDepth)
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
