//! Values in place of placeholders, in the headers of a request.
//!
//! Headers are where keys belong, and where there is a form to put them in without harm: targets end up in the logs of
//! whoever passes them on, and bodies may be compressed, signed or endless. A user name and password of the `Basic` scheme
//! (RFC 7617) are a header too, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use lazaret_core::{DomainName, DomainSecrets, Secret};

/// The headers that decide whom a request is for and where it ends; nothing is put in there.
const KEPT: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// The scheme whose credentials are in base64, with its space.
const BASIC: &[u8] = b"basic ";

/// What is put into requests to one host.
#[derive(Debug, Clone)]
pub(crate) struct Substitutes {
    /// Placeholders and their values. No placeholder is the beginning of another: all have the same token at their end.
    pairs: Vec<(String, Secret)>,
}

/// A header would not be one with its value in it.
#[derive(Debug, thiserror::Error)]
#[error("a header cannot hold the secret that it names")]
pub(crate) struct Unfit;

impl Substitutes {
    pub(super) fn new(secrets: &DomainSecrets, host: &DomainName) -> Option<Self> {
        let pairs: Vec<_> = secrets
            .of(host)
            .map(|secret| (secrets.placeholder(&secret.name), secret.value.clone()))
            .collect();
        (!pairs.is_empty()).then_some(Self { pairs })
    }

    /// The values, for whoever has to know them again.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(_, value)| value.expose())
    }

    /// Puts the values in.
    pub(crate) fn put_in(&self, headers: &mut HeaderMap) -> Result<(), Unfit> {
        for (name, value) in headers.iter_mut().filter(|(name, _)| !KEPT.contains(name)) {
            let bytes = value.as_bytes();
            let changed = match credentials(name, bytes) {
                Some((scheme, text)) => self.replaced(&text).map(|changed| {
                    let mut header = scheme.to_vec();
                    header.extend_from_slice(STANDARD.encode(changed).as_bytes());
                    header
                }),
                None => self.replaced(bytes),
            };
            if let Some(changed) = changed {
                *value = HeaderValue::from_bytes(&changed).map_err(|_| Unfit)?;
                value.set_sensitive(true);
            }
        }
        Ok(())
    }

    /// The text with the values in it; `None` if it has no placeholder. What was put in is not looked at again.
    fn replaced(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut rest = text;
        let mut changed = Vec::new();
        while let Some((at, placeholder, value)) = self.first_in(rest) {
            changed.extend_from_slice(&rest[..at]);
            changed.extend_from_slice(value.expose().as_bytes());
            rest = &rest[at + placeholder.len()..];
        }
        if rest.len() == text.len() {
            return None;
        }
        changed.extend_from_slice(rest);
        Some(changed)
    }

    fn first_in(&self, text: &[u8]) -> Option<(usize, &str, &Secret)> {
        let found = self.pairs.iter().filter_map(|(placeholder, value)| {
            let at = text.windows(placeholder.len()).position(|part| part == placeholder.as_bytes())?;
            Some((at, placeholder.as_str(), value))
        });
        found.min_by_key(|(at, ..)| *at)
    }
}

/// Scheme and text of credentials in base64.
fn credentials<'a>(name: &HeaderName, value: &'a [u8]) -> Option<(&'a [u8], Vec<u8>)> {
    if name != header::AUTHORIZATION {
        return None;
    }
    let (scheme, text) = value.split_at_checked(BASIC.len())?;
    let is_basic = scheme.eq_ignore_ascii_case(BASIC);
    is_basic.then(|| STANDARD.decode(text.trim_ascii()).ok()).flatten().map(|text| (scheme, text))
}

#[cfg(test)]
mod tests {
    use lazaret_core::{Authority, DomainSecret};

    use super::*;

    fn secrets() -> DomainSecrets {
        let secret = |domain: &str, name: &str, value: &str| DomainSecret {
            domain: domain.parse().unwrap(),
            name: name.to_owned(),
            value: Secret::new(value),
        };
        DomainSecrets {
            authority: Authority { certificate: String::new(), key: Secret::new("") },
            token: "7e57".to_owned(),
            secrets: vec![
                secret("api.example", "KEY", "hunter2"),
                // Its value names another one, which must stay a name.
                secret("api.example", "KEY_2", "LAZARET_SECRET_KEY_7e57"),
                secret("other.example", "KEY", "swordfish"),
            ],
        }
    }

    fn sent(name: &'static str, value: &str) -> String {
        let substitutes = Substitutes::new(&secrets(), &"api.example".parse().unwrap()).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        substitutes.put_in(&mut headers).unwrap();
        assert!(!format!("{headers:?}").contains("hunter2"), "a value does not print");
        headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_placeholder_becomes_its_value_anywhere_in_a_header_and_nothing_else_changes() {
        const KEY: &str = "LAZARET_SECRET_KEY_7e57";
        for (name, value, want) in [
            ("authorization", format!("Bearer {KEY}"), "Bearer hunter2"),
            ("x-api-key", KEY.to_owned(), "hunter2"),
            ("cookie", format!("a=1; key={KEY}; b={KEY}"), "a=1; key=hunter2; b=hunter2"),
            ("x-api-key", "LAZARET_SECRET_KEY_2_7e57".to_owned(), KEY),
            ("x-api-key", format!("{KEY}{KEY}_"), "hunter2hunter2_"),
            ("x-api-key", "LAZARET_SECRET_KEY_7e5".to_owned(), "LAZARET_SECRET_KEY_7e5"),
            ("x-api-key", "lazaret_secret_key_7e57".to_owned(), "lazaret_secret_key_7e57"),
            ("authorization", "Basic !".to_owned(), "Basic !"),
            ("host", format!("{KEY}.example"), "LAZARET_SECRET_KEY_7e57.example"),
        ] {
            assert_eq!(sent(name, &value), want, "{name}: {value}");
        }
    }

    #[test]
    fn a_password_in_base64_is_put_in_there() {
        let given = format!("basic {}", STANDARD.encode("me:LAZARET_SECRET_KEY_7e57"));
        assert_eq!(sent("authorization", &given), format!("basic {}", STANDARD.encode("me:hunter2")));
        // In another header it is nobody's password.
        assert_eq!(sent("x-authorization", &given), given);
    }

    #[test]
    fn another_host_gets_its_own_value_or_none_at_all() {
        let of = |host: &str| {
            let substitutes = Substitutes::new(&secrets(), &host.parse().unwrap())?;
            Some(substitutes.values().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(of("other.example"), Some(vec!["swordfish".to_owned()]));
        assert_eq!(of("evil.example"), None);
        assert_eq!(of("sub.api.example"), None);
    }
}
