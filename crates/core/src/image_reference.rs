//! Names of images as people write them, and where in a registry they lie.
//!
//! ```text
//! [registry[:port]/]path[/path...][:tag][@sha256:<64 hex digits>]
//!
//!   as written                     full                                  familiar, as it is stored
//!   debian                         docker.io/library/debian:latest       debian:latest
//!   team/app:1.2                   docker.io/team/app:1.2                team/app:1.2
//!   localhost:5000/app             localhost:5000/app:latest             localhost:5000/app:latest
//!   debian@sha256:...              docker.io/library/debian@sha256:...   debian@sha256:...
//! ```
//!
//! As everywhere in this field: no tag means `latest`, and the first part is a registry if it has a dot or a colon or is
//! `localhost`. An image of the store is also found by its digest or the first digits of it ([`digest_start`]).

use std::fmt;

use crate::Digest;

/// Name of the image that every server has: the host's own programs.
pub const BUILT_IN_IMAGE: &str = "host";

/// The registry of names that have none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Another spelling of it, in the output of old tools.
const DEFAULT_REGISTRY_ALIAS: &str = "index.docker.io";

/// The path of names on the default registry that have one component.
const OFFICIAL: &str = "library/";

/// The tag of a name that has neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// Longest name in bytes: with the escapes of its slashes it is still a file name.
const NAME_BYTES_MAX: usize = 160;

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
    /// What follows the `@` is no digest.
    #[error("a digest is 'sha256:' and 64 lower-case hexadecimal digits")]
    Digest,
    /// The name is the built-in image's.
    #[error("the name belongs to the built-in image")]
    BuiltIn,
}

/// Where an image lies: a registry, a repository in it, and a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    /// `None` if there is a digest and no tag was written.
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// What a name means.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(NameError::Length);
        }
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|_| NameError::Digest)?)),
            None => (name, None),
        };
        let (path, tag) = split_tag(name);
        let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG));
        if !tag.is_none_or(is_tag) {
            return Err(NameError::Tag);
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest.to_owned()),
            Some(_) => (DEFAULT_REGISTRY, path.to_owned()),
            None => (DEFAULT_REGISTRY, format!("{OFFICIAL}{path}")),
        };
        let registry = if registry == DEFAULT_REGISTRY_ALIAS { DEFAULT_REGISTRY } else { registry };
        let repository = match (registry, repository) {
            (DEFAULT_REGISTRY, path) if !path.contains('/') => format!("{OFFICIAL}{path}"),
            (_, path) => path,
        };
        if !is_component(strip_port(registry)) || !repository.split('/').all(is_component) {
            return Err(NameError::Path);
        }
        let (registry, tag) = (registry.to_owned(), tag.map(str::to_owned));
        let reference = Self { registry, repository, tag, digest };
        if reference.path() == BUILT_IN_IMAGE {
            return Err(NameError::BuiltIn);
        }
        Ok(reference)
    }

    /// Host of the registry, with its port if one was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path of the repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` if the reference is by digest alone.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written: it decides, whatever the tag.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The one spelling under which the image is stored, which is how people write it.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.path(), self.suffix())
    }

    /// Registry and repository as people write them.
    fn path(&self) -> String {
        let Self { registry, repository, .. } = self;
        if registry != DEFAULT_REGISTRY {
            return format!("{registry}/{repository}");
        }
        let short = repository.strip_prefix(OFFICIAL).filter(|short| !short.contains('/'));
        short.unwrap_or(repository).to_owned()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{tag}{digest}")
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.suffix())
    }
}

/// The hex digits of a digest or of its start; `None` for any other text.
pub fn digest_start(text: &str) -> Option<&str> {
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

fn is_tag(tag: &str) -> bool {
    let starts_well = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let clean = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    starts_well && clean && tag.len() <= TAG_BYTES_MAX
}

/// Whether the first of several components is a host.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

fn strip_port(registry: &str) -> &str {
    match registry.split_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
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

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_way_to_write_a_name_has_one_meaning_and_one_stored_spelling() {
        let by_digest = format!("debian@sha256:{HEX}");
        let both = format!("ghcr.io/a/b:1@sha256:{HEX}");
        for (name, full, familiar) in [
            ("debian", "docker.io/library/debian:latest", "debian:latest"),
            ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
            ("docker.io/debian:12", "docker.io/library/debian:12", "debian:12"),
            ("index.docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12"),
            ("python:3.13-slim", "docker.io/library/python:3.13-slim", "python:3.13-slim"),
            ("team/app", "docker.io/team/app:latest", "team/app:latest"),
            ("localhost:5000/team/app", "localhost:5000/team/app:latest", "localhost:5000/team/app:latest"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "127.0.0.1:5000/a:latest"),
            ("localhost/a:1", "localhost/a:1", "localhost/a:1"),
            ("ghcr.io/a__b/c-d:v1.0_X", "ghcr.io/a__b/c-d:v1.0_X", "ghcr.io/a__b/c-d:v1.0_X"),
            (&by_digest, &format!("docker.io/library/debian@sha256:{HEX}"), &by_digest),
            (&both, &both, &both),
        ] {
            let reference = ImageReference::parse(name).unwrap();
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
            assert_eq!(ImageReference::parse(&reference.familiar()).as_ref(), Ok(&reference), "{name}");
            assert_eq!(ImageReference::parse(&reference.to_string()).as_ref(), Ok(&reference), "{name}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (name, want) in [
            ("", NameError::Length),
            (&"a".repeat(NAME_BYTES_MAX + 1)[..], NameError::Length),
            ("Debian", NameError::Path),
            ("../etc", NameError::Path),
            ("a//b", NameError::Path),
            ("/a", NameError::Path),
            ("a/", NameError::Path),
            ("a b", NameError::Path),
            ("a\nb", NameError::Path),
            ("a%2Fb", NameError::Path),
            ("x:y/z", NameError::Path),
            ("x:99999/z", NameError::Path),
            ("user@ghcr.io/a", NameError::Digest),
            ("a@sha256:12", NameError::Digest),
            ("a@sha512:12", NameError::Digest),
            ("a:", NameError::Tag),
            ("a:-x", NameError::Tag),
            ("a:b\0", NameError::Tag),
            ("host", NameError::BuiltIn),
            ("host:latest", NameError::BuiltIn),
            ("docker.io/library/host", NameError::BuiltIn),
        ] {
            assert_eq!(ImageReference::parse(name), Err(want), "{name:?}");
        }
    }

    #[test]
    fn a_digest_may_be_cut_to_twelve_digits() {
        for (text, want) in [
            (&format!("sha256:{HEX}")[..], Some(HEX)),
            (HEX, Some(HEX)),
            (&HEX[..12], Some(&HEX[..12])),
            (&HEX[..11], None),
            ("E3B0C44298FC", None),
            ("debian", None),
            ("", None),
        ] {
            assert_eq!(digest_start(text), want, "{text:?}");
        }
    }
}
