//! Images as files: what is in an archive, and where its layers are.
//!
//! ```text
//! spooled tar ──index──▶ members ──┬─ oci-layout + index.json ─▶ oci ────┐
//!                                  ├─ manifest.json            ─▶ docker ─┼─▶ Bundle: configuration and layers
//!                                  └─ neither                  ─▶ a root file system, one layer, no configuration
//! ```
//!
//! Not here: applying the layers (`unpack`).

pub(crate) mod config;
pub(crate) mod descriptors;
mod docker;
mod oci;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use lazaret_core::{Digest, ImageSource};

use crate::hash::digest_of;
use crate::unpack::path::{EntryPath, PathError};
use crate::unpack::tar::{Kind, Reader, TarError};
use config::ConfigError;

/// Most members of an archive that holds images: a file a layer, a few more for each image. A tar with more is a
/// root file system.
const MEMBERS_MAX: usize = 4096;

/// Largest manifest, index or configuration: what registries take, by the OCI distribution specification.
pub(crate) const JSON_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An image as an archive describes it, with everything that was named by a digest checked against it, but for the
/// layers: those are checked as they are unpacked.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The manifest's bytes and digest, where there is one.
    pub(crate) manifest: Option<(Digest, Vec<u8>)>,
    /// The configuration's bytes.
    pub(crate) config: Vec<u8>,
    /// The layers, lowest first.
    pub(crate) layers: Vec<LayerBlob>,
    /// Names that the archive gives the image.
    pub(crate) names: Vec<String>,
}

/// A layer in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerBlob {
    /// Where its bytes start in the archive.
    pub(crate) offset: u64,
    /// How many they are.
    pub(crate) size: u64,
    /// What they must hash to, where the archive says it.
    pub(crate) digest: Option<Digest>,
}

/// What a spooled archive turned out to be.
#[derive(Debug)]
pub(crate) enum Contents {
    /// An image with layers.
    Image(Bundle),
    /// The archive itself is the only layer.
    Rootfs,
}

