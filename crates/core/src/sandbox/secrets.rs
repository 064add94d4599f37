//! Secrets that a sandbox uses without having them.
//!
//! ```text
//!   in the sandbox   $NAME = a placeholder ──▶ request over TLS to a host of the domain ──▶ gateway: the value
//!                                          ──▶ anything else ─────────────────────────────▶ the placeholder
//! ```
//!
//! The gateway has to read such a request, so it answers for the hosts of the domain with an [`Authority`] of the sandbox's
//! own, which the sandbox is made to trust. Where the value is put in is the gateway's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Allowlist, DomainName, DomainPattern, DomainRule, EgressPolicy, Error, Result, Secret, Service, limits,
};

/// The field at fault, in the core's vocabulary.
const FIELD: &str = "secrets";

/// A value that is put in place of its placeholder in what a sandbox sends to the hosts of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSecret {
    /// The hosts that get the value.
    pub domain: DomainPattern,
    /// Name of the variable that holds the placeholder.
    pub name: String,
    /// The value.
    pub value: Secret,
}

/// A certificate that a sandbox trusts for the domains of its secrets and for nothing else, and its key, which stays out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The certificate in PEM.
    pub certificate: String,
    /// Its private key in PEM (PKCS #8).
    pub key: Secret,
}

/// The secrets of one sandbox, with what they are used by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSecrets {
    /// What vouches for the domains inside.
    pub authority: Authority,
    /// Makes the placeholders of this sandbox differ from any text that a program would send by itself.
    pub token: String,
    /// At least one. A name may stand for several values, each for another domain.
    pub secrets: Vec<DomainSecret>,
}

impl DomainSecrets {
    /// What stands for the secrets of this name inside: letters, digits and `_`, so that it can be part of any header.
    pub fn placeholder(&self, name: &str) -> String {
        format!("LAZARET_SECRET_{name}_{}", self.token)
    }

    /// The variables that hold the placeholders.
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.secrets.iter().map(|secret| (secret.name.clone(), self.placeholder(&secret.name))).collect()
    }

    /// The secrets that the host of this name gets.
    pub fn of<'a>(&'a self, host: &'a DomainName) -> impl Iterator<Item = &'a DomainSecret> {
        self.secrets.iter().filter(|secret| secret.domain.matches(host))
    }
}

/// Checks the secrets of a sandbox that is wanted with this environment and policy.
///
/// # Errors
/// [`Error::Invalid`] for the field `secrets`. No message holds a part of a value.
pub(super) fn check(
    secrets: &[DomainSecret],
    env: &BTreeMap<String, String>,
    policy: Option<&EgressPolicy>,
) -> Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(EgressPolicy::Allowlist(list)) = policy else {
        return Err(Error::invalid(FIELD, "need a network policy of the type allowlist"));
    };
    if secrets.len() > limits::SECRETS_MAX {
        return Err(Error::invalid(FIELD, format!("more than {}", limits::SECRETS_MAX)));
    }
    let mut known = BTreeSet::new();
    for secret in secrets {
        let DomainSecret { domain, name, value } = secret;
        check_name(name)?;
        check_value(name, value)?;
        if env.contains_key(name) {
            return Err(Error::invalid(FIELD, format!("'{name}' is a variable as well")));
        }
        if !reaches(list, domain) {
            return Err(Error::invalid(FIELD, format!("'{domain}' is not among the allowed domains")));
        }
        if !known.insert((domain, name)) {
            return Err(Error::invalid(FIELD, format!("'{name}' is given twice for '{domain}'")));
        }
    }
    Ok(())
}

/// Whether every host of the domain may be spoken to over TLS, which is where a value is put in.
fn reaches(list: &Allowlist, domain: &DomainPattern) -> bool {
    let over_tls = |rule: &&DomainRule| rule.port.is_none_or(|port| Service::of(port) == Service::Tls);
    list.domains().iter().filter(over_tls).any(|rule| rule.pattern.covers(domain))
}

fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !begins || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let reason = "a name has something else than letters, digits and '_', or begins with a digit";
        return Err(Error::invalid(FIELD, reason));
    }
    if name.len() > limits::SECRET_NAME_MAX_BYTES {
        let reason = format!("a name is longer than {} characters", limits::SECRET_NAME_MAX_BYTES);
        return Err(Error::invalid(FIELD, reason));
    }
    if TRUST_VARIABLES.contains(&name) {
        return Err(Error::invalid(FIELD, format!("'{name}' tells programs which certificates to trust")));
    }
    Ok(())
}

