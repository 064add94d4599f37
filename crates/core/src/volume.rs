//! Volumes: named directories of an account that sandboxes mount, and that outlive them.
//!
//! ```text
//!   create ──▶ ready ── delete, while no sandbox mounts it ──▶ deleting ──▶ (gone)
//!                 ▲
//!   sandbox ── VolumeMount { volume, path, subpath }
//! ```
//!
//! A volume is mounted by any number of sandboxes at once, which see one another's files. Not here: how the host keeps them
//! apart from everything else (the runtime).

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::template::check_handle;
use crate::{AccountId, Error, Result, Timestamp, VolumeId, limits};

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Whose it is.
    pub account: AccountId,
    /// Unique within the account; it never changes.
    pub name: String,
    /// What its files, with the file system's own bookkeeping, may take at most.
    pub size_bytes: u64,
    /// Where it is in its life.
    pub state: VolumeState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When a sandbox last started with it.
    pub last_used_at: Option<Timestamp>,
    /// Position in creation order. Zero until the store has numbered it.
    pub sequence: u64,
}

/// A wanted volume.
#[derive(Debug, Clone)]
pub struct NewVolume {
    /// A name that no other volume of the account has.
    pub name: String,
    /// Its limit; `None` for [`limits::VOLUME_DEFAULT_BYTES`].
    pub size_bytes: Option<u64>,
}

impl NewVolume {
    /// Checks the name and the size, and gives the size.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `name` or `size_bytes`.
    pub fn check(&self) -> Result<u64> {
        check_handle(&self.name)?;
        if self.name.contains(['/', ':']) {
            return Err(Error::invalid("name", "has a slash or a colon"));
        }
        let size_bytes = self.size_bytes.unwrap_or(limits::VOLUME_DEFAULT_BYTES);
        let (low, high) = (limits::VOLUME_MIN_BYTES, limits::VOLUME_MAX_BYTES);
        if !(low..=high).contains(&size_bytes) {
            let reason = format!("must be from {low} to {high}, not {size_bytes}");
            return Err(Error::invalid("size_bytes", reason));
        }
        Ok(size_bytes)
    }
}

/// Where a volume is in its life. The picture is in the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeState {
    /// Sandboxes can mount it.
    Ready,
    /// It goes, with its files.
    Deleting,
}

impl VolumeState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Ready, Self::Deleting];

    /// The state's word, in answers, tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for VolumeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a state of a volume")]
pub struct UnknownVolumeState(String);

impl FromStr for VolumeState {
    type Err = UnknownVolumeState;

    fn from_str(text: &str) -> Result<Self, UnknownVolumeState> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| UnknownVolumeState(text.to_owned()))
    }
}

/// A volume in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// Which.
    pub volume: VolumeId,
    /// Where it is inside.
    pub path: MountPath,
    /// The directory of the volume that is there in place of all of it; made if it is missing.
    pub subpath: Option<Subpath>,
}

/// A volume that a sandbox shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedMount {
    /// Its name or id.
    pub volume: String,
    /// As in [`VolumeMount`].
    pub path: MountPath,
    /// As in [`VolumeMount`].
    pub subpath: Option<Subpath>,
}

/// Refuses too many mounts and two at one path.
pub(crate) fn check_mounts(mounts: &[WantedMount]) -> Result<()> {
    if mounts.len() > limits::VOLUME_MOUNTS_MAX {
        return Err(Error::invalid("volumes", format!("more than {}", limits::VOLUME_MOUNTS_MAX)));
    }
    let mut paths: Vec<&MountPath> = mounts.iter().map(|mount| &mount.path).collect();
    paths.sort();
    match paths.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid("volumes", format!("{} is the path of two", pair[0]))),
        None => Ok(()),
    }
}

/// Where a volume may be in a sandbox: an absolute path that says what it means, and not one that a start needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountPath(String);

