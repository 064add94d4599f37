//! Where a redirected connection was meant to go.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// Tells the destination that a connection had before it was redirected. A trait, so that a test needs no firewall.
pub trait OriginalDestination: Send + Sync {
    /// The address and port that the sandbox connected to.
    ///
    /// # Errors
    /// For a connection that was not redirected.
    fn of(&self, stream: &TcpStream) -> io::Result<SocketAddr>;
}

/// Asks the kernel's connection tracking.
#[derive(Debug, Clone, Copy, Default)]
pub struct Redirected;

impl OriginalDestination for Redirected {
    fn of(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        let local = stream.local_addr()?;
        let original = match local {
            SocketAddr::V4(_) => SocketAddr::V4(sockopt::ip_original_dst(stream)?),
            // A socket for both kinds shows an IPv4 connection as mapped; the kernel keeps it under IPv4.
            SocketAddr::V6(mapped) if mapped.ip().to_ipv4_mapped().is_some() => {
                SocketAddr::V4(sockopt::ip_original_dst(stream)?)
            }
            SocketAddr::V6(_) => SocketAddr::V6(sockopt::ipv6_original_dst(stream)?),
        };
        if original == local {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "connected to the proxy itself"));
        }
        Ok(original)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_nobody_redirected_has_no_destination() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let error = Redirected.of(&stream).unwrap_err();
        let known = [io::ErrorKind::InvalidInput, io::ErrorKind::NotFound];
        // Without connection tracking in the kernel there is no such option at all.
        assert!(known.contains(&error.kind()) || error.raw_os_error() == Some(92), "{error}");
    }
}
