//! The sockets in the gateway's namespace that the server answers at, made by the spawner and handed over.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The sockets of one family. Only sandboxes reach them.
#[derive(Debug)]
pub struct FamilySockets {
    /// Port 53: every DNS query of a networked sandbox, whatever address it was sent to.
    pub dns_udp: UdpSocket,
    /// The same over TCP.
    pub dns_tcp: TcpListener,
    /// Every other TCP connection of a sandbox with an allow-list, unless its destination lies in one of the list's
    /// networks. Where it was to go is what `SO_ORIGINAL_DST` says.
    pub proxy_tcp: TcpListener,
}

/// The gateway's sockets. They stay the same for the server's life, also when the spawner has to be started anew.
#[derive(Debug)]
pub struct GatewaySockets {
    /// Over IPv4.
    pub v4: FamilySockets,
    /// Over IPv6; `None` where the host has none.
    pub v6: Option<FamilySockets>,
}

/// Descriptors of one family in a message.
const FAMILY: usize = 3;

impl FamilySockets {
    fn from_descriptors(descriptors: &mut impl Iterator<Item = OwnedFd>) -> Option<Self> {
        Some(Self {
            dns_udp: descriptors.next()?.into(),
            dns_tcp: descriptors.next()?.into(),
            proxy_tcp: descriptors.next()?.into(),
        })
    }

    fn descriptors(&self) -> [BorrowedFd<'_>; FAMILY] {
        [self.dns_udp.as_fd(), self.dns_tcp.as_fd(), self.proxy_tcp.as_fd()]
    }
}

impl GatewaySockets {
    /// From the descriptors of a message; `None` unless there are exactly those of one family or two.
    pub(crate) fn from_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let count = descriptors.len();
        let mut descriptors = descriptors.into_iter();
        let v4 = FamilySockets::from_descriptors(&mut descriptors)?;
        let v6 = FamilySockets::from_descriptors(&mut descriptors);
        let whole = count == FAMILY + if v6.is_some() { FAMILY } else { 0 };
        whole.then_some(Self { v4, v6 })
    }

    /// For a message, in the order of [`GatewaySockets::from_descriptors`].
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let v6 = self.v6.iter().flat_map(FamilySockets::descriptors);
        self.v4.descriptors().into_iter().chain(v6).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> FamilySockets {
        FamilySockets {
            dns_udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            dns_tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            proxy_tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    #[test]
    fn sockets_come_out_of_a_message_in_the_order_they_went_in_and_a_part_of_them_is_refused() {
        let sockets = GatewaySockets { v4: family(), v6: Some(family()) };
        let copies = || sockets.descriptors().iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
        let mut taken: Vec<OwnedFd> = copies();
        let again = GatewaySockets::from_descriptors(copies()).unwrap();
        let (sent, got) = (&sockets.v6.as_ref().unwrap().proxy_tcp, &again.v6.as_ref().unwrap().proxy_tcp);
        assert_eq!(sent.local_addr().unwrap(), got.local_addr().unwrap());
        assert_eq!(sockets.v4.dns_udp.local_addr().unwrap(), again.v4.dns_udp.local_addr().unwrap());
        taken.pop();
        assert!(GatewaySockets::from_descriptors(taken).is_none());
        assert!(GatewaySockets::from_descriptors(Vec::new()).is_none());
    }
}