fn check_value(name: &str, value: &Secret) -> Result<()> {
    let value = value.expose();
    if value.is_empty() {
        return Err(Error::invalid(FIELD, format!("the value of '{name}' is empty")));
    }
    if value.len() > limits::SECRET_VALUE_MAX_BYTES {
        let reason = format!("the value of '{name}' is longer than {} bytes", limits::SECRET_VALUE_MAX_BYTES);
        return Err(Error::invalid(FIELD, reason));
    }
    // A line feed would end the header (RFC 9110, section 5.5).
    if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        let reason = format!("the value of '{name}' has a line break or another control character");
        return Err(Error::invalid(FIELD, reason));
    }
    Ok(())
}

/// The variables that tell common programs which certificates to trust: OpenSSL and what is built on it, Go and Ruby; the
/// `requests` package; curl; git. They name a file with everything in it.
pub(crate) const BUNDLE_VARIABLES: [&str; 4] =
    ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"];

/// Node's variable. It names what is trusted beyond what Node trusts anyway.
pub(crate) const ADDITION_VARIABLE: &str = "NODE_EXTRA_CA_CERTS";

const TRUST_VARIABLES: [&str; 5] =
    [BUNDLE_VARIABLES[0], BUNDLE_VARIABLES[1], BUNDLE_VARIABLES[2], BUNDLE_VARIABLES[3], ADDITION_VARIABLE];

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(domain: &str, name: &str, value: &str) -> DomainSecret {
        DomainSecret { domain: domain.parse().unwrap(), name: name.to_owned(), value: Secret::new(value) }
    }

    fn judged(secrets: &[DomainSecret]) -> Result<(), String> {
        let list = Allowlist::parse(&["api.example", "*.b.example", "ssh.example:22"], &[]).unwrap();
        let env = BTreeMap::from([("TAKEN".to_owned(), String::new())]);
        check(secrets, &env, Some(&EgressPolicy::Allowlist(list))).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_are_for_allowed_domains_and_a_name_may_have_one_value_for_each() {
        let fine = [
            secret("api.example", "KEY", "x"),
            secret("*.b.example", "KEY", "y\tz"),
            secret("a.b.example", "_2", "\u{e9}"),
        ];
        assert_eq!(judged(&fine), Ok(()));
        assert_eq!(judged(&[]), Ok(()));
        let without = check(&fine, &BTreeMap::new(), None).map_err(|error| error.to_string());
        assert_eq!(without, Err("secrets: need a network policy of the type allowlist".to_owned()));
    }

    #[test]
    fn what_no_header_or_variable_can_carry_is_refused_and_no_value_is_told() {
        let long = "hunter2".repeat(limits::SECRET_VALUE_MAX_BYTES / 7 + 1);
        let name = "a name has something else than letters, digits and '_', or begins with a digit";
        for (secrets, want) in [
            (
                vec![secret("other.example", "K", "hunter2")],
                "'other.example' is not among the allowed domains",
            ),
            (vec![secret("b.example", "K", "hunter2")], "'b.example' is not among the allowed domains"),
            (vec![secret("ssh.example", "K", "hunter2")], "'ssh.example' is not among the allowed domains"),
            (vec![secret("api.example", "", "hunter2")], name),
            (vec![secret("api.example", "2K", "hunter2")], name),
            (vec![secret("api.example", "K=hunter2", "x")], name),
            (vec![secret("api.example", "TAKEN", "hunter2")], "'TAKEN' is a variable as well"),
            (
                vec![secret("api.example", "SSL_CERT_FILE", "hunter2")],
                "'SSL_CERT_FILE' tells programs which certificates to trust",
            ),
            (vec![secret("api.example", "K", "")], "the value of 'K' is empty"),
            (
                vec![secret("api.example", "K", "hunter2\r\nX: y")],
                "the value of 'K' has a line break or another control character",
            ),
            (vec![secret("api.example", "K", &long)], "the value of 'K' is longer than 16384 bytes"),
            (vec![secret("api.example", "K", "hunter2"); 2], "'K' is given twice for 'api.example'"),
            (vec![secret("api.example", "K", "hunter2"); limits::SECRETS_MAX + 1], "more than 64"),
        ] {
            let error = judged(&secrets).unwrap_err();
            assert_eq!(error, format!("secrets: {want}"));
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn a_value_is_not_printed() {
        let authority = Authority { certificate: "certificate".to_owned(), key: Secret::new("hunter2") };
        let secrets = vec![secret("api.example", "KEY", "hunter2")];
        let all = DomainSecrets { authority, token: "00".to_owned(), secrets };
        assert!(!format!("{all:?}").contains("hunter2"));
        let want = BTreeMap::from([("KEY".to_owned(), "LAZARET_SECRET_KEY_00".to_owned())]);
        assert_eq!(all.environment(), want);
    }
}
