//! Why the content store could not do something, and how that reads at the port.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use lazaret_core::{Digest, Kind, Limit};

use crate::host::HostError;
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
    /// The host cannot serve as an image.
    #[error("the host image cannot be made")]
    Host(#[from] HostError),
    /// The `host` image could not be written.
    #[error("the host image cannot be written")]
    HostTree(#[from] TreeError),
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

impl ImagesError {
    /// For `map_err` on a file operation of the store.
    pub(crate) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> ImagesError {
        let path = path.into();
        move |source| ImagesError::Disk { action, path, source }
    }
}

impl From<ImagesError> for lazaret_core::Error {
    /// The one place where this crate's failures take the core's words.
    fn from(error: ImagesError) -> lazaret_core::Error {
        if disk_is_full(&error) {
            return lazaret_core::Error::LimitReached(Limit::HostDisk);
        }
        match error {
            ImagesError::NotFound(name) => lazaret_core::Error::not_found(Kind::Image, name),
            ImagesError::BuiltIn(_) | ImagesError::Ambiguous(_) => {
                lazaret_core::Error::invalid("image", error.to_string())
            }
            ImagesError::Host(reason) => lazaret_core::Error::Unsupported { what: reason.to_string() },
            ImagesError::Disk { .. }
            | ImagesError::Busy(_)
            | ImagesError::Record { .. }
            | ImagesError::HostTree(_)
            | ImagesError::Thread(_) => lazaret_core::Error::internal(error),
        }
    }
}

/// Whether somewhere below this error the kernel said that there is no space.
fn disk_is_full(error: &ImagesError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The digest as an error names it when nothing else does.
impl From<Digest> for ImagesError {
    fn from(digest: Digest) -> ImagesError {
        ImagesError::NotFound(digest.to_string())
    }
}
