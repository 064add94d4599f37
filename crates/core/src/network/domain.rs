//! Names, as a policy writes them and as the wire brings them.
//!
//! ```text
//!   Bücher.Example. ──▶ xn--bcher-kva.example            DomainName: lower case, ASCII, no final dot
//!   *.example.com:22 ──▶ Subdomains(example.com) : 22     DomainRule: a pattern and what may be spoken with it
//! ```
//!
//! A name has one form, so that comparing is comparing bytes. What the wire brings is not mapped from other scripts: a
//! client sends ASCII, or means to confuse.

use std::fmt;
use std::str::FromStr;

use crate::limits;

/// A host name in lower case, in ASCII, without its final dot; never an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// Why a text is no name, pattern or rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomain {
    /// Nothing, or only dots.
    #[error("is empty")]
    Empty,
    /// More than [`limits::DOMAIN_MAX_BYTES`].
    #[error("is longer than {} bytes", limits::DOMAIN_MAX_BYTES)]
    TooLong,
    /// Nothing between two dots.
    #[error("has an empty label")]
    EmptyLabel,
    /// More than [`limits::DOMAIN_LABEL_MAX_BYTES`] between two dots.
    #[error("has a label of over {} bytes", limits::DOMAIN_LABEL_MAX_BYTES)]
    LabelTooLong,
    /// A byte that no host name has.
    #[error("has a character that a host name cannot have")]
    BadCharacter,
    /// A hyphen at the end of a label.
    #[error("has a label that begins or ends with a hyphen")]
    Hyphen,
    /// A name in another script that has no form in ASCII.
    #[error("has no form in ASCII (IDNA)")]
    NotIdna,
    /// An address, in whatever notation.
    #[error("is an address, not a name")]
    Address,
    /// `*` alone.
    #[error("would allow every name; ask for the internet policy instead")]
    Everything,
    /// `*` anywhere but as the whole first label.
    #[error("has a '*' that is not its whole first label")]
    Wildcard,
    /// The part after the colon.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
}

impl DomainName {
    /// A name that came over the wire; only the case and one final dot are taken away.
    ///
    /// # Errors
    /// [`InvalidDomain`] for what is no host name in ASCII.
    pub fn from_wire(text: &[u8]) -> Result<Self, InvalidDomain> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        Self::from_labels(text.split(|byte| *byte == b'.'))
    }

    /// A name of labels as a DNS message has them; a dot inside of one is a byte that no host name has.
    ///
    /// # Errors
    /// [`InvalidDomain`] for what is no host name in ASCII.
    pub fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<Self, InvalidDomain> {
        let mut name = String::new();
        for (index, label) in labels.enumerate() {
            if index > 0 {
                name.push('.');
            }
            check_label(label)?;
            name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            if name.len() > limits::DOMAIN_MAX_BYTES {
                return Err(InvalidDomain::TooLong);
            }
        }
        if name.is_empty() {
            return Err(InvalidDomain::Empty);
        }
        if ends_in_a_number(&name) {
            return Err(InvalidDomain::Address);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name lies below `parent`, which no name does below itself.
    fn is_below(&self, parent: &Self) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
    }
}

fn check_label(label: &[u8]) -> Result<(), InvalidDomain> {
    match label {
        [] => Err(InvalidDomain::EmptyLabel),
        _ if label.len() > limits::DOMAIN_LABEL_MAX_BYTES => Err(InvalidDomain::LabelTooLong),
        _ if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => {
            Err(InvalidDomain::BadCharacter)
        }
        [b'-', ..] | [.., b'-'] => Err(InvalidDomain::Hyphen),
        _ => Ok(()),
    }
}

/// Whether a resolver would take the name for an IPv4 address in one of its many notations: its last label is a number.
/// That is the rule of the URL standard ("ends in a number").
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for DomainName {
    type Err = InvalidDomain;

    /// Reads a name as a person writes it: in any case and script, with or without the final dot.
    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        if text.is_empty() {
            return Err(InvalidDomain::Empty);
        }
        if text.len() > limits::DOMAIN_TEXT_MAX_BYTES {
            return Err(InvalidDomain::TooLong);
        }
        // Brackets and colons are how addresses are written; the word for that helps more than "character".
        if text.starts_with('[') || text.parse::<std::net::IpAddr>().is_ok() {
            return Err(InvalidDomain::Address);
        }
        if text.is_ascii() {
            return Self::from_wire(text.as_bytes());
        }
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY);
        Self::from_wire(ascii.map_err(|_| InvalidDomain::NotIdna)?.as_bytes())
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which names are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainPattern {
    /// This one.
    Exact(DomainName),
    /// Every name below this one, and not this one: `*.example.com`.
    Subdomains(DomainName),
}

