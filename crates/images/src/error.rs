//! Why the content store could not do something, and how that reads at the port.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use lazaret_core::{Digest, Error, ImageReference, Kind, Limit, NameError};

use crate::archive::ArchiveError;
use crate::build::{ContextError, ContextProblem, CopyError, LookupError};
use crate::commit::{ChangesError, EntryProblem};
use crate::host::HostError;
use crate::registry::RegistryError;
use crate::unpack::compression::CompressionError;
use crate::unpack::layer::{EntryError, LayerError};
use crate::unpack::limits::Exceeded;
use crate::unpack::tree::TreeError;

/// A failure of the content store.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A file or directory of the store itself could not be used.
    #[error("cannot {action} {}", .path.display())]
    Disk {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another server holds the store.
    #[error("another server uses the images in {}", .0.display())]
    Busy(PathBuf),
    /// A record of the store is not what this build writes.
    #[error("the image record {} is damaged or from a newer version", .path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A configuration in the store is not what its digest says, or no longer readable.
    #[error("the stored configuration {digest} is damaged")]
    Configuration {
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// The host cannot serve as an image.
    #[error("the host image cannot be made")]
    Host(#[from] HostError),
    /// The `host` image could not be written.
    #[error("the host image cannot be written")]
    HostTree(#[from] TreeError),
    /// An import failed.
    #[error("the image cannot be imported")]
    Import(#[from] ImportError),
    /// A registry did not give the image.
    #[error("{image} cannot be pulled")]
    Registry {
        /// The image, as a full reference.
        image: String,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// The client of registries cannot be made: a proxy or the trust anchors of this machine are unusable.
    #[error("registries cannot be asked")]
    Client(#[source] reqwest::Error),
    /// What a sandbox has written cannot be an image.
    #[error("the sandbox cannot become an image")]
    Changes(#[from] ChangesError),
    /// A build's context was refused.
    #[error("the context")]
    Context(#[source] ContextError),
    /// Files cannot be copied as a build wants.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A tree of the store cannot be looked into.
    #[error("a tree cannot be read")]
    Look(#[source] LookupError),
    /// A build that has no context asks for it.
    #[error("there is no context to copy from")]
    NoContext,
    /// The base is the `host` image.
    #[error("an image of a sandbox that shows the host's own /usr")]
    OfHost,
    /// The runtime gave nothing to make a layer of.
    #[error("the sandbox has no disk to make an image of")]
    NoChanges,
    /// A name for an image is malformed.
    #[error("{name:?} cannot name an image")]
    Name {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: NameError,
    },
    /// There is no such image.
    #[error("image {0} not found")]
    NotFound(String),
    /// The image is part of the server.
    #[error("image {0} is built in")]
    BuiltIn(String),
    /// The text starts the digests of several images.
    #[error("{0} is the start of several images' digests")]
    Ambiguous(String),
    /// A blocking thread of the store panicked.
    #[error("a thread of the image store failed")]
    Thread(#[source] tokio::task::JoinError),
}

/// Why an archive did not become an image.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The upload or its compression ended badly.
    #[error("the upload cannot be read")]
    Upload(#[source] io::Error),
    /// The body failed with the core's own error.
    #[error("the upload failed")]
    Body(#[source] Error),
    /// The compression is not one that is read.
    #[error(transparent)]
    Compression(CompressionError),
    /// The archive holds no image that can be taken.
    #[error(transparent)]
    Archive(ArchiveError),
    /// A layer was refused.
    #[error("layer {number}")]
    Layer {
        /// Which, the lowest being 1.
        number: usize,
        /// Why.
        #[source]
        error: LayerError,
    },
    /// A layer is not what its descriptor says.
    #[error("layer {number} has digest {found}, not {wanted}")]
    LayerDigest {
        /// Which, the lowest being 1.
        number: usize,
        /// What its stored bytes hash to.
        found: Digest,
        /// What the manifest says.
        wanted: Digest,
    },
    /// A layer is not what the configuration says.
    #[error("layer {number} has diff id {found}, not {wanted}")]
    DiffId {
        /// Which, the lowest being 1.
        number: usize,
        /// What its uncompressed bytes hash to.
        found: Digest,
        /// What the configuration says.
        wanted: Digest,
    },
    /// The manifest and the configuration do not describe the same layers.
    #[error("the manifest lists {listed} layers and the configuration describes {described}")]
    LayerCount {
        /// In the manifest.
        listed: usize,
        /// In the configuration.
        described: usize,
    },
    /// A root file system without an end marker.
    #[error("the archive has no end marker: it is cut short")]
    EndMissing,
    /// A limit was reached.
    #[error(transparent)]
    Exceeded(Exceeded),
    /// The tree could not be begun or flushed.
    #[error("the tree cannot be written")]
    Tree(#[source] TreeError),
}

impl ImagesError {
    /// For `map_err` on a file operation of the store.
    pub(crate) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> ImagesError {
        let path = path.into();
        move |source| ImagesError::Disk { action, path, source }
    }

    /// A failure of the registry of `image`.
    pub(crate) fn registry(image: &ImageReference, source: RegistryError) -> ImagesError {
        ImagesError::Registry { image: image.to_string(), source: Box::new(source) }
    }
}

impl From<ImagesError> for Error {
    /// The one place where this crate's failures take the core's words.
    fn from(error: ImagesError) -> Error {
        match error {
            ImagesError::NotFound(name) => Error::not_found(Kind::Image, name),
            ImagesError::BuiltIn(_) | ImagesError::Ambiguous(_) | ImagesError::Name { .. } => {
                Error::invalid("image", sentence(&error))
            }
            ImagesError::Host(reason) => Error::Unsupported { what: sentence(&reason) },
            ImagesError::Import(ImportError::Body(error)) => error,
            ImagesError::OfHost | ImagesError::NoChanges => Error::Unsupported { what: sentence(&error) },
            ImagesError::Changes(ChangesError::Exceeded(exceeded)) => limit_of(exceeded),
            ImagesError::Context(ContextError::Exceeded(exceeded)) => limit_of(exceeded),
            ImagesError::Context(
                ContextError::Tree(TreeError::Call { .. })
                | ContextError::Entry { problem: ContextProblem::Tree(TreeError::Call { .. }), .. },
            ) => storage(error),
            ImagesError::Context(_) => Error::invalid("context", sentence(&error)),
            ImagesError::Copy(CopyError::Exceeded(exceeded)) => limit_of(exceeded),
            ImagesError::Copy(CopyError::Read(_) | CopyError::Write(_)) => storage(error),
            ImagesError::Copy(_) | ImagesError::NoContext => Error::invalid("dockerfile", sentence(&error)),
            ImagesError::Changes(ChangesError::Entry {
                problem: EntryProblem::Name(_) | EntryProblem::Marker,
                ..
            }) => Error::invalid("sandbox", sentence(&error)),
            ImagesError::Registry { image, source } => source.into_core(&image),
            ImagesError::Import(import) => match import.fault() {
                Fault::Archive => Error::invalid("image", sentence(&import)),
                Fault::Limit(limit) => Error::LimitReached(limit),
                Fault::Store => storage(ImagesError::Import(import)),
            },
            ImagesError::Disk { .. }
            | ImagesError::Busy(_)
            | ImagesError::Record { .. }
            | ImagesError::Configuration { .. }
            | ImagesError::HostTree(_)
            | ImagesError::Changes(_)
            | ImagesError::Client(_)
            | ImagesError::Look(_)
            | ImagesError::Thread(_) => storage(error),
        }
    }
}

/// Whose fault a failed import is.
enum Fault {
    Archive,
    Limit(Limit),
    Store,
}

impl ImportError {
    fn fault(&self) -> Fault {
        match self {
            ImportError::Exceeded(exceeded) => exceeded_fault(*exceeded),
            ImportError::Layer { error, .. } => match error {
                LayerError::Exceeded(exceeded) => exceeded_fault(*exceeded),
                LayerError::Entry { error: EntryError::Tree(tree), .. } | LayerError::Tree(tree) => {
                    tree_fault(tree)
                }
                LayerError::Entry { .. } | LayerError::Tar(_) => Fault::Archive,
            },
            ImportError::Archive(ArchiveError::Spool(_)) | ImportError::Tree(_) => Fault::Store,
            ImportError::Upload(_)
            | ImportError::Body(_)
            | ImportError::Compression(_)
            | ImportError::Archive(_)
            | ImportError::LayerDigest { .. }
            | ImportError::DiffId { .. }
            | ImportError::LayerCount { .. }
            | ImportError::EndMissing => Fault::Archive,
        }
    }
}

fn exceeded_fault(exceeded: Exceeded) -> Fault {
    Fault::Limit(if matches!(exceeded, Exceeded::Disk(_)) { Limit::HostDisk } else { Limit::ImageSize })
}

fn limit_of(exceeded: Exceeded) -> Error {
    match exceeded_fault(exceeded) {
        Fault::Limit(limit) => Error::LimitReached(limit),
        Fault::Archive | Fault::Store => Error::internal(ImportError::Exceeded(exceeded)),
    }
}

fn tree_fault(error: &TreeError) -> Fault {
    if matches!(error, TreeError::Call { .. }) { Fault::Store } else { Fault::Archive }
}

/// A failure of the host: a full disk by its name, anything else as a defect.
fn storage(error: ImagesError) -> Error {
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return Error::LimitReached(Limit::HostDisk);
        }
        next = cause.source();
    }
    Error::internal(error)
}

/// An error with its causes, for a caller who sent the archive and can do something about each of them.
pub(crate) fn sentence(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
