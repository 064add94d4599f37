//! What the operator lets tenants ask for at all.

use std::net::IpAddr;

use super::{Cidr, DomainName, DomainPattern, EgressPolicy, InvalidPolicy, is_public};

/// The operator's part in every policy. A policy beyond it is refused when it is asked for; and where it is enforced, the
/// bounds are asked again, so that a policy from before they were drawn tighter opens nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressBounds {
    /// The names that may be asked for; `None` for any.
    pub domains: Option<Vec<DomainPattern>>,
    /// Networks that may be reached although they are not public, each named by the operator.
    pub opened: Vec<Cidr>,
}

impl EgressBounds {
    /// Succeeds if a tenant may have this policy.
    ///
    /// # Errors
    /// [`InvalidPolicy`], naming what lies outside.
    pub fn check(&self, policy: &EgressPolicy) -> Result<(), InvalidPolicy> {
        match policy {
            EgressPolicy::Disabled => Ok(()),
            EgressPolicy::Internet if self.domains.is_some() => Err(InvalidPolicy::InternetOutsideBounds),
            EgressPolicy::Internet => Ok(()),
            EgressPolicy::Allowlist(list) => {
                let outside = list.domains().iter().find(|rule| !self.covers(&rule.pattern));
                if let Some(rule) = outside {
                    return Err(InvalidPolicy::DomainOutsideBounds { rule: rule.clone() });
                }
                if self.domains.is_some() && !list.cidrs().is_empty() {
                    return Err(InvalidPolicy::CidrOutsideBounds);
                }
                let opened = |cidr: Cidr| self.opened.iter().any(|ours| ours.covers(cidr));
                match list.cidrs().iter().find(|cidr| !cidr.is_public() && !opened(**cidr)) {
                    Some(cidr) => Err(InvalidPolicy::CidrNotPublic { cidr: *cidr }),
                    None => Ok(()),
                }
            }
        }
    }

    /// Whether a connection to `address` may leave this host for anyone.
    pub fn opens(&self, address: IpAddr) -> bool {
        is_public(address) || self.opened.iter().any(|cidr| cidr.contains(address))
    }

    /// Whether `name` may be asked for.
    pub fn allows(&self, name: &DomainName) -> bool {
        self.domains.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }

    fn covers(&self, asked: &DomainPattern) -> bool {
        self.domains.as_ref().is_none_or(|patterns| patterns.iter().any(|ours| ours.covers(asked)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Allowlist;
    use super::*;

    fn list(domains: &[&str], cidrs: &[&str]) -> EgressPolicy {
        EgressPolicy::Allowlist(Allowlist::parse(domains, cidrs).unwrap())
    }

    #[test]
    fn a_policy_beyond_the_operators_own_list_is_refused_by_name() {
        let patterns = ["example.com", "*.example.org"].map(|text| text.parse().unwrap());
        let bounds = EgressBounds { domains: Some(patterns.to_vec()), opened: Vec::new() };
        let check = |policy| bounds.check(&policy).map_err(|problem| problem.to_string());
        assert_eq!(check(EgressPolicy::Disabled), Ok(()));
        assert_eq!(check(list(&["example.com:22", "a.example.org", "*.b.example.org"], &[])), Ok(()));
        for (policy, want) in [
            (
                list(&["example.com", "example.net"], &[]),
                "'example.net' is not among the domains that this server allows",
            ),
            (list(&["example.org"], &[]), "'example.org' is not among the domains that this server allows"),
            (
                list(&["*.example.com"], &[]),
                "'*.example.com' is not among the domains that this server allows",
            ),
            (list(&["example.com"], &["8.8.8.8"]), "this server allows domains by name only"),
            (EgressPolicy::Internet, "this server allows chosen domains only; ask for an allowlist"),
        ] {
            assert_eq!(check(policy), Err(want.to_owned()));
        }
    }

    #[test]
    fn a_network_must_be_public_or_named_by_the_operator() {
        let bounds = EgressBounds { domains: None, opened: vec!["10.1.0.0/16".parse().unwrap()] };
        let check = |cidr| bounds.check(&list(&[], &[cidr])).map_err(|problem| problem.to_string());
        assert_eq!((check("8.8.8.0/24"), check("10.1.2.0/24")), (Ok(()), Ok(())));
        for cidr in ["10.0.0.0/8", "10.2.0.0/16", "169.254.169.254/32", "0.0.0.0/0", "fd00::/8"] {
            let want = format!(
                "'{cidr}' has private or special addresses, which this server's operator has not opened"
            );
            assert_eq!(check(cidr), Err(want));
        }
        assert!(bounds.opens("10.1.2.3".parse().unwrap()) && !bounds.opens("10.2.0.1".parse().unwrap()));
    }
}
