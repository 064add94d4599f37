//! Which addresses everything has: one number a sandbox, from which all the rest follows.
//!
//! ```text
//!   range      +0  unused   +1  the gateway   +16 ...  sandboxes, by slot   last 256  pairs of uplinks
//!   seen by        nobody       all sandboxes          one sandbox each     this host and one gateway
//! ```
//!
//! Sandboxes of two servers may have the same addresses, because each server's are behind a gateway of its own. An
//! uplink's pair is seen in the host's namespace, so every server takes one that is free there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use lazaret_core::ports::SandboxAddresses;
use serde::{Deserialize, Serialize};

use super::NetworkConfig;
use crate::error::Error;

/// The gateway's place in the ranges.
const GATEWAY: u32 = 1;

/// Where sandboxes begin; what is before is the gateway's, and room.
const FIRST_SLOT: u32 = 16;

/// Addresses at the end of the IPv4 range that uplinks take theirs from, two each.
const UPLINK_ADDRESSES: u32 = 256;

/// Uplinks that one range has pairs for: servers on one host with the same range.
pub(super) const UPLINKS: u32 = UPLINK_ADDRESSES / 2;

/// Where the uplinks' addresses begin in the IPv6 range, far behind every sandbox.
const UPLINKS_V6: u128 = 0xffff_0000;

/// Most sandboxes with a network on one server, however large the range: more than there are id ranges for.
const SLOTS_MAX: u32 = 16_384;

/// A sandbox's number in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Name of the gateway's end of the sandbox's cable. The other end is `eth0`.
    pub(crate) fn interface(self) -> String {
        format!("s{}", self.0)
    }

    /// Index of that end in the gateway's namespace: the lowest ones are loopback's and the uplink's.
    pub(super) fn interface_index(self) -> u32 {
        FIRST_SLOT + self.0
    }
}

/// The two ends of the cable between host and gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UplinkAddresses {
    pub(super) host_v4: Ipv4Addr,
    pub(super) gateway_v4: Ipv4Addr,
    pub(super) host_v6: Ipv6Addr,
    pub(super) gateway_v6: Ipv6Addr,
}

impl NetworkConfig {
    /// The gateway, as sandboxes see it.
    pub(crate) fn gateway_v4(&self) -> Ipv4Addr {
        self.v4(GATEWAY)
    }

    /// The same over IPv6.
    pub(crate) fn gateway_v6(&self) -> Ipv6Addr {
        self.v6(GATEWAY.into())
    }

    /// What a sandbox sends from, on a host that has IPv6.
    pub(crate) fn sandbox(&self, slot: Slot) -> (Ipv4Addr, Ipv6Addr) {
        let place = FIRST_SLOT + slot.0;
        (self.v4(place), self.v6(place.into()))
    }

    /// The uplink pair of this number, below [`UPLINKS`].
    pub(super) fn uplink(&self, number: u32) -> UplinkAddresses {
        let end = u32::try_from(1_u64 << (32 - self.range_v4.prefix_len())).unwrap_or(u32::MAX);
        let place = end - UPLINK_ADDRESSES + 2 * number;
        let place_v6 = UPLINKS_V6 + u128::from(2 * number);
        UplinkAddresses {
            host_v4: self.v4(place),
            gateway_v4: self.v4(place + 1),
            host_v6: self.v6(place_v6),
            gateway_v6: self.v6(place_v6 + 1),
        }
    }

    fn slots(&self) -> u32 {
        let addresses = 1_u64 << (32 - self.range_v4.prefix_len());
        let room = addresses - u64::from(FIRST_SLOT + UPLINK_ADDRESSES);
        u32::try_from(room).unwrap_or(SLOTS_MAX).min(SLOTS_MAX)
    }

    fn v4(&self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.range_v4.network().to_bits() + place)
    }

    fn v6(&self, place: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.range_v6.network().to_bits() + place)
    }
}

/// The addresses of a slot, for the core.
pub(crate) fn addresses(config: &NetworkConfig, slot: Slot, has_v6: bool) -> SandboxAddresses {
    let (v4, v6) = config.sandbox(slot);
    SandboxAddresses { v4, v6: has_v6.then_some(v6) }
}

/// Which slots are in use.
#[derive(Debug)]
pub(crate) struct Slots {
    count: u32,
    used: BTreeSet<Slot>,
    /// Where to look first: behind the slot given last. The kernel takes a dead sandbox's cable apart some time after its
    /// end, and until then its slot cannot be used again.
    next: u32,
}

impl Slots {
    pub(crate) fn new(config: &NetworkConfig) -> Self {
        Self { count: config.slots(), used: BTreeSet::new(), next: 0 }
    }

    /// A slot that nobody uses.
    ///
    /// # Errors
    /// [`Error::NoAddress`] if there is none.
    pub(crate) fn take(&mut self) -> Result<Slot, Error> {
        let mut places = (0..self.count).map(|step| Slot((self.next + step) % self.count));
        let slot = places.find(|slot| !self.used.contains(slot)).ok_or(Error::NoAddress)?;
        self.used.insert(slot);
        self.next = (slot.0 + 1) % self.count;
        Ok(slot)
    }

    /// Marks a slot that a sandbox of an earlier server uses.
    pub(crate) fn mark(&mut self, slot: Slot) {
        self.used.insert(slot);
        self.next = self.next.max((slot.0 + 1) % self.count);
    }

    /// Gives a slot back.
    pub(crate) fn free(&mut self, slot: Slot) {
        self.used.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_sandboxes_and_uplinks_share_no_address_even_in_the_smallest_range() {
        for range in ["100.96.0.0/16", "10.9.0.0/20", "0.0.0.0/0"] {
            let config = NetworkConfig { range_v4: range.parse().unwrap(), ..NetworkConfig::default() };
            let last = config.sandbox(Slot(config.slots() - 1));
            let first_uplink = config.uplink(0);
            let last_uplink = config.uplink(UPLINKS - 1);
            assert!(config.gateway_v4() < config.sandbox(Slot(0)).0);
            assert!(last.0 < first_uplink.host_v4, "{range}: {last:?}");
            assert!(last.1 < first_uplink.host_v6);
            assert!(first_uplink.gateway_v4 < last_uplink.host_v4);
            assert!(config.range_v4.contains(&last_uplink.gateway_v4));
            assert!(config.range_v6.contains(&last_uplink.gateway_v6));
        }
    }

    #[test]
    fn a_slot_rests_before_it_is_given_again_and_adopted_ones_are_left_alone() {
        let config = NetworkConfig { range_v4: "10.9.0.0/20".parse().unwrap(), ..NetworkConfig::default() };
        let mut slots = Slots::new(&config);
        slots.mark(Slot(7));
        assert_eq!(slots.take().unwrap(), Slot(8));
        slots.free(Slot(8));
        assert_eq!(slots.take().unwrap(), Slot(9));
        let count = slots.count - 2;
        for _ in 0..count {
            slots.take().unwrap();
        }
        assert!(matches!(slots.take(), Err(Error::NoAddress)));
    }
}
