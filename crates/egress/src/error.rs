//! Why the gateway does not come up.

use std::io;

use lazaret_core::Error;

/// A gateway that could not be started.
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
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        Self::internal(error)
    }
}