impl DomainPattern {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &DomainName) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Subdomains(parent) => name.is_below(parent),
        }
    }

    /// Whether every name that `other` means is meant.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Subdomains(ours), Self::Subdomains(theirs)) => ours == theirs || theirs.is_below(ours),
            (Self::Exact(_), Self::Subdomains(_)) => false,
        }
    }
}

impl FromStr for DomainPattern {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let pattern = match text {
            "*" | "*." | "*.*" => return Err(InvalidDomain::Everything),
            _ => match text.strip_prefix("*.") {
                Some(parent) if parent.contains('*') => return Err(InvalidDomain::Wildcard),
                Some(parent) => Self::Subdomains(parent.parse()?),
                None if text.contains('*') => return Err(InvalidDomain::Wildcard),
                None => Self::Exact(text.parse()?),
            },
        };
        Ok(pattern)
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Subdomains(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// What is spoken on a port, and so by what a connection to it can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Port 80: by the Host of every request.
    Http,
    /// Port 443: by the server name of the handshake.
    Tls,
    /// Any other: by the address, which must be one that the gateway gave for an allowed name.
    Plain(u16),
}

impl Service {
    /// The service of a port.
    pub fn of(port: u16) -> Self {
        match port {
            80 => Self::Http,
            443 => Self::Tls,
            other => Self::Plain(other),
        }
    }
}

/// A rule of an allow-list: names, and on which port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainRule {
    /// The names.
    pub pattern: DomainPattern,
    /// The port; `None` for HTTP and TLS on their own ports, 80 and 443.
    pub port: Option<u16>,
}

impl DomainRule {
    /// Whether the rule lets `service` be spoken with `name`.
    pub fn allows(&self, name: &DomainName, service: Service) -> bool {
        let on_port = match self.port {
            None => matches!(service, Service::Http | Service::Tls),
            Some(port) => Service::of(port) == service,
        };
        on_port && self.pattern.matches(name)
    }
}

impl FromStr for DomainRule {
    type Err = InvalidDomain;

    /// Reads `name`, `*.name`, and either with `:port`.
    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        if text.starts_with('[') || text.parse::<std::net::IpAddr>().is_ok() {
            return Err(InvalidDomain::Address);
        }
        let (pattern, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((pattern, port)) => (pattern, Some(parse_port(port)?)),
        };
        Ok(Self { pattern: pattern.parse()?, port })
    }
}

fn parse_port(digits: &str) -> Result<u16, InvalidDomain> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidDomain::Port);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(InvalidDomain::Port)
}

