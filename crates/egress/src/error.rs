//! Why the gateway does not come up, or has no certificate for a sandbox.

use std::io;
use std::path::PathBuf;

use lazaret_core::Error;

/// A failure of the gateway itself.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// A socket that was handed over cannot be used.
    #[error("taking over the gateway's {socket} socket")]
    Socket {
        /// Which.
        socket: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The resolver does not take its configuration.
    #[error("starting the resolver")]
    Resolver(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A key or certificate of an authority cannot be made or read.
    #[error("making a certificate")]
    Certificate(#[source] rcgen::Error),
    /// TLS does not take its settings.
    #[error("preparing TLS")]
    Tls(#[source] rustls::Error),
    /// A file of trusted certificates holds none.
    #[error("reading the trusted certificates in {}", file.display())]
    TrustedFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        Self::internal(error)
    }
}
