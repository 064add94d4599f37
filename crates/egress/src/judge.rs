//! The one place that says whether something may be reached. Pure: no clock, no I/O.

use std::net::SocketAddr;

use lazaret_core::{DomainName, EgressBounds, EgressPolicy, Service};

/// What a connection was let through for. It is asked again when the policy changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// A name, and what is spoken with it.
    Name(DomainName, Service),
    /// An address in an allowed network.
    Address(SocketAddr),
}

/// Why something was refused; the closed set that reports draw from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Name,
    Address,
    PrivateAddress,
    NoServerName,
    EncryptedServerName,
    NotTls,
    NotHttp,
    NoHost,
    HostMismatch,
    Connect,
    RecordType,
    TooManyQueries,
    TooManyConnections,
}

impl Refusal {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Name => "name not allowed",
            Self::Address => "address not allowed",
            Self::PrivateAddress => "name of a private address",
            Self::NoServerName => "no server name",
            Self::EncryptedServerName => "encrypted server name",
            Self::NotTls => "not tls",
            Self::NotHttp => "not http",
            Self::NoHost => "no single host",
            Self::HostMismatch => "host contradicts the request",
            Self::Connect => "connect method",
            Self::RecordType => "record type not allowed",
            Self::TooManyQueries => "too many queries",
            Self::TooManyConnections => "too many connections",
        }
    }
}

/// Whether a policy, within the operator's bounds, allows what a connection is for.
pub(crate) fn allows(policy: &EgressPolicy, bounds: &EgressBounds, grant: &Grant) -> bool {
    match (policy, grant) {
        (EgressPolicy::Disabled, _) => false,
        (EgressPolicy::Allowlist(list), Grant::Name(name, service)) => {
            list.allows(name, *service) && bounds.allows(name)
        }
        // Where names are bounded, an address would be the way around them.
        (EgressPolicy::Allowlist(list), Grant::Address(to)) => {
            bounds.domains.is_none() && list.has_address(to.ip()) && bounds.opens(to.ip())
        }
        (EgressPolicy::Internet, Grant::Name(name, _)) => bounds.allows(name),
        (EgressPolicy::Internet, Grant::Address(to)) => bounds.domains.is_none() && bounds.opens(to.ip()),
    }
}

/// Whether a policy lets a name be resolved.
pub(crate) fn resolves(policy: &EgressPolicy, bounds: &EgressBounds, name: &DomainName) -> bool {
    let allowed = match policy {
        EgressPolicy::Disabled => false,
        EgressPolicy::Allowlist(list) => list.names(name),
        EgressPolicy::Internet => true,
    };
    allowed && bounds.allows(name)
}

/// Whether a policy has a rule for `name` on a port at which connections are judged by their address.
pub(crate) fn by_address(policy: &EgressPolicy, name: &DomainName) -> bool {
    let plain = |port: Option<u16>| port.is_some_and(|port| matches!(Service::of(port), Service::Plain(_)));
    match policy {
        EgressPolicy::Allowlist(list) => {
            list.domains().iter().any(|rule| plain(rule.port) && rule.pattern.matches(name))
        }
        EgressPolicy::Disabled | EgressPolicy::Internet => false,
    }
}

#[cfg(test)]
mod tests {
    use lazaret_core::Allowlist;

    use super::*;

    fn list(domains: &[&str], cidrs: &[&str]) -> EgressPolicy {
        EgressPolicy::Allowlist(Allowlist::parse(domains, cidrs).unwrap())
    }

    fn name(text: &str, port: u16) -> Grant {
        Grant::Name(text.parse().unwrap(), Service::of(port))
    }

    fn address(text: &str) -> Grant {
        Grant::Address(text.parse().unwrap())
    }

    #[test]
    fn a_connection_needs_a_rule_that_names_it() {
        let open = EgressBounds::default();
        let policy = list(&["example.com", "git.example.com:22"], &["8.8.8.0/24", "10.0.0.0/8"]);
        for (grant, want) in [
            (name("example.com", 80), true),
            (name("example.com", 443), true),
            (name("example.com", 22), false),
            (name("git.example.com", 22), true),
            (name("git.example.com", 443), false),
            (address("8.8.8.8:53"), true),
            (address("8.8.4.4:53"), false),
            // In the list, and yet private: nobody but the operator opens that.
            (address("10.0.0.1:80"), false),
        ] {
            assert_eq!(allows(&policy, &open, &grant), want, "{grant:?}");
            assert!(!allows(&EgressPolicy::Disabled, &open, &grant), "{grant:?}");
        }
        assert!(allows(&EgressPolicy::Internet, &open, &address("8.8.8.8:53")));
        assert!(!allows(&EgressPolicy::Internet, &open, &address("169.254.169.254:80")));
    }

    #[test]
    fn bounds_that_were_drawn_after_a_policy_was_given_hold_all_the_same() {
        let bounds = EgressBounds { domains: Some(vec!["example.com".parse().unwrap()]), opened: Vec::new() };
        let policy = list(&["example.com", "example.org"], &["8.8.8.8"]);
        assert!(allows(&policy, &bounds, &name("example.com", 443)));
        assert!(!allows(&policy, &bounds, &name("example.org", 443)));
        assert!(!allows(&policy, &bounds, &address("8.8.8.8:53")));
        assert!(!resolves(&policy, &bounds, &"example.org".parse().unwrap()));
        assert!(!allows(&EgressPolicy::Internet, &bounds, &address("8.8.8.8:53")));
    }
}
