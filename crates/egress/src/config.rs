//! What the gateway is made of: the operator's bounds, and sockets that someone else opened.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

use lazaret_core::EgressBounds;

/// Settings.
#[derive(Debug, Clone, Default)]
pub struct EgressConfig {
    /// What any sandbox may be given; asked again at every name and address.
    pub bounds: EgressBounds,
    /// The name servers to ask; those of `/etc/resolv.conf` if empty.
    pub upstream_dns: Vec<SocketAddr>,
    /// Files of certificates (PEM) that are trusted beyond the host's own, for hosts that get secrets.
    pub trusted: Vec<PathBuf>,
}

/// Sockets that the traffic of sandboxes arrives at, for IPv4 and IPv6. They may belong to another network namespace.
///
/// An answer leaves a UDP socket with the address that the kernel chooses for the way back, so each must be bound such
/// that this is the address that the packet level redirected to.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Queries by UDP.
    pub dns_udp: Vec<UdpSocket>,
    /// Queries by TCP.
    pub dns_tcp: Vec<TcpListener>,
    /// Connections to anywhere, redirected.
    pub proxy_tcp: Vec<TcpListener>,
}
