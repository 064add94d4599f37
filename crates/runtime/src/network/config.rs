//! What an operator may set about networks.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Longest prefixes of the ranges: room for what [`mod@super::addresses`] divides them into.
const PREFIX_V4_MAX: u8 = 20;
const PREFIX_V6_MAX: u8 = 64;

/// The network of a server's sandboxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// What sandboxes and their gateway get their IPv4 addresses from. All but one pair of it is seen inside sandboxes
    /// and their gateway alone, so it may be another server's range as well.
    pub range_v4: Ipv4Net,
    /// The same for IPv6.
    pub range_v6: Ipv6Net,
    /// Networks that are not public and that a policy may reach all the same.
    pub opened: Vec<IpNet>,
}

/// A part of what is meant for carriers' own networks (RFC 6598), and a ULA prefix.
impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            range_v4: Ipv4Net::new_assert([100, 96, 0, 0].into(), 16),
            range_v6: Ipv6Net::new_assert([0xfd6c, 0x617a, 0x6172, 0, 0, 0, 0, 0].into(), 48),
            opened: Vec::new(),
        }
    }
}

impl NetworkConfig {
    /// Succeeds if the ranges are large enough and begin at their prefix.
    ///
    /// # Errors
    /// What is wrong, in words, beginning with the key.
    pub fn check(&self) -> Result<(), String> {
        if self.range_v4.prefix_len() > PREFIX_V4_MAX {
            return Err(format!(
                "range: {} is too small; it needs a prefix of at most {PREFIX_V4_MAX}",
                self.range_v4
            ));
        }
        if self.range_v6.prefix_len() > PREFIX_V6_MAX {
            return Err(format!(
                "range_v6: {} is too small; it needs a prefix of at most {PREFIX_V6_MAX}",
                self.range_v6
            ));
        }
        if self.range_v4.trunc() != self.range_v4 {
            return Err(format!(
                "range: {} is an address within a network; write {}",
                self.range_v4,
                self.range_v4.trunc()
            ));
        }
        if self.range_v6.trunc() != self.range_v6 {
            return Err(format!(
                "range_v6: {} is an address within a network; write {}",
                self.range_v6,
                self.range_v6.trunc()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_too_small_or_begin_in_their_middle_are_refused_by_key() {
        assert_eq!(NetworkConfig::default().check(), Ok(()));
        let with = |v4: &str, v6: &str| {
            let (range_v4, range_v6) = (v4.parse().unwrap(), v6.parse().unwrap());
            NetworkConfig { range_v4, range_v6, ..NetworkConfig::default() }.check().unwrap_err()
        };
        assert!(with("10.0.0.0/24", "fd00::/48").starts_with("range: 10.0.0.0/24 is too small"));
        assert!(with("10.0.0.1/16", "fd00::/48").ends_with("write 10.0.0.0/16"));
        assert!(with("10.0.0.0/16", "fd00::/96").starts_with("range_v6: fd00::/96 is too small"));
        assert!(with("10.0.0.0/16", "fd00::1/48").ends_with("write fd00::/48"));
    }
}