/// Why an archive holds no image that can be taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The tar cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member has a name that is none.
    #[error("a member of the archive has an unusable name")]
    Name(#[from] PathError),
    /// Two members have one name, so that readers may disagree on the image.
    #[error("the archive has two members named {0}")]
    Twice(String),
    /// The archive is not of the kind that the caller said.
    #[error("the archive has no {0}")]
    NotThatKind(&'static str),
    /// A member that the image needs is not there.
    #[error("the archive has no member {0}")]
    Missing(String),
    /// A JSON member is larger than a registry takes.
    #[error("{name} has {size} bytes; at most {JSON_BYTES_MAX} are read")]
    JsonTooLarge {
        /// Which member.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A member is not the JSON that it must be.
    #[error("{name} is malformed")]
    Json {
        /// Which member.
        name: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A member is not what its digest says.
    #[error("{what} has digest {found}, not {wanted}")]
    Digest {
        /// Which member or layer.
        what: String,
        /// What it hashes to.
        found: Digest,
        /// What the archive says.
        wanted: Digest,
    },
    /// A member has another size than its descriptor.
    #[error("{what} has {found} bytes, not {wanted}")]
    Size {
        /// Which member.
        what: String,
        /// Its size in bytes.
        found: u64,
        /// What the descriptor says.
        wanted: u64,
    },
    /// A digest is malformed or of an algorithm other than SHA-256.
    #[error("{0:?} is not a sha256 digest")]
    DigestSyntax(String),
    /// The archive holds no image at all.
    #[error("there is no image in it")]
    NoImage,
    /// The archive holds several images.
    #[error("there are several images in it ({0}); save them one by one")]
    Several(String),
    /// No image is for this machine.
    #[error("there are images for {found} in it, none for {wanted}")]
    Platform {
        /// What there is.
        found: String,
        /// What this machine runs.
        wanted: String,
    },
    /// A descriptor's media type is none of an image or its layers.
    #[error("media type {0:?} is not supported")]
    MediaType(String),
    /// A document is both an index and a manifest, or calls itself something else than what leads to it.
    #[error("{0} can be read as two kinds of document")]
    TwoKinds(String),
    /// Indexes that refer to indexes go on too long.
    #[error("indexes are nested too deeply")]
    IndexDepth,
    /// The configuration is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The spooled archive could not be read.
    #[error("cannot read the spooled archive")]
    Spool(#[source] io::Error),
}

/// The members of an archive that lies in a file, uncompressed.
#[derive(Debug)]
pub(crate) struct Archive {
    file: File,
    members: BTreeMap<EntryPath, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// `docker save` once wrote a link where two images share a layer.
    Link(EntryPath),
}

/// Finds out what the archive is, as far as `source` leaves it open.
///
/// # Errors
/// See [`ArchiveError`].
pub(crate) fn open(file: &File, source: ImageSource) -> Result<Contents, ArchiveError> {
    if source == ImageSource::RootfsTar {
        return Ok(Contents::Rootfs);
    }
    let archive = Archive::index(file.try_clone().map_err(ArchiveError::Spool)?)?;
    let has = |name: &str| archive.as_ref().is_some_and(|archive| archive.has(name));
    let oci = has("oci-layout") && has("index.json");
    let docker = has("manifest.json");
    match (archive, source) {
        (Some(archive), ImageSource::Detect | ImageSource::OciArchive) if oci => {
            Ok(Contents::Image(oci::read(&archive)?))
        }
        (Some(archive), ImageSource::Detect | ImageSource::DockerArchive) if docker => {
            Ok(Contents::Image(docker::read(&archive)?))
        }
        (_, ImageSource::OciArchive) => Err(ArchiveError::NotThatKind("oci-layout and index.json")),
        (_, ImageSource::DockerArchive) => Err(ArchiveError::NotThatKind("manifest.json")),
        (_, ImageSource::Detect | ImageSource::RootfsTar) => Ok(Contents::Rootfs),
    }
}

impl Archive {
    /// Reads every header; `None` when there are more members than an archive of images has.
    fn index(file: File) -> Result<Option<Archive>, ArchiveError> {
        let mut start = &file;
        start.seek(SeekFrom::Start(0)).map_err(ArchiveError::Spool)?;
        let mut reader = Reader::new(BufReader::new(start));
        let mut members = BTreeMap::new();
        let mut listed = 0;
        while let Some(entry) = reader.next_entry()? {
            listed += 1;
            if listed > MEMBERS_MAX {
                return Ok(None);
            }
            // A name that is none is refused by name if this is a root file system, and needed by no image.
            let Ok(path) = EntryPath::parse(&entry.name) else { continue };
            let member = match entry.kind {
                Kind::File => Member::File { offset: reader.position(), size: entry.size },
                Kind::Symlink => match beside(&path, &entry.link) {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            // The members of a root file system may repeat; that is for the layer's rules to judge.
            if let Some(earlier) = members.insert(path.clone(), member.clone())
                && earlier != member
                && path.components().count() == 1
            {
                return Err(ArchiveError::Twice(path.to_string()));
            }
        }
        Ok(Some(Archive { file, members }))
    }

    fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Where a member's bytes are: offset and size.
    fn find(&self, name: &str) -> Result<(u64, u64), ArchiveError> {
        let missing = || ArchiveError::Missing(name.escape_default().take(200).collect());
        let path = EntryPath::parse(name.as_bytes())?;
        let member = match self.members.get(&path) {
            Some(Member::Link(target)) => self.members.get(target),
            member => member,
        };
        match member {
            Some(Member::File { offset, size }) => Ok((*offset, *size)),
            Some(Member::Link(_)) | None => Err(missing()),
        }
    }

    /// A whole small member.
    fn read(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let (offset, size) = self.find(name)?;
        if size > JSON_BYTES_MAX {
            return Err(ArchiveError::JsonTooLarge { name: name.to_owned(), size });
        }
        let mut bytes = Vec::new();
        section(&self.file, offset, size)
            .and_then(|mut section| section.read_to_end(&mut bytes))
            .map_err(ArchiveError::Spool)?;
        Ok(bytes)
    }
}

/// A part of a file. Sections of one file share its offset: use one at a time.
///
/// # Errors
/// When the file cannot be positioned.
pub(crate) fn section(mut file: &File, offset: u64, size: u64) -> io::Result<io::Take<&File>> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(file.take(size))
}

/// Checks bytes against the digest that names them.
pub(crate) fn verify(what: &str, bytes: &[u8], wanted: &Digest) -> Result<(), ArchiveError> {
    let found = digest_of(bytes);
    if found == *wanted {
        Ok(())
    } else {
        Err(ArchiveError::Digest { what: what.to_owned(), found, wanted: *wanted })
    }
}

pub(crate) fn parse_json<'a, T: serde::Deserialize<'a>>(
    name: &str,
    bytes: &'a [u8],
) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|source| ArchiveError::Json { name: name.to_owned(), source })
}

pub(crate) fn parse_digest(text: &str) -> Result<Digest, ArchiveError> {
    text.parse().map_err(|_| ArchiveError::DigestSyntax(text.chars().take(80).collect()))
}

/// The member that a link's target names, by the text of both names; `None` when that leaves the archive.
fn beside(link: &EntryPath, target: &[u8]) -> Option<EntryPath> {
    let (directory, _) = link.split()?;
    let mut components: Vec<&[u8]> = directory.components().collect();
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()?),
            _ => components.push(component),
        }
    }
    EntryPath::parse(&components.join(&b'/')).ok()
}
