//! To a name: resolve it, leave out what may not be reached, try the rest.

use std::io;
use std::net::{IpAddr, SocketAddr};

use lazaret_core::DomainName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Proxy;
use crate::exit;
use crate::limits;
use crate::resolve::Unresolved;

/// Why a name was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// It has no address.
    #[error("the name does not resolve")]
    Unresolved(#[from] Unresolved),
    /// It has none that may be reached.
    #[error("the name has no public address")]
    Private,
    /// None of them answered.
    #[error("no address of the name answers")]
    Unreachable(#[source] io::Error),
}

impl Proxy {
    /// Connects to a name, first by addresses of the kind of `like`.
    pub(super) async fn dial(
        &self,
        name: &DomainName,
        port: u16,
        like: IpAddr,
    ) -> Result<TcpStream, DialError> {
        let mut addresses = self.servers.addresses(name, like).await?;
        addresses.retain(|address| exit::may_reach(&*self.exit, &self.court.bounds, *address));
        let mut last = DialError::Private;
        for address in addresses.into_iter().take(limits::DIAL_ATTEMPTS) {
            match self.dial_address(SocketAddr::new(address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = DialError::Unreachable(error),
            }
        }
        Err(last)
    }

    /// Connects to an address, which the caller has judged.
    pub(super) async fn dial_address(&self, to: SocketAddr) -> io::Result<TcpStream> {
        timeout(limits::DIAL_TIMEOUT, self.exit.connect(to)).await?
    }
}
