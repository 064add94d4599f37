//! What a sandbox may reach, as a block and two lists with commas, to and from a policy.

use lazaret_core::{Allowlist, EgressPolicy, Error};

/// Networks that stand for everything.
const EVERYTHING: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The policy; `None` for what the server gives a sandbox whose maker names none. A block wins over lists, and only one
/// that is lifted by word opens everything.
pub(super) fn policy(
    block_all: Option<bool>,
    networks: Option<&str>,
    domains: Option<&str>,
) -> Result<Option<EgressPolicy>, Error> {
    let (networks, domains) = (split(networks), split(domains));
    Ok(match block_all {
        Some(true) => Some(EgressPolicy::Disabled),
        _ if networks.iter().any(|network| EVERYTHING.contains(network)) => Some(EgressPolicy::Internet),
        _ if !networks.is_empty() || !domains.is_empty() => {
            Some(EgressPolicy::Allowlist(Allowlist::parse(&domains, &networks)?))
        }
        Some(false) => Some(EgressPolicy::Internet),
        None => None,
    })
}

fn split(list: Option<&str>) -> Vec<&str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Whether everything is blocked, and the lists of networks and domains.
pub(super) fn shown(policy: &EgressPolicy) -> (bool, Option<String>, Option<String>) {
    let joined = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(","));
    match policy {
        EgressPolicy::Disabled => (true, None, None),
        EgressPolicy::Internet => (false, None, None),
        EgressPolicy::Allowlist(list) => (
            false,
            joined(list.cidrs().iter().map(ToString::to_string).collect()),
            joined(list.domains().iter().map(ToString::to_string).collect()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_back_a_block_wins_and_silence_is_the_servers_choice() {
        type Shown = (bool, Option<String>, Option<String>);
        let some = |text: &str| Some(text.to_owned());
        let check = |block, networks, domains| -> Result<Option<Shown>, String> {
            let policy = policy(block, networks, domains).map_err(|error| error.to_string())?;
            Ok(policy.as_ref().map(shown))
        };
        assert_eq!(check(None, None, Some("")), Ok(None));
        assert_eq!(check(Some(false), None, None), Ok(Some((false, None, None))));
        assert_eq!(check(Some(true), Some("1.1.1.0/24"), None), Ok(Some((true, None, None))));
        assert_eq!(check(None, Some("0.0.0.0/0"), None), Ok(Some((false, None, None))));
        assert_eq!(
            check(None, Some("1.1.1.0/24, 8.8.8.8/32"), Some("pypi.org,*.example.org")),
            Ok(Some((false, some("1.1.1.0/24,8.8.8.8/32"), some("pypi.org,*.example.org"))))
        );
        assert!(check(None, Some("nonsense"), None).is_err_and(|error| error.contains("nonsense")));
    }
}
