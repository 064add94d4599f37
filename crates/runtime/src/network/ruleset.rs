//! The rules, as text for `nft`, loaded once per gateway. What changes with every sandbox is elements of their sets.
//!
//! ```text
//!   packet from a sandbox ─▶ senders: is it this cable's address? ─▶ pace ─▶ divert ┬▶ the resolver, port 53
//!                                    no: dropped                                    ├▶ the proxy: TCP, allow-list
//!                                                                                   └▶ forward ─▶ uplink, masqueraded
//!                                                                     not public, nothing said: refused
//! ```
//!
//! Every packet that a sandbox sends is judged by the sets, those of open connections too, so that a change of its policy
//! needs nothing else to take effect. Packets back are let in by the connection they belong to, and by the same sets.
//! What is refused is answered so, because a program that waits for an answer that never comes looks like a fault.

use std::fmt::Write as _;

use ipnet::IpNet;
use lazaret_core::{PUBLIC_V6, SPECIAL_V4, SPECIAL_V6};

use super::NetworkConfig;
use super::addresses::UplinkAddresses;

/// The table in the gateway's namespace.
pub(super) const TABLE: &str = "lazaret";

/// Sets of the table, by the policy that puts a sandbox's cable and address into them.
pub(super) const PUBLIC: [&str; 2] = ["public4", "public6"];
pub(super) const NAMES: [&str; 2] = ["names4", "names6"];
/// Cables and the networks that are open to them.
pub(super) const NETWORKS: [&str; 2] = ["networks4", "networks6"];

/// The gateway's end of the uplink, in its namespace.
pub(super) const UPLINK: &str = "uplink";

/// The port that diverted connections arrive at. Nothing else reaches it: what is not diverted is refused.
pub(super) const PROXY_PORT: u16 = 3129;

/// The port of DNS.
pub(super) const DNS_PORT: u16 = 53;

/// Connections that a sandbox may have open through the gateway; ten busy browsers have fewer. The kernel's table of
/// connections has 262,144 places on a usual host, shared by all.
const CONNECTIONS_MAX: u32 = 2048;

/// New connections and DNS queries a second that a sandbox may begin, and how many at once before that counts.
const NEW_PER_SECOND: u32 = 200;
const NEW_BURST: u32 = 400;

