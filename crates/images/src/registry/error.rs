//! Why a registry did not give what was asked of it.

use std::time::Duration;

use lazaret_core::{BoxError, Digest, Error, Kind, UpstreamProblem};

use crate::archive::ArchiveError;

/// A failure of a registry, a mirror, or what they sent.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The operator's settings do not let the server connect there.
    #[error("{host} {why}")]
    NotAllowed {
        /// The host.
        host: String,
        /// What keeps the server from asking it.
        why: &'static str,
    },
    /// No connection, or a broken one.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// The host.
        host: String,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// Nothing came for too long.
    #[error("{host} sent nothing for {} seconds", .after.as_secs_f32())]
    Stalled {
        /// The host.
        host: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The registry wants credentials, or others.
    #[error("{host} denies access")]
    Denied {
        /// The host.
        host: String,
    },
    /// The registry takes no more requests for now.
    #[error("{host} takes no more requests for now")]
    Throttled {
        /// The host.
        host: String,
        /// When it will again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The registry answered with an error.
    #[error("{host} answered with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The registry has no such image.
    #[error("{host} has no {what}")]
    NotFound {
        /// The host.
        host: String,
        /// The tag or digest in its repository.
        what: String,
    },
    /// The answer is not of the protocol.
    #[error("{host} sent {what}")]
    Malformed {
        /// The host.
        host: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A document is not one of an image that can be taken.
    #[error("{host} sent a document that cannot be used")]
    Document {
        /// The host.
        host: String,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// A blob is not what its digest says.
    #[error("{host} sent {wanted} with the digest {found}")]
    Digest {
        /// The host.
        host: String,
        /// What the manifest says.
        wanted: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
    /// A blob has another length than announced.
    #[error("{host} sent {found} bytes of {digest}, which has {wanted}")]
    Length {
        /// The host.
        host: String,
        /// Which blob.
        digest: Digest,
        /// How many bytes came, or were going to.
        found: u64,
        /// How many the manifest says.
        wanted: u64,
    },
    /// A layer of the image is to be fetched from somewhere else.
    #[error("layer {0} is not in the registry: foreign layers are not fetched")]
    Foreign(String),
}

impl RegistryError {
    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            RegistryError::Unreachable { .. }
            | RegistryError::Stalled { .. }
            | RegistryError::Throttled { .. } => true,
            RegistryError::Status { status, .. } => matches!(status, 408 | 500 | 502 | 503 | 504),
            RegistryError::Length { found, wanted, .. } => found < wanted,
            _ => false,
        }
    }

    /// How long the other side asked to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            RegistryError::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Takes the core's words. `image` is what was pulled.
    pub(crate) fn into_core(self, image: &str) -> Error {
        let problem = match &self {
            RegistryError::NotFound { .. } => return Error::not_found(Kind::Image, image),
            RegistryError::Document { .. } | RegistryError::Foreign(_) => {
                return Error::invalid("image", crate::error::sentence(&self));
            }
            RegistryError::NotAllowed { .. } => UpstreamProblem::NotAllowed,
            RegistryError::Unreachable { .. } => UpstreamProblem::Unreachable,
            RegistryError::Stalled { .. } => UpstreamProblem::Stalled,
            RegistryError::Denied { .. } => UpstreamProblem::Denied,
            RegistryError::Throttled { .. } => UpstreamProblem::Throttled,
            RegistryError::Status { .. } => UpstreamProblem::Failing,
            RegistryError::Malformed { .. } => UpstreamProblem::Malformed,
            RegistryError::Digest { .. } | RegistryError::Length { .. } => UpstreamProblem::Corrupt,
        };
        Error::Upstream {
            what: format!("pulling {image}: {self}: the registry"),
            problem,
            retry_after: self.retry_after(),
            source: Box::new(self),
        }
    }
}