impl MountPath {
    /// Checks `text`; slashes at its end say nothing and are dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `volumes`.
    pub fn new(text: &str) -> Result<Self> {
        /// What each start makes anew, and what it writes to.
        const TAKEN: [&str; 4] = ["/proc", "/sys", "/dev", "/etc"];
        let invalid = |reason: &str| Err(Error::invalid("volumes", format!("the path {text:?} {reason}")));
        let Some(relative) = text.strip_prefix('/') else { return invalid("is not absolute") };
        let relative = relative.trim_end_matches('/');
        if relative.is_empty() {
            return invalid("is the root");
        }
        if let Err(reason) = check_components(relative) {
            return invalid(reason);
        }
        let path = format!("/{relative}");
        if TAKEN.iter().any(|taken| Path::new(&path).starts_with(taken)) {
            return invalid("is a place that every sandbox needs for itself");
        }
        Ok(Self(path))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A directory of a volume: a relative path that cannot lead out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subpath(String);

impl Subpath {
    /// Checks `text`; slashes at its end say nothing and are dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `volumes`.
    pub fn new(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Err(Error::invalid("volumes", format!("the subpath {text:?} {reason}")));
        if text.starts_with('/') {
            return invalid("is not relative");
        }
        let path = text.trim_end_matches('/');
        if let Err(reason) = check_components(path) {
            return invalid(reason);
        }
        Ok(Self(path.to_owned()))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a relative path is not what it says, if it is not.
fn check_components(path: &str) -> Result<(), &'static str> {
    if path.len() > limits::MOUNT_PATH_MAX_BYTES {
        return Err("is too long");
    }
    if path.chars().any(char::is_control) {
        return Err("has a control character");
    }
    for component in path.split('/') {
        match component {
            "" => return Err("has an empty part"),
            "." | ".." => return Err("has a part that is . or .."),
            _ if component.len() > limits::FILENAME_MAX_BYTES => return Err("has a part that is too long"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_is_absolute_clean_and_nowhere_that_a_start_needs() {
        let long = format!("/{}", "x/".repeat(limits::MOUNT_PATH_MAX_BYTES));
        let part = format!("/{}", "x".repeat(256));
        for (text, reason) in [
            ("", "is not absolute"),
            ("data", "is not absolute"),
            ("/", "is the root"),
            ("//", "is the root"),
            ("/a//b", "has an empty part"),
            ("/a/./b", "has a part that is . or .."),
            ("/a/../etc", "has a part that is . or .."),
            ("/..", "has a part that is . or .."),
            ("/a\nb", "has a control character"),
            ("/a\0b", "has a control character"),
            (long.as_str(), "is too long"),
            (part.as_str(), "has a part that is too long"),
            ("/proc", "is a place that every sandbox needs for itself"),
            ("/proc/self", "is a place that every sandbox needs for itself"),
            ("/sys/fs", "is a place that every sandbox needs for itself"),
            ("/dev/shm/", "is a place that every sandbox needs for itself"),
            ("/etc", "is a place that every sandbox needs for itself"),
        ] {
            let refused = MountPath::new(text).map_err(|error| error.to_string());
            assert_eq!(refused, Err(format!("volumes: the path {text:?} {reason}")));
        }
        for (text, path) in [("/data", "/data"), ("/srv/a b/", "/srv/a b"), ("/process", "/process")] {
            assert_eq!(MountPath::new(text).unwrap().as_str(), path);
        }
    }

    #[test]
    fn a_subpath_is_relative_and_stays_within() {
        for (text, reason) in [
            ("", "has an empty part"),
            ("/a", "is not relative"),
            ("..", "has a part that is . or .."),
            ("a/../../b", "has a part that is . or .."),
            ("a//b", "has an empty part"),
            ("a\tb", "has a control character"),
        ] {
            let refused = Subpath::new(text).map_err(|error| error.to_string());
            assert_eq!(refused, Err(format!("volumes: the subpath {text:?} {reason}")));
        }
        assert_eq!(Subpath::new("users/alice/").unwrap().as_str(), "users/alice");
    }

    #[test]
    fn mounts_are_few_and_each_at_a_path_of_its_own() {
        let at = |path: &str| WantedMount {
            volume: "v".to_owned(),
            path: MountPath::new(path).unwrap(),
            subpath: None,
        };
        let refused =
            |mounts: &[WantedMount]| check_mounts(mounts).map_err(|error| error.to_string()).unwrap_err();
        assert_eq!(refused(&[at("/a"), at("/b"), at("/a/")]), "volumes: /a is the path of two");
        let many: Vec<_> = (0..=limits::VOLUME_MOUNTS_MAX).map(|number| at(&format!("/{number}"))).collect();
        assert_eq!(refused(&many), "volumes: more than 8");
        check_mounts(&[at("/a"), at("/a/b")]).unwrap();
    }

    #[test]
    fn a_volume_has_a_name_that_stands_for_it_everywhere_and_a_size_within_bounds() {
        let check = |name: &str, size_bytes| {
            NewVolume { name: name.to_owned(), size_bytes }.check().map_err(|error| error.to_string())
        };
        assert_eq!(check("cache", None), Ok(limits::VOLUME_DEFAULT_BYTES));
        assert_eq!(check("a/b", None), Err("name: has a slash or a colon".to_owned()));
        assert_eq!(check("a:b", None), Err("name: has a slash or a colon".to_owned()));
        assert_eq!(check(&"0a".repeat(16), None), Err("name: has the form of an id".to_owned()));
        let reason = "size_bytes: must be from 33554432 to 1099511627776, not 5";
        assert_eq!(check("a", Some(5)), Err(reason.to_owned()));
    }

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in VolumeState::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
    }
}
