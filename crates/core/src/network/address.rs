//! Networks of a policy, and which addresses are public.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 networks that are no one's on the public Internet: the special-purpose registry of IANA (RFC 6890), multicast,
/// and the one address outside it at which a cloud (Azure) answers its machines with their secrets.
pub const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// The IPv6 addresses that are given out for public use (RFC 4291). Whatever lies outside is loopback, link-local,
/// unique-local, multicast, mapped, translated or unassigned.
pub const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// The parts of [`PUBLIC_V6`] that are special all the same: protocol assignments with Teredo, documentation, and 6to4,
/// which carries an IPv4 address of anyone's choice.
pub const SPECIAL_V6: [Ipv6Net; 4] =
    [v6([0x2001, 0, 0], 23), v6([0x2001, 0xdb8, 0], 32), v6([0x2002, 0, 0], 16), v6([0x3fff, 0, 0], 20)];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), prefix)
}

/// Whether `address` belongs to the public Internet. IPv4 in IPv6's clothes never does: nobody is reached that way.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

/// A network: an address whose bits after the prefix are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// Not an address, with or without a prefix length.
    #[error("is not a network such as 192.0.2.0/24 or 2001:db8::/32")]
    Malformed,
    /// The prefix is longer than the address.
    #[error("has a prefix length over {max}")]
    PrefixTooLong {
        /// Bits of an address of this kind.
        max: u8,
    },
    /// The address is not the first of its network, so that it is not clear which was meant.
    #[error("has bits after its prefix; the network is {network}")]
    HostBits {
        /// The network that the address lies in.
        network: Cidr,
    },
    /// IPv4 written as IPv6.
    #[error("is an IPv4 network in IPv6 form; write it as IPv4")]
    Mapped,
}

impl Cidr {
    /// Whether the network has this address.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the network has all of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// Length of the prefix, in bits.
    pub fn prefix(self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether every address of it is public.
    pub fn is_public(self) -> bool {
        let touches = |net: IpNet| net.contains(&self.0) || self.0.contains(&net);
        match self.0 {
            IpNet::V4(_) => !SPECIAL_V4.iter().any(|net| touches((*net).into())),
            IpNet::V6(_) => {
                IpNet::from(PUBLIC_V6).contains(&self.0)
                    && !SPECIAL_V6.iter().any(|net| touches((*net).into()))
            }
        }
    }
}

impl From<Cidr> for IpNet {
    fn from(cidr: Cidr) -> Self {
        cidr.0
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    /// Reads `address/prefix`, or an address alone for a network of one. The address is in its usual notation: an octal,
    /// hexadecimal or shortened one is not taken.
    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidCidr::Malformed)?;
        if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
            return Err(InvalidCidr::Mapped);
        }
        let max: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidCidr::PrefixTooLong { max })?
            }
            Some(_) => return Err(InvalidCidr::Malformed),
        };
        let net = IpNet::new(address, prefix).map_err(|_| InvalidCidr::PrefixTooLong { max })?;
        if net.addr() == net.network() {
            Ok(Self(net))
        } else {
            Err(InvalidCidr::HostBits { network: Self(net.trunc()) })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_is_what_a_stranger_on_the_internet_could_have() {
        for public in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "223.255.255.254", "2606:4700::1111"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "2001::1",
            "2001:db8::1",
            "2002:808:808::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn a_network_is_public_if_all_of_it_is() {
        for (text, public) in [
            ("8.8.8.0/24", true),
            ("1.1.1.1", true),
            ("0.0.0.0/0", false),
            ("8.0.0.0/5", false),
            ("10.1.0.0/16", false),
            ("2606:4700::/32", true),
            ("2000::/3", false),
            ("::/0", false),
            ("fd00::/8", false),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().is_public(), public, "{text}");
        }
    }

    #[test]
    fn networks_are_taken_in_one_notation_and_refused_with_the_reason() {
        for (text, want) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("192.0.2.7", Ok("192.0.2.7/32")),
            ("2001:DB8::/32", Ok("2001:db8::/32")),
            ("2001:db8::1", Ok("2001:db8::1/128")),
            ("192.0.2.1/24", Err("has bits after its prefix; the network is 192.0.2.0/24")),
            ("192.0.2.0/33", Err("has a prefix length over 32")),
            ("192.0.2.0/999", Err("has a prefix length over 32")),
            ("2001:db8::/129", Err("has a prefix length over 128")),
            ("::ffff:192.0.2.0/120", Err("is an IPv4 network in IPv6 form; write it as IPv4")),
            ("192.0.2.0/", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
            ("192.0.2.0/+8", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
            ("192.0.512", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
            ("0300.0.2.0/24", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
            ("0xC0000200/24", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
            ("example.com", Err("is not a network such as 192.0.2.0/24 or 2001:db8::/32")),
        ] {
            let got = text.parse::<Cidr>().map(|cidr| cidr.to_string()).map_err(|error| error.to_string());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
