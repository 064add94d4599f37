//! Names of images as people write them.
//!
//! ```text
//! [registry[:port]/]path[/path...][:tag]        debian   debian:bookworm   localhost:5000/team/app:1.2
//! sha256:<64 hex digits>   or the first digits of it, at least twelve
//! ```
//!
//! A name without a tag means the tag `latest`, as everywhere in this field.

/// The tag of a name that has none.
const DEFAULT_TAG: &str = "latest";

/// Longest name in bytes: with the escapes of its slashes it is still a file name.
pub(crate) const NAME_BYTES_MAX: usize = 160;

/// Longest tag, from the OCI distribution specification.
const TAG_BYTES_MAX: usize = 128;

/// Fewest digits that stand for a digest: what other tools print as an image's short id.
const DIGEST_START_MIN: usize = 12;

/// Why a text is no name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or too long.
    #[error("an image name has 1 to {NAME_BYTES_MAX} bytes")]
    Length,
    /// The part before the tag is malformed.
    #[error(
        "an image name is made of lower-case letters, digits and single separators '.', '_', '-' and '/'"
    )]
    Path,
    /// The tag is malformed.
    #[error(
        "a tag has 1 to {TAG_BYTES_MAX} letters, digits, '.', '_' and '-', and starts with neither of the last two"
    )]
    Tag,
    /// The name is the built-in image's.
    #[error("the name belongs to the built-in image")]
    BuiltIn,
}

/// The one spelling under which a name is stored: always with a tag.
///
/// # Errors
/// See [`NameError`].
pub(crate) fn canonical(name: &str) -> Result<String, NameError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(NameError::Length);
    }
    let (path, tag) = split_tag(name);
    let tag = tag.unwrap_or(DEFAULT_TAG);
    let tag_starts_well = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let tag_is_clean = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !tag_starts_well || !tag_is_clean || tag.len() > TAG_BYTES_MAX {
        return Err(NameError::Tag);
    }
    let mut components = path.split('/').peekable();
    // A registry may carry a port; only the first of several components is one.
    let first = components.next().unwrap_or_default();
    let host = if components.peek().is_some() { strip_port(first) } else { first };
    if !std::iter::once(host).chain(components).all(is_component) {
        return Err(NameError::Path);
    }
    if path == crate::host::HOST_IMAGE {
        return Err(NameError::BuiltIn);
    }
    Ok(format!("{path}:{tag}"))
}

/// The short form of a name on Docker Hub, which is how people write it.
pub(crate) fn familiar(name: &str) -> &str {
    let hub = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    hub.map_or(name, |short| short.strip_prefix("library/").unwrap_or(short))
}

/// The hex digits of a digest or of its start; `None` for any other text.
pub(crate) fn digest_start(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (hex && (DIGEST_START_MIN..=64).contains(&digits.len())).then_some(digits)
}

/// A colon after the last slash starts a tag; one before it is a registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    }
}

fn strip_port(registry: &str) -> &str {
    match registry.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    }
}

/// Lower-case letters and digits, with separators inside.
fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_plain = bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
    ends_plain && bytes.iter().all(|b| plain(*b) || b"._-".contains(b)) && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stored_with_their_tag() {
        for (name, want) in [
            ("debian", Ok("debian:latest")),
            ("debian:bookworm-20250101", Ok("debian:bookworm-20250101")),
            ("python:3.13-slim", Ok("python:3.13-slim")),
            ("localhost:5000/team/app", Ok("localhost:5000/team/app:latest")),
            ("ghcr.io/a__b/c-d:v1.0_X", Ok("ghcr.io/a__b/c-d:v1.0_X")),
            ("", Err(NameError::Length)),
            ("Debian", Err(NameError::Path)),
            ("../etc", Err(NameError::Path)),
            ("a//b", Err(NameError::Path)),
            ("/a", Err(NameError::Path)),
            ("a/", Err(NameError::Path)),
            ("a b", Err(NameError::Path)),
            ("a\nb", Err(NameError::Path)),
            ("a%2Fb", Err(NameError::Path)),
            ("x:y/z", Err(NameError::Path)),
            ("a:", Err(NameError::Tag)),
            ("a:-x", Err(NameError::Tag)),
            ("a:b\0", Err(NameError::Tag)),
            ("host", Err(NameError::BuiltIn)),
            ("host:latest", Err(NameError::BuiltIn)),
        ] {
            assert_eq!(canonical(name), want.map(str::to_owned), "{name:?}");
        }
        assert_eq!(canonical(&"a".repeat(NAME_BYTES_MAX + 1)), Err(NameError::Length));
    }

    #[test]
    fn a_digest_may_be_cut_to_twelve_digits() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (text, want) in [
            (&format!("sha256:{hex}")[..], Some(hex)),
            (hex, Some(hex)),
            (&hex[..12], Some(&hex[..12])),
            (&hex[..11], None),
            ("E3B0C44298FC", None),
            ("debian", None),
            ("", None),
        ] {
            assert_eq!(digest_start(text), want, "{text:?}");
        }
    }
}
