//! The one place that reads environment variables which are no settings of ours (clap reads those).

use std::ffi::OsString;
use std::path::PathBuf;

/// The value of `name` if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the one reader of what clap has no flag for")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// What the terminal calls itself, with the least capable kind that programs agree on if it does not say.
pub(crate) fn term() -> String {
    variable("TERM").and_then(|term| term.into_string().ok()).unwrap_or_else(|| "xterm".to_owned())
}

/// Where data lives unless somebody says otherwise: `/var/lib/lazaret` for root, else `$XDG_DATA_HOME/lazaret`.
///
/// `None` if there is neither `XDG_DATA_HOME` nor `HOME`.
pub fn default_data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/lazaret"));
    }
    // A relative XDG_DATA_HOME is to be ignored, says the XDG base directory specification.
    let xdg = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let base = xdg.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")))?;
    Some(base.join("lazaret"))
}
