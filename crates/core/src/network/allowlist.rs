//! A checked list of names and networks.

use super::{Cidr, DomainName, DomainRule, InvalidCidr, InvalidDomain, Service};
use crate::{Error, limits};

/// What a sandbox may reach, and nothing else; never empty, never without bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist {
    domains: Vec<DomainRule>,
    cidrs: Vec<Cidr>,
}

/// Why a policy cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// An allow-list that allows nothing.
    #[error("an allowlist needs at least one domain or network")]
    Empty,
    /// More than [`limits::EGRESS_DOMAINS_MAX`].
    #[error("more than {} domains", limits::EGRESS_DOMAINS_MAX)]
    TooManyDomains,
    /// More than [`limits::EGRESS_CIDRS_MAX`].
    #[error("more than {} networks", limits::EGRESS_CIDRS_MAX)]
    TooManyCidrs,
    /// A text that is no rule.
    #[error("'{}' {problem}", .text.escape_debug())]
    Domain {
        /// The text, cut.
        text: String,
        /// What is wrong with it.
        problem: InvalidDomain,
    },
    /// A text that is no network.
    #[error("'{}' {problem}", .text.escape_debug())]
    Cidr {
        /// The text, cut.
        text: String,
        /// What is wrong with it.
        problem: InvalidCidr,
    },
    /// The operator lets nobody ask for it.
    #[error("'{rule}' is not among the domains that this server allows")]
    DomainOutsideBounds {
        /// The rule.
        rule: DomainRule,
    },
    /// It has addresses that are not public, and the operator has not named it.
    #[error("'{cidr}' has private or special addresses, which this server's operator has not opened")]
    CidrNotPublic {
        /// The network.
        cidr: Cidr,
    },
    /// Networks cannot be asked for where the operator bounds the names.
    #[error("this server allows domains by name only")]
    CidrOutsideBounds,
    /// Neither can everything.
    #[error("this server allows chosen domains only; ask for an allowlist")]
    InternetOutsideBounds,
}

impl InvalidPolicy {
    /// The field at fault, in the core's vocabulary.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty | Self::InternetOutsideBounds => "network",
            Self::TooManyDomains | Self::Domain { .. } | Self::DomainOutsideBounds { .. } => {
                "network.domains"
            }
            Self::TooManyCidrs | Self::Cidr { .. } | Self::CidrNotPublic { .. } | Self::CidrOutsideBounds => {
                "network.cidrs"
            }
        }
    }
}

impl From<InvalidPolicy> for Error {
    fn from(problem: InvalidPolicy) -> Self {
        Self::invalid(problem.field(), problem.to_string())
    }
}

impl Allowlist {
    /// A list of what is already checked one by one.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if it allows nothing or is too long.
    pub fn new(domains: Vec<DomainRule>, cidrs: Vec<Cidr>) -> Result<Self, InvalidPolicy> {
        check_lengths(domains.len(), cidrs.len())?;
        Ok(Self { domains, cidrs })
    }

    /// Reads rules and networks as a person writes them.
    ///
    /// # Errors
    /// [`InvalidPolicy`], naming the first text at fault.
    pub fn parse<T: AsRef<str>>(domains: &[T], cidrs: &[T]) -> Result<Self, InvalidPolicy> {
        // Before the work of reading a list without end.
        check_lengths(domains.len(), cidrs.len())?;
        let domains = domains.iter().map(|text| {
            let text = text.as_ref();
            text.parse().map_err(|problem| InvalidPolicy::Domain { text: cut(text), problem })
        });
        let cidrs = cidrs.iter().map(|text| {
            let text = text.as_ref();
            text.parse().map_err(|problem| InvalidPolicy::Cidr { text: cut(text), problem })
        });
        Self::new(domains.collect::<Result<_, _>>()?, cidrs.collect::<Result<_, _>>()?)
    }

    /// The rules, in the order that they were given in.
    pub fn domains(&self) -> &[DomainRule] {
        &self.domains
    }

    /// The networks, in the order that they were given in.
    pub fn cidrs(&self) -> &[Cidr] {
        &self.cidrs
    }

    /// Whether `service` may be spoken with `name`.
    pub fn allows(&self, name: &DomainName, service: Service) -> bool {
        self.domains.iter().any(|rule| rule.allows(name, service))
    }

    /// Whether `name` may be reached on some port, and so may be resolved.
    pub fn names(&self, name: &DomainName) -> bool {
        self.domains.iter().any(|rule| rule.pattern.matches(name))
    }

    /// Whether `address` lies in one of the networks.
    pub fn has_address(&self, address: std::net::IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(address))
    }
}

fn check_lengths(domains: usize, cidrs: usize) -> Result<(), InvalidPolicy> {
    match (domains, cidrs) {
        (0, 0) => Err(InvalidPolicy::Empty),
        _ if domains > limits::EGRESS_DOMAINS_MAX => Err(InvalidPolicy::TooManyDomains),
        _ if cidrs > limits::EGRESS_CIDRS_MAX => Err(InvalidPolicy::TooManyCidrs),
        _ => Ok(()),
    }
}

/// As much of a text as a message shows.
fn cut(text: &str) -> String {
    text.chars().take(limits::EGRESS_TEXT_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_refused_with_the_field_and_the_text_at_fault() {
        let many = vec!["a.example"; limits::EGRESS_DOMAINS_MAX + 1];
        for (domains, cidrs, want) in [
            (vec![], vec![], "network: an allowlist needs at least one domain or network"),
            (
                vec!["a.example", "a b"],
                vec![],
                "network.domains: 'a b' has a character that a host name cannot have",
            ),
            (
                vec!["a.example"],
                vec!["10.0.0.1/8"],
                "network.cidrs: '10.0.0.1/8' has bits after its prefix; the network is 10.0.0.0/8",
            ),
            (many, vec![], "network.domains: more than 256 domains"),
            (vec!["e\0"], vec![], "network.domains: 'e\\0' has a character that a host name cannot have"),
        ] {
            let error =
                Allowlist::parse(&domains, &cidrs).map_err(|problem| Error::from(problem).to_string());
            assert_eq!(error, Err(want.to_owned()));
        }
    }
}
