//! `docker save`: a `manifest.json` that lists images, each with its configuration and layers as member names.
//!
//! ```text
//! manifest.json    [{"Config": "<hex>.json", "RepoTags": ["debian:bookworm"], "Layers": ["<id>/layer.tar", ...]}]
//! ```
//!
//! A configuration is named after its digest, which is then checked. Layers have no digest here; the diff ids of the
//! configuration say what they must be.

use serde::Deserialize;

use super::{Archive, ArchiveError, Bundle, LayerBlob, parse_json, verify};
use crate::hash::digest_from_hex;

const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The one image of the archive.
///
/// # Errors
/// See [`ArchiveError`].
pub(super) fn read(archive: &Archive) -> Result<Bundle, ArchiveError> {
    let json = archive.read(MANIFEST)?;
    let mut images: Vec<SavedImage> = parse_json(MANIFEST, &json)?;
    let image = match images.len() {
        0 => return Err(ArchiveError::NoImage),
        1 => images.remove(0),
        _ => return Err(ArchiveError::Several(listing(&images))),
    };
    let config = archive.read(&image.config)?;
    if let Some(digest) = digest_in_name(&image.config) {
        verify(&image.config, &config, &digest)?;
    }
    let layers = image.layers.iter().map(|name| {
        let (offset, size) = archive.find(name)?;
        Ok(LayerBlob { offset, size, digest: None })
    });
    Ok(Bundle {
        manifest: None,
        config,
        layers: layers.collect::<Result<_, ArchiveError>>()?,
        names: image.repo_tags.unwrap_or_default(),
    })
}

/// The digest that a configuration's name promises: `<hex>.json`, or `blobs/sha256/<hex>` since Docker 25.
fn digest_in_name(name: &str) -> Option<lazaret_core::Digest> {
    let last = name.rsplit('/').next()?;
    digest_from_hex(last.strip_suffix(".json").unwrap_or(last))
}

fn listing(images: &[SavedImage]) -> String {
    const SHOWN: usize = 10;
    let name = |image: &SavedImage| {
        let first = image.repo_tags.as_ref().and_then(|tags| tags.first());
        first.unwrap_or(&image.config).chars().take(80).collect::<String>()
    };
    let mut names: Vec<String> = images.iter().take(SHOWN).map(name).collect();
    if images.len() > SHOWN {
        names.push("...".to_owned());
    }
    names.join(", ")
}
