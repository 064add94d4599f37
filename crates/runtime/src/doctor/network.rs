//! What networks of sandboxes need. None of it is needed by sandboxes without.

use super::Finding;
use crate::network::gateway::host_has_v6;
use crate::network::nft;

/// The host's switches for passing packets on.
const FORWARDING_V4: &str = "/proc/sys/net/ipv4/ip_forward";
const FORWARDING_V6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// Lists the chains that can drop what is forwarded.
const FORWARD_HOOK: &str = "hook forward";

pub(super) fn examine() -> [Finding; 3] {
    [tool(), forwarding(), firewall()]
}

fn tool() -> Finding {
    const NAME: &str = "nft";
    match nft::program() {
        Some(path) => Finding::ok(NAME, path.display().to_string()),
        None => Finding::warn(
            NAME,
            "not found; sandboxes cannot have a network",
            "install it (Debian: apt-get install nftables)",
        ),
    }
}

fn forwarding() -> Finding {
    let is_on = |path| std::fs::read_to_string(path).is_ok_and(|value: String| value.trim() == "1");
    judge_forwarding(is_on(FORWARDING_V4), host_has_v6().then(|| is_on(FORWARDING_V6)))
}

fn judge_forwarding(v4: bool, v6: Option<bool>) -> Finding {
    const NAME: &str = "forwarding";
    match (v4, v6) {
        (false, _) => Finding::warn(
            NAME,
            "off; a network policy can allow names alone, not networks or the internet",
            "sysctl -w net.ipv4.ip_forward=1, and the same line in /etc/sysctl.d to keep it",
        ),
        (true, Some(false)) => Finding::warn(
            NAME,
            "off for IPv6; policies of networks and the internet work over IPv4 alone",
            "sysctl -w net.ipv6.conf.all.forwarding=1; a host that learns its routes from a router needs \
             net.ipv6.conf.<interface>.accept_ra=2 with it",
        ),
        (true, Some(true)) => Finding::ok(NAME, "on for IPv4 and IPv6"),
        (true, None) => Finding::ok(NAME, "on for IPv4; this host has no IPv6"),
    }
}

fn firewall() -> Finding {
    judge_firewall(nft::list_chains().as_deref())
}

/// Judges the chains in the form that `nft list chains` prints.
fn judge_firewall(chains: Option<&str>) -> Finding {
    const NAME: &str = "firewall";
    let Some(chains) = chains else { return Finding::ok(NAME, "cannot be listed") };
    let drops = chains.lines().any(|line| line.contains(FORWARD_HOOK) && line.contains("policy drop"));
    if drops {
        Finding::warn(
            NAME,
            "a chain drops what is forwarded unless a rule of it says otherwise; docker makes one",
            "let the gateway's interface pass: iptables -I DOCKER-USER -i lz+ -j ACCEPT, and the same with -o lz+",
        )
    } else {
        Finding::ok(NAME, "nothing drops all that is forwarded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn what_is_lost_without_forwarding_is_said_for_each_family() {
        assert_eq!(judge_forwarding(true, Some(true)).status, Status::Ok);
        assert_eq!(judge_forwarding(true, None).status, Status::Ok);
        assert!(judge_forwarding(false, None).remedy.unwrap().contains("net.ipv4.ip_forward=1"));
        assert!(
            judge_forwarding(true, Some(false)).remedy.unwrap().contains("net.ipv6.conf.all.forwarding=1")
        );
    }

    #[test]
    fn a_chain_that_drops_what_is_forwarded_is_found_and_one_that_drops_input_is_not() {
        let docker = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n";
        assert_eq!(judge_firewall(Some(docker)).status, Status::Ok);
        let forward =
            "\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
        assert_eq!(judge_firewall(Some(&format!("{docker}{forward}"))).status, Status::Warn);
        assert_eq!(judge_firewall(None).status, Status::Ok);
    }
}