impl fmt::Display for DomainRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.pattern.fmt(f),
            Some(port) => write!(f, "{}:{port}", self.pattern),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        text.parse::<DomainRule>().map(|rule| rule.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_has_one_form_however_it_is_written() {
        for (text, want) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("*.Example.COM.", "*.example.com"),
            ("example.com:22", "example.com:22"),
            ("*.example.com:5432", "*.example.com:5432"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("*.B\u{dc}CHER.example", "*.xn--bcher-kva.example"),
            ("example\u{3002}com", "example.com"),
            ("my_bucket.s3.example", "my_bucket.s3.example"),
            ("localhost", "localhost"),
            ("4chan.example", "4chan.example"),
        ] {
            assert_eq!(parsed(text), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["a".repeat(60).as_str(); 5].join(".");
        for (text, want) in [
            ("", "is empty"),
            (".", "has an empty label"),
            ("example..com", "has an empty label"),
            (".example.com", "has an empty label"),
            ("example.com..", "has an empty label"),
            (long_label.as_str(), "has a label of over 63 bytes"),
            (long_name.as_str(), "is longer than 253 bytes"),
            ("exa mple.com", "has a character that a host name cannot have"),
            ("example.com\0.evil.org", "has a character that a host name cannot have"),
            ("example.com/path", "has a character that a host name cannot have"),
            ("user@example.com", "has a character that a host name cannot have"),
            ("-a.example", "has a label that begins or ends with a hyphen"),
            ("*", "would allow every name; ask for the internet policy instead"),
            ("*.", "would allow every name; ask for the internet policy instead"),
            ("*:443", "would allow every name; ask for the internet policy instead"),
            ("a.*.example", "has a '*' that is not its whole first label"),
            ("*.*.example", "has a '*' that is not its whole first label"),
            ("*example.com", "has a '*' that is not its whole first label"),
            ("192.0.2.1", "is an address, not a name"),
            ("192.0.2.1:80", "is an address, not a name"),
            ("3221225985", "is an address, not a name"),
            ("0xC0.0.2.0x1", "is an address, not a name"),
            ("2001:db8::1", "is an address, not a name"),
            ("[2001:db8::1]:443", "is an address, not a name"),
            ("example.com:0", "has a port that is not a number from 1 to 65535"),
            ("example.com:65536", "has a port that is not a number from 1 to 65535"),
            ("example.com:+80", "has a port that is not a number from 1 to 65535"),
            ("https://example.com", "has a port that is not a number from 1 to 65535"),
            ("\u{e000}.example", "has no form in ASCII (IDNA)"),
        ] {
            assert_eq!(parsed(text), Err(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_name_matches_its_own_rule_and_no_look_alike() {
        let exact: DomainRule = "example.com".parse().unwrap();
        let below: DomainRule = "*.example.com".parse().unwrap();
        for (name, by_exact, by_below) in [
            ("example.com", true, false),
            ("EXAMPLE.COM.", true, false),
            ("a.example.com", false, true),
            ("a.b.example.com", false, true),
            ("notexample.com", false, false),
            ("example.com.evil.org", false, false),
            ("example.comm", false, false),
            ("xample.com", false, false),
            ("com", false, false),
        ] {
            let parsed = DomainName::from_wire(name.as_bytes()).unwrap();
            assert_eq!(exact.allows(&parsed, Service::Tls), by_exact, "{name}");
            assert_eq!(below.allows(&parsed, Service::Http), by_below, "{name}");
        }
    }

    #[test]
    fn what_the_wire_brings_is_ascii_and_is_not_mapped() {
        for (bytes, want) in [
            (&b"Example.COM."[..], Ok("example.com")),
            (b"xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("b\u{fc}cher.example".as_bytes(), Err(InvalidDomain::BadCharacter)),
            ("example\u{3002}com".as_bytes(), Err(InvalidDomain::BadCharacter)),
            (b"example.com\0", Err(InvalidDomain::BadCharacter)),
            (b"127.0.0.1", Err(InvalidDomain::Address)),
            (b"0x7f000001", Err(InvalidDomain::Address)),
            (b"", Err(InvalidDomain::EmptyLabel)),
        ] {
            assert_eq!(DomainName::from_wire(bytes).as_ref().map(DomainName::as_str), want.as_ref().copied());
        }
        let dotted = DomainName::from_labels([&b"evil.example"[..], b"com"].into_iter());
        assert_eq!(dotted, Err(InvalidDomain::BadCharacter));
    }

    #[test]
    fn a_rule_opens_its_own_port_and_no_other() {
        let name: DomainName = "example.com".parse().unwrap();
        for (rule, http, tls, ssh) in [
            ("example.com", true, true, false),
            ("example.com:22", false, false, true),
            ("example.com:80", true, false, false),
            ("example.com:443", false, true, false),
        ] {
            let rule: DomainRule = rule.parse().unwrap();
            let allows = |port| rule.allows(&name, Service::of(port));
            assert_eq!((allows(80), allows(443), allows(22)), (http, tls, ssh), "{rule}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_means_and_no_more() {
        for (ours, theirs, want) in [
            ("example.com", "example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("*.example.com", "*.a.example.com", true),
            ("*.a.example.com", "*.example.com", false),
            ("example.com", "*.example.com", false),
            ("*.example.com", "*.badexample.com", false),
        ] {
            let parse = |text: &str| text.parse::<DomainPattern>().unwrap();
            assert_eq!(parse(ours).covers(&parse(theirs)), want, "{ours} covers {theirs}");
        }
    }
}