/// The gateway's rules, for a table that is there already or not. Sets keep their elements.
pub(super) fn gateway(config: &NetworkConfig, has_v6: bool) -> String {
    let (v4, v6) = (config.gateway_v4(), config.gateway_v6());
    let refused4 = list(SPECIAL_V4.iter().map(ToString::to_string));
    // Everything outside of the public part, and what is special within it.
    debug_assert_eq!(PUBLIC_V6.to_string(), "2000::/3");
    let outside = ["::/3", "4000::/2", "8000::/1"].map(str::to_owned);
    let refused6 = list(outside.into_iter().chain(SPECIAL_V6.iter().map(ToString::to_string)));
    let allowed = |wanted: fn(&&IpNet) -> bool| {
        let networks: Vec<IpNet> = config.opened.iter().filter(wanted).copied().collect();
        list(IpNet::aggregate(&networks).iter().map(ToString::to_string))
    };
    let allowed4 = allowed(|network| matches!(network, IpNet::V4(_)));
    let allowed6 = allowed(|network| matches!(network, IpNet::V6(_)));
    let divert6 = if has_v6 {
        format!(
            "    meta nfproto ipv6 meta l4proto {{ tcp, udp }} th dport {DNS_PORT} dnat ip6 to [{v6}]:{DNS_PORT}
    iifname . ip6 saddr @public6 accept
    iifname . ip6 daddr @networks6 accept
    meta nfproto ipv6 meta l4proto tcp dnat ip6 to [{v6}]:{PROXY_PORT}\n"
        )
    } else {
        String::new()
    };
    let mut text = String::new();
    // Declared first, so that there is something to flush the first time.
    let _ = write!(
        text,
        "add table inet {TABLE}
flush table inet {TABLE}
table inet {TABLE} {{
  set public4 {{ type ifname . ipv4_addr; }}
  set public6 {{ type ifname . ipv6_addr; }}
  set names4 {{ type ifname . ipv4_addr; }}
  set names6 {{ type ifname . ipv6_addr; }}
  set networks4 {{ type ifname . ipv4_addr; flags interval; }}
  set networks6 {{ type ifname . ipv6_addr; flags interval; }}
  set refused4 {{ type ipv4_addr; flags interval; auto-merge; }}
  set refused6 {{ type ipv6_addr; flags interval; auto-merge; }}
  set allowed4 {{ type ipv4_addr; flags interval; auto-merge; }}
  set allowed6 {{ type ipv6_addr; flags interval; auto-merge; }}
  set connections {{ type ifname; size 65535; flags dynamic; }}
  set pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 10s; }}
}}
flush set inet {TABLE} refused4
flush set inet {TABLE} refused6
flush set inet {TABLE} allowed4
flush set inet {TABLE} allowed6
{}{}{}{}table inet {TABLE} {{
  chain senders {{
    type filter hook prerouting priority raw; policy drop;
    iifname {{ \"lo\", \"{UPLINK}\" }} accept
    iifname . ip saddr @public4 accept
    iifname . ip saddr @names4 accept
    iifname . ip6 saddr @public6 accept
    iifname . ip6 saddr @names6 accept
  }}
  chain pace_new {{
    type filter hook prerouting priority mangle; policy accept;
    iifname {{ \"lo\", \"{UPLINK}\" }} accept
    ct state invalid drop
    ct state new update @pace {{ iifname limit rate over {NEW_PER_SECOND}/second burst {NEW_BURST} packets }} drop
    ct state new add @connections {{ iifname ct count over {CONNECTIONS_MAX} }} drop
  }}
  chain divert {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname \"{UPLINK}\" accept
    meta nfproto ipv4 meta l4proto {{ tcp, udp }} th dport {DNS_PORT} dnat ip to {v4}:{DNS_PORT}
    iifname . ip saddr @public4 accept
    iifname . ip daddr @networks4 accept
    meta nfproto ipv4 meta l4proto tcp dnat ip to {v4}:{PROXY_PORT}
{divert6}  }}
  chain input {{
    type filter hook input priority filter; policy drop;
    iifname \"lo\" accept
    ct state established,related accept
    iifname \"{UPLINK}\" drop
    meta l4proto {{ tcp, udp }} th dport {DNS_PORT} accept
    tcp dport {PROXY_PORT} ct status dnat accept
    jump refuse
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    iifname \"{UPLINK}\" ct state established,related jump replies
    iifname \"{UPLINK}\" drop
    oifname != \"{UPLINK}\" jump refuse
    ip daddr @refused4 ip daddr != @allowed4 jump refuse
    ip6 daddr @refused6 ip6 daddr != @allowed6 jump refuse
    meta l4proto != {{ tcp, udp, icmp, icmpv6 }} jump refuse
    iifname . ip saddr @public4 accept
    iifname . ip6 saddr @public6 accept
    iifname . ip daddr @networks4 accept
    iifname . ip6 daddr @networks6 accept
    jump refuse
  }}
  chain replies {{
    oifname . ip daddr @public4 accept
    oifname . ip6 daddr @public6 accept
    oifname . ip saddr @networks4 accept
    oifname . ip6 saddr @networks6 accept
    ct state related oifname . ip daddr @names4 accept
    ct state related oifname . ip6 daddr @names6 accept
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }}
  chain masquerade_all {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname \"{UPLINK}\" masquerade
  }}
}}
",
        elements("refused4", &refused4),
        elements("refused6", &refused6),
        elements("allowed4", &allowed4),
        elements("allowed6", &allowed6),
    );
    text
}

/// The host's rules: from the uplink, to the outside alone; towards it, answers alone. The host itself is closed to it.
pub(super) fn host(table: &str, uplink: &str, addresses: &UplinkAddresses) -> String {
    let UplinkAddresses { gateway_v4, gateway_v6, .. } = addresses;
    format!(
        "add table inet {table}
delete table inet {table}
table inet {table} {{
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname != \"{uplink}\" accept
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    oifname \"{uplink}\" ct state established,related accept
    oifname \"{uplink}\" drop
    iifname != \"{uplink}\" accept
    meta nfproto ipv4 ip saddr != {gateway_v4} drop
    meta nfproto ipv6 ip6 saddr != {gateway_v6} drop
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
  }}
  chain masquerade_gateway {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {gateway_v4} masquerade
    ip6 saddr {gateway_v6} masquerade
  }}
}}
"
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// The command that fills a set; nothing for no elements, which `nft` does not take.
fn elements(set: &str, list: &str) -> String {
    if list.is_empty() { String::new() } else { format!("add element inet {TABLE} {set} {{ {list} }}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_allows_is_in_the_set_of_its_family_and_overlaps_are_one() {
        let allow = ["10.1.0.0/16", "10.1.2.0/24", "fd12::/32"].map(|text| text.parse().unwrap()).to_vec();
        let config = NetworkConfig { opened: allow, ..NetworkConfig::default() };
        let text = gateway(&config, true);
        assert!(text.contains("add element inet lazaret allowed4 { 10.1.0.0/16 }\n"), "{text}");
        assert!(text.contains("add element inet lazaret allowed6 { fd12::/32 }\n"), "{text}");
        assert!(!gateway(&NetworkConfig::default(), true).contains("add element inet lazaret allowed"));
        assert!(!gateway(&config, false).contains("dnat ip6"));
    }
}
