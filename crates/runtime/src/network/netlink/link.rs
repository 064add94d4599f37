//! Messages of rtnetlink: cables, addresses, routes.
//!
//! Every cable is a veth pair without ARP and ND: both ends have the same hardware address, which is what the kernel
//! puts on a packet for a device without ARP. So there is no neighbour to ask for, to claim to be, or to overload.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::Message;

/// The hardware address of both ends of every cable: a locally administered one.
const HARDWARE_ADDRESS: [u8; 6] = [0x02, 0x6c, 0x61, 0x7a, 0x00, 0x01];

/// Attributes within `IFLA_LINKINFO` (linux/if_link.h).
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;

/// The one attribute of a veth pair: its other end (linux/veth.h).
const VETH_PEER: u16 = 1;

/// Within `IFLA_AF_SPEC` and its part for IPv6: no address is made up for the link (linux/if_link.h).
const INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// An IPv6 address that is not looked for on the link first (`IFA_F_NODAD`, linux/if_addr.h).
const ADDRESS_NO_DAD: u8 = 2;

/// Flags for something that must not be there yet.
const NEW: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// One end of a cable.
pub(crate) struct End<'a> {
    pub(crate) name: &'a str,
    /// The number it is to have; `None` for any, which the kernel knows for the far end alone.
    pub(crate) index: Option<u32>,
    /// The namespace that it goes to; `None` for the socket's own.
    pub(crate) namespace: Option<BorrowedFd<'a>>,
}

/// A cable. Its ends are down.
pub(crate) fn new_cable(near: &End<'_>, far: &End<'_>) -> Message {
    let message = Message::new(libc::RTM_NEWLINK, NEW, &link_part(near.index, false));
    end(message, near).with_nest(libc::IFLA_LINKINFO, |info| {
        info.with_text(INFO_KIND, "veth").with_nest(INFO_DATA, |data| {
            data.with_nest(VETH_PEER, |peer| end(peer.with_fixed(&link_part(far.index, false)), far))
        })
    })
}

fn end(message: Message, end: &End<'_>) -> Message {
    let message = message.with_text(libc::IFLA_IFNAME, end.name).with(libc::IFLA_ADDRESS, &HARDWARE_ADDRESS);
    match end.namespace {
        Some(namespace) => message.with(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes()),
        None => message,
    }
}

/// Keeps the kernel from making up a link-local address for a link that is down.
pub(crate) fn without_link_local(index: u32) -> Message {
    Message::new(libc::RTM_NEWLINK, 0, &link_part(Some(index), false)).with_nest(
        libc::IFLA_AF_SPEC,
        |families| {
            let family = u16::try_from(libc::AF_INET6).unwrap_or_default();
            families.with_nest(family, |family| family.with(INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]))
        },
    )
}

/// Brings a link up. Any but loopback is without ARP from then on.
pub(crate) fn up(index: u32) -> Message {
    Message::new(libc::RTM_NEWLINK, 0, &link_part(Some(index), true))
}

/// Removes a link, and with it the other end of a cable.
pub(crate) fn remove(name: &str) -> Message {
    Message::new(libc::RTM_DELLINK, 0, &link_part(None, false)).with_text(libc::IFLA_IFNAME, name)
}

/// `struct ifinfomsg`: family, type, index, flags, and which flags are meant.
fn link_part(index: Option<u32>, up: bool) -> Vec<u8> {
    let flags = if up { (libc::IFF_UP | libc::IFF_NOARP).cast_unsigned() } else { 0 };
    let mut part = vec![0; 4];
    part.extend_from_slice(&index.unwrap_or(0).to_ne_bytes());
    part.extend_from_slice(&flags.to_ne_bytes());
    part.extend_from_slice(&flags.to_ne_bytes());
    part
}

/// Gives a link an address, and no network around it.
pub(crate) fn add_address(index: u32, address: IpAddr) -> Message {
    let (family, bytes) = parts(address);
    // Usable at once: nobody on the cable could have it too.
    let flags = if address.is_ipv6() { ADDRESS_NO_DAD } else { 0 };
    // `struct ifaddrmsg`: family, prefix, flags, scope (global), index.
    let mut part = vec![family, prefix(address), flags, libc::RT_SCOPE_UNIVERSE];
    part.extend_from_slice(&index.to_ne_bytes());
    Message::new(libc::RTM_NEWADDR, NEW, &part).with(libc::IFA_LOCAL, &bytes).with(libc::IFA_ADDRESS, &bytes)
}

/// Sends what is for `destination` out of a link.
pub(crate) fn add_route(index: u32, destination: IpAddr) -> Message {
    let (_, bytes) = parts(destination);
    route(index, destination, prefix(destination)).with(libc::RTA_DST, &bytes)
}

/// Sends everything of the family of `source` out of a link, from that address.
pub(crate) fn add_default_route(index: u32, source: IpAddr) -> Message {
    let (_, bytes) = parts(source);
    route(index, source, 0).with(libc::RTA_PREFSRC, &bytes)
}

fn route(index: u32, family_of: IpAddr, prefix: u8) -> Message {
    let (family, _) = parts(family_of);
    // `struct rtmsg`: family, prefixes of destination and source, TOS, table, who made it, scope, type, flags.
    let scope = if family_of.is_ipv4() { libc::RT_SCOPE_LINK } else { libc::RT_SCOPE_UNIVERSE };
    let mut part =
        vec![family, prefix, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, scope, libc::RTN_UNICAST];
    part.extend_from_slice(&0_u32.to_ne_bytes());
    Message::new(libc::RTM_NEWROUTE, NEW, &part).with(libc::RTA_OIF, &index.to_ne_bytes())
}

fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    (u8::try_from(family).unwrap_or_default(), bytes)
}

fn prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
