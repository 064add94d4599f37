//! What this program takes from its environment: the sandbox's, which its tenant may have set.
#![expect(clippy::disallowed_methods, reason = "a program inside a sandbox has no other settings")]

use std::env;
use std::path::PathBuf;

/// The files that may name the authorities that remotes' certificates are checked with; the first that is set counts.
pub(crate) fn certificate_file() -> Option<PathBuf> {
    ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE"]
        .into_iter()
        .filter_map(env::var_os)
        .find(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The home directory of the user.
pub(crate) fn home() -> Option<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}
