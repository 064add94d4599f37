//! Credentials from docker's own configuration file.
//!
//! ```text
//! {"auths": {"registry.example:5000": {"auth": "<base64 of name:password>"}, "https://index.docker.io/v1/": {...}}}
//! ```
//!
//! Credential helpers are programs of the user who logged in; a server does not run them. A file that leaves credentials
//! to one is refused with its name, so that nobody wonders why a pull is denied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::auth::decode_pair;
use super::settings::Credentials;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Docker's name for its own registry, of the time before registries had a protocol version.
const DOCKER_HUB_KEYS: &[&str] = &["index.docker.io", "registry-1.docker.io"];

/// Why the file's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// It cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// It is not what docker writes.
    #[error("{} is not a docker configuration", .0.display())]
    Malformed(PathBuf, #[source] serde_json::Error),
    /// An entry is not what docker writes.
    #[error("{}: the entry {host:?} has no name and password in \"auth\"", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's key.
        host: String,
    },
    /// The credentials are elsewhere.
    #[error(
        "{} leaves credentials to the helper {helper:?}, which a server does not run; \
         put them into [images.credentials]", .path.display()
    )]
    Helper {
        /// The file.
        path: PathBuf,
        /// The helper's name.
        helper: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
}

/// The credentials of a file, by registry.
///
/// # Errors
/// See [`DockerConfigError`].
pub fn read(path: &Path) -> Result<BTreeMap<String, Credentials>, DockerConfigError> {
    use std::io::Read;
    let mut json = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut json))
        .map_err(|error| DockerConfigError::Read(path.to_owned(), error))?;
    let file: ConfigFile = serde_json::from_slice(&json)
        .map_err(|error| DockerConfigError::Malformed(path.to_owned(), error))?;
    if let Some(helper) = file.creds_store.or_else(|| file.cred_helpers.into_values().next()) {
        return Err(DockerConfigError::Helper { path: path.to_owned(), helper });
    }
    let credentials = file.auths.into_iter().map(|(key, entry)| {
        let found = entry.auth.as_deref().and_then(decode_pair);
        let host = registry_of(&key).to_owned();
        let found = found.ok_or(DockerConfigError::Entry { path: path.to_owned(), host: key });
        Ok((host, found?))
    });
    credentials.collect()
}

/// The registry that a key of the file stands for: old ones are URLs.
fn registry_of(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = bare.split('/').next().unwrap_or(bare);
    if DOCKER_HUB_KEYS.contains(&host) { "docker.io" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<BTreeMap<String, Credentials>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json).unwrap();
        let error =
            |error: DockerConfigError| error.to_string().replace(&file.path().display().to_string(), "FILE");
        read(file.path()).map_err(error)
    }

    #[test]
    fn what_docker_login_wrote_is_understood() {
        let found = parse(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6c2VjcmV0"},"r.example:5000":{"auth":"YTpiOmM="}},
                "HttpHeaders":{"User-Agent":"x"}}"#,
        )
        .unwrap();
        let pair = |host: &str| {
            let Credentials { username, password } = &found[host];
            (username.as_str(), password.expose())
        };
        assert_eq!(pair("docker.io"), ("me", "secret"));
        assert_eq!(pair("r.example:5000"), ("a", "b:c"));
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (json, want) in [
            (r#"{"auths":{"r":{}},"credsStore":"pass"}"#, "FILE leaves credentials to the helper \"pass\""),
            (r#"{"auths":{"r":{}}}"#, "FILE: the entry \"r\" has no name and password"),
            (r#"{"auths":{"r":{"auth":"!"}}}"#, "FILE: the entry \"r\" has no name"),
            ("[]", "FILE is not a docker configuration"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
