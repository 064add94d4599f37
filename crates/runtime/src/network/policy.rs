//! A policy at the packet level.

use std::net::IpAddr;

use ipnet::IpNet;
use lazaret_core::EgressPolicy;
use serde::{Deserialize, Serialize};

use super::NetworkConfig;
use super::addresses::Slot;
use super::netlink::filter::Element;
use super::ruleset::{NAMES, NETWORKS, PUBLIC};

/// What a sandbox's packets may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reach {
    /// Nothing: every packet is dropped.
    Nothing,
    /// The resolver, the proxy, and these networks. They do not overlap.
    Names { networks: Vec<IpNet> },
    /// The resolver, and public addresses.
    Public,
}

impl Reach {
    /// What a policy means for packets.
    pub(crate) fn of(policy: &EgressPolicy) -> Self {
        match policy {
            EgressPolicy::Disabled => Self::Nothing,
            EgressPolicy::Internet => Self::Public,
            EgressPolicy::Allowlist(list) => {
                let networks: Vec<IpNet> = list.cidrs().iter().map(|cidr| IpNet::from(*cidr)).collect();
                // The kernel takes no intervals that overlap.
                Self::Names { networks: IpNet::aggregate(&networks) }
            }
        }
    }

    /// The elements that let a sandbox's packets through.
    pub(super) fn elements(&self, config: &NetworkConfig, slot: Slot) -> Vec<Element> {
        let (v4, v6) = config.sandbox(slot);
        let interface = slot.interface();
        let own = |sets: [&'static str; 2]| {
            sets.into_iter().zip([IpAddr::V4(v4), IpAddr::V6(v6)]).map(|(set, first)| Element {
                set,
                interface: interface.clone(),
                first,
                last: None,
            })
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Public => own(PUBLIC).collect(),
            Self::Names { networks } => {
                let open = networks.iter().map(|network| Element {
                    set: if matches!(network, IpNet::V4(_)) { NETWORKS[0] } else { NETWORKS[1] },
                    interface: interface.clone(),
                    first: network.network(),
                    last: Some(network.broadcast()),
                });
                own(NAMES).chain(open).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lazaret_core::Allowlist;

    use super::*;

    fn allow(cidrs: &[&str]) -> EgressPolicy {
        EgressPolicy::Allowlist(Allowlist::parse(&[], cidrs).unwrap())
    }

    #[test]
    fn networks_that_overlap_or_touch_become_one() {
        let cidrs = ["1.2.3.4", "1.2.3.0/24", "1.2.2.0/24", "2606::5"];
        let Reach::Names { networks } = Reach::of(&allow(&cidrs)) else { panic!("an allow-list") };
        let mut texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
        texts.sort();
        assert_eq!(texts, ["1.2.2.0/23", "2606::5/128"]);
    }

    #[test]
    fn a_policy_of_nothing_has_no_elements_and_the_others_name_cable_and_address_together() {
        let config = NetworkConfig::default();
        let slot: Slot = serde_json::from_str("4").unwrap();
        assert_eq!(Reach::Nothing.elements(&config, slot), []);
        let elements = Reach::of(&allow(&["9.0.0.0/8"])).elements(&config, slot);
        let keys: Vec<(&str, &str, String)> = elements
            .iter()
            .map(|element| (element.set, element.interface.as_str(), element.first.to_string()))
            .collect();
        assert_eq!(
            keys,
            [
                ("names4", "s4", "100.96.0.20".to_owned()),
                ("names6", "s4", "fd6c:617a:6172::14".to_owned()),
                ("networks4", "s4", "9.0.0.0".to_owned()),
            ]
        );
        assert_eq!(elements[2].last, Some("9.255.255.255".parse().unwrap()));
    }
}
