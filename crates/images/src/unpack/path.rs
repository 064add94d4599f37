//! Names of entries, as they may be used beneath a root.
//!
//! ```text
//! archive bytes ──parse──▶ EntryPath: components joined by '/', none of them empty, "." or ".."
//! ```
//!
//! Leading and repeated slashes and `.` components are dropped, so that an absolute name becomes relative to the
//! root. `..` is refused rather than resolved: no tool that makes images writes it, and resolving it here could
//! disagree with what the file system does when a component before it is a symlink. Names are bytes: Linux does
//! not ask for UTF-8 and neither does this.

use std::fmt;

/// Longest name in bytes, one less than the kernel's `PATH_MAX`, which counts the final NUL (limits.h).
pub const PATH_BYTES_MAX: usize = 4095;

/// Longest component in bytes: `NAME_MAX` of every file system that can hold an image.
pub const COMPONENT_BYTES_MAX: usize = 255;

/// Deepest nesting of components. Removing a tree holds a descriptor per level, and a server's soft limit is
/// often 1,024 of them; the deepest real trees (nested `node_modules`) stay below 60.
pub const DEPTH_MAX: usize = 200;

/// A name relative to the root of an image; the root itself is the empty path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Vec<u8>);

/// Why a name cannot be used beneath a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The name holds a `..` component.
    #[error("the name goes up with \"..\"")]
    Parent,
    /// The name holds a NUL byte.
    #[error("the name holds a NUL byte")]
    Nul,
    /// The name is longer than [`PATH_BYTES_MAX`].
    #[error("the name is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A component is longer than [`COMPONENT_BYTES_MAX`].
    #[error("a component of the name is longer than {COMPONENT_BYTES_MAX} bytes")]
    ComponentTooLong,
    /// The name has more than [`DEPTH_MAX`] components.
    #[error("the name is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

impl EntryPath {
    /// The root of the image.
    pub const ROOT: EntryPath = EntryPath(Vec::new());

    /// The normalised name.
    ///
    /// # Errors
    /// See [`PathError`]; `/`, `.` and the empty name are the root, not errors.
    pub fn parse(raw: &[u8]) -> Result<EntryPath, PathError> {
        if raw.contains(&0) {
            return Err(PathError::Nul);
        }
        if raw.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let mut path = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for component in raw.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::Parent),
                _ if component.len() > COMPONENT_BYTES_MAX => return Err(PathError::ComponentTooLong),
                _ if depth == DEPTH_MAX => return Err(PathError::TooDeep),
                _ => depth += 1,
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        Ok(EntryPath(path))
    }

    /// The name as it goes to a system call that resolves beneath the root's descriptor; `.` for the root.
    pub fn as_bytes(&self) -> &[u8] {
        if self.0.is_empty() { b"." } else { &self.0 }
    }

    /// Whether this is the root of the image.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that holds the entry and the entry's own name in it; `None` for the root.
    pub fn split(&self) -> Option<(EntryPath, &[u8])> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (EntryPath(self.0[..slash].to_vec()), &self.0[slash + 1..]),
            None => (EntryPath::ROOT, &self.0[..]),
        })
    }

    /// The entry `name` in this directory.
    ///
    /// # Errors
    /// As [`EntryPath::parse`].
    pub fn child(&self, name: &[u8]) -> Result<EntryPath, PathError> {
        let mut raw = self.0.clone();
        raw.push(b'/');
        raw.extend_from_slice(name);
        EntryPath::parse(&raw)
    }

    /// Every directory above the entry, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let whole = &self.0;
        whole.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &whole[..at])
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"/{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(raw: &[u8], want: Result<&[u8], PathError>) {
        assert_eq!(
            EntryPath::parse(raw).map(|path| path.0),
            want.map(<[u8]>::to_vec),
            "{}",
            raw.escape_ascii()
        );
    }

    #[test]
    fn names_become_relative_and_lose_what_says_nothing() {
        for (raw, want) in [
            (&b"etc/passwd"[..], &b"etc/passwd"[..]),
            (b"./etc/passwd", b"etc/passwd"),
            (b"/etc//passwd/", b"etc/passwd"),
            (b"././/.", b""),
            (b"", b""),
            (b"/", b""),
            (b"a/...", b"a/..."),
            (b"a\\..\\b", b"a\\..\\b"),
            (b"caf\xe9/\xff", b"caf\xe9/\xff"),
            (b"new\nline", b"new\nline"),
        ] {
            check(raw, Ok(want));
        }
    }

    #[test]
    fn names_that_climb_hide_or_grow_without_bound_are_refused() {
        for raw in [&b".."[..], b"../a", b"a/../b", b"/..", b"a/.."] {
            check(raw, Err(PathError::Parent));
        }
        check(b"a\0b", Err(PathError::Nul));
        check(&[b'a'; 256], Err(PathError::ComponentTooLong));
        check(&b"ab/".repeat(1366), Err(PathError::TooLong));
        check(&b"a/".repeat(DEPTH_MAX + 1), Err(PathError::TooDeep));
        check(&b"a/".repeat(DEPTH_MAX), Ok(&b"a/".repeat(DEPTH_MAX)[..DEPTH_MAX * 2 - 1]));
    }

    #[test]
    fn a_path_splits_into_its_directory_and_name() {
        let path = EntryPath::parse(b"usr/lib/os-release").unwrap();
        let (parent, name) = path.split().unwrap();
        assert_eq!((parent.as_bytes(), name), (&b"usr/lib"[..], &b"os-release"[..]));
        assert_eq!(path.ancestors().collect::<Vec<_>>(), [&b"usr/lib"[..], b"usr"]);
        assert_eq!(parent.child(name), Ok(path));
        assert_eq!(EntryPath::ROOT.split(), None);
    }

    proptest! {
        #[test]
        fn parsing_never_yields_a_component_that_leaves_its_directory(raw in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(0u8), any::<u8>()], 0..64,
        )) {
            if let Ok(path) = EntryPath::parse(&raw) {
                prop_assert!(!path.as_bytes().starts_with(b"/"));
                prop_assert!(path.components().all(|c| !matches!(c, b"" | b"." | b"..") && !c.contains(&0)));
                prop_assert_eq!(EntryPath::parse(path.as_bytes()), Ok(path));
            }
        }
    }
}
