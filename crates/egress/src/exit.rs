//! The way out: connections from this host, to addresses that may be reached from here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use async_trait::async_trait;
use lazaret_core::EgressBounds;
use tokio::net::TcpStream;

/// How connections leave. A trait, so that a test can have an Internet of its own.
#[async_trait]
pub trait Exit: Send + Sync {
    /// Whether `address` belongs to this host itself.
    fn is_own(&self, address: IpAddr) -> bool;

    /// Connects to `to`; the caller sees to the time that it takes.
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream>;
}

/// The network of the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostExit;

#[async_trait]
impl Exit for HostExit {
    fn is_own(&self, address: IpAddr) -> bool {
        routes_to_itself(address).unwrap_or(false)
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Whether the kernel would send to `address` from that very address, which it does for addresses of the host alone.
/// Connecting a datagram socket sends nothing. Without a route there is no connection either, and so no harm.
fn routes_to_itself(address: IpAddr) -> io::Result<bool> {
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Any port will do; that of the discard service is nobody's.
    socket.connect((address, 9))?;
    Ok(socket.local_addr()?.ip() == address)
}

/// Whether connections for a sandbox may go to `address`: public and not this host's, or opened by the operator.
pub(crate) fn may_reach(exit: &dyn Exit, bounds: &EgressBounds, address: IpAddr) -> bool {
    let opened = bounds.opened.iter().any(|cidr| cidr.contains(address));
    opened || (bounds.opens(address) && !exit.is_own(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_host_is_known_as_its_own() {
        assert!(routes_to_itself("127.0.0.1".parse().unwrap()).unwrap());
        assert!(!routes_to_itself("192.0.2.1".parse().unwrap()).unwrap_or(false));
    }

    #[test]
    fn this_host_is_reached_only_if_the_operator_says_so() {
        let bounds = EgressBounds { domains: None, opened: vec!["127.0.0.1".parse().unwrap()] };
        assert!(may_reach(&HostExit, &bounds, "127.0.0.1".parse().unwrap()));
        assert!(!may_reach(&HostExit, &bounds, "127.0.0.2".parse().unwrap()));
        assert!(!may_reach(&HostExit, &EgressBounds::default(), "127.0.0.1".parse().unwrap()));
    }
}
