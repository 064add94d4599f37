//! Host names of previews.
//!
//! A label has 63 characters, knows no upper case, and is cut at its first hyphen: a port of up to five digits, then the
//! id as a UUID (36), or a signed preview to the base 32 (56).

use std::fmt::Display;

use axum::extract::Request;
use axum::http::header::HOST;
use lazaret_core::{SIGNED_PREVIEW_BYTES, SandboxId, SignedPreview};

use crate::ids;

/// The domain that leads to this machine from itself, without any name server (RFC 6761).
const LOCAL_DOMAIN: &str = "localhost";

/// Digits of the base 32 (RFC 4648), in the case that host names have.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Digits of a signed preview.
const SIGNED_DIGITS: usize = SIGNED_PREVIEW_BYTES * 8 / 5;

const _: () = assert!((SIGNED_PREVIEW_BYTES * 8).is_multiple_of(5) && SIGNED_DIGITS + 6 <= 63);

/// What follows the port in a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daytona) enum Label {
    /// A sandbox, for those who may.
    Sandbox(SandboxId),
    /// A preview that carries its proof.
    Signed(SignedPreview),
}

/// Which preview a request is for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The port; `None` for a name that is no port's.
    pub(super) place: Option<(u16, Label)>,
    /// The host as it was asked for, with its port if it has one.
    pub(super) host: String,
}

impl Wanted {
    /// The preview at the host of this request; `None` if that is no preview's. `domain` is the operator's own.
    pub(super) fn of(request: &Request, domain: Option<&str>) -> Option<Self> {
        let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = header.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str))?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let beneath = |domain: &str| name.strip_suffix(domain)?.strip_suffix('.');
        let label = domain.and_then(beneath).or_else(|| beneath(LOCAL_DOMAIN))?;
        // Another name beneath the domain is nobody's preview.
        let (port, rest) = label.split_once('-')?;
        if label.contains('.') || port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let port = port.parse().ok().filter(|port| *port != 0);
        Some(Self { place: port.zip(Label::parse(rest)), host: host.to_owned() })
    }
}

impl Label {
    /// Reads what follows the hyphen.
    pub(in crate::daytona) fn parse(text: &str) -> Option<Self> {
        if text.len() == SIGNED_DIGITS {
            return decode(text).map(|bytes| Self::Signed(SignedPreview(bytes)));
        }
        ids::parse_uuid(text).map(|bytes| Self::Sandbox(SandboxId::from_bytes(bytes)))
    }

    /// Writes it.
    pub(in crate::daytona) fn text(&self) -> String {
        match self {
            Self::Sandbox(id) => ids::uuid(id.as_bytes()),
            Self::Signed(preview) => encode(&preview.0),
        }
    }
}

/// The URL of a preview, for a client that knows this server by `base`.
pub(in crate::daytona) fn address(
    base: &str,
    domain: Option<&str>,
    port: impl Display,
    label: &str,
) -> String {
    let (scheme, host) = base.split_once("://").unwrap_or(("http", base));
    let host = host.split('/').next().unwrap_or(host);
    // What follows the last colon of `[::1]` is no port.
    let own_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let own_port = own_port.map_or_else(String::new, |(_, port)| format!(":{port}"));
    format!("{scheme}://{port}-{label}.{}{own_port}", domain.unwrap_or(LOCAL_DOMAIN))
}

fn encode(bytes: &[u8; SIGNED_PREVIEW_BYTES]) -> String {
    // Five bytes are eight digits.
    let digits = bytes.chunks_exact(5).flat_map(|chunk| {
        let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        (0..8).rev().map(move |at| char::from(ALPHABET[(number >> (5 * at) & 31) as usize]))
    });
    digits.collect()
}

fn decode(text: &str) -> Option<[u8; SIGNED_PREVIEW_BYTES]> {
    let mut bytes = Vec::with_capacity(SIGNED_PREVIEW_BYTES);
    for chunk in text.as_bytes().chunks_exact(8) {
        let number = chunk.iter().try_fold(0_u64, |number, digit| {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            Some(number << 5 | u64::try_from(value).ok()?)
        })?;
        bytes.extend_from_slice(&number.to_be_bytes()[3..]);
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const ID: &str = "68a00001-ff00-8010-9020-3040506070ff";

    fn wanted(host: &str) -> Option<Option<(u16, String)>> {
        let request = Request::builder().header(HOST, host).body(Body::empty()).unwrap();
        let wanted = Wanted::of(&request, Some("previews.example.org"))?;
        Some(wanted.place.map(|(port, label)| (port, label.text())))
    }

    #[test]
    fn a_host_is_a_previews_beneath_its_domains_alone() {
        let here = Some(Some((3000, ID.to_owned())));
        for host in [
            format!("3000-{ID}.localhost"),
            format!("3000-{ID}.localhost:8080"),
            format!("3000-{ID}.LOCALHOST."),
            format!("3000-{}.previews.example.org:443", ID.to_uppercase()),
        ] {
            assert_eq!(wanted(&host), here, "{host}");
        }
        for api in [
            "localhost:8080".to_owned(),
            "127.0.0.1".to_owned(),
            "[::1]:8080".to_owned(),
            "previews.example.org".to_owned(),
            "api.localhost".to_owned(),
            "my-api.localhost".to_owned(),
            format!("3000-{ID}.example.org"),
            format!("3000-{ID}.evilpreviews.example.org"),
            format!("x.3000-{ID}.localhost"),
        ] {
            assert_eq!(wanted(&api), None, "{api}");
        }
        for nothing in ["3000-x.localhost", "0-x.localhost", "99999-x.localhost", "3000-.localhost"] {
            assert_eq!(wanted(nothing), Some(None), "{nothing}");
        }
        assert_eq!(wanted(&format!("70000-{ID}.localhost")), Some(None));
    }

    #[test]
    fn a_signed_preview_is_one_label_and_reads_back() {
        for bytes in [[0; SIGNED_PREVIEW_BYTES], [0xff; SIGNED_PREVIEW_BYTES], [0x5a; SIGNED_PREVIEW_BYTES]] {
            let label = Label::Signed(SignedPreview(bytes));
            let text = label.text();
            assert_eq!(text.len(), SIGNED_DIGITS);
            assert!(format!("65535-{text}").len() <= 63);
            assert_eq!(Label::parse(&text), Some(label));
        }
        assert_eq!(Label::parse(&"1".repeat(SIGNED_DIGITS)), None);
    }

    #[test]
    fn a_url_has_the_scheme_and_port_by_which_the_client_came() {
        for (base, domain, want) in [
            ("http://127.0.0.1:8080", None, format!("http://3000-{ID}.localhost:8080")),
            ("http://[::1]:8080", None, format!("http://3000-{ID}.localhost:8080")),
            ("http://[::1]", None, format!("http://3000-{ID}.localhost")),
            ("https://api.example.org", Some("p.example.org"), format!("https://3000-{ID}.p.example.org")),
        ] {
            assert_eq!(address(base, domain, 3000, ID), want);
        }
    }
}
