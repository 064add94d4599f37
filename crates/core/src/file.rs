//! Nouns of files inside a sandbox. Paths are bytes, because Linux says so.

use std::fmt;

use crate::{Error, Result, Timestamp, limits};

/// An absolute path inside a sandbox: no NUL, at most [`limits::PATH_MAX_BYTES`].
///
/// It is resolved by the guest, inside the sandbox's own mount namespace; the host never joins it to anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(Vec<u8>);

impl FilePath {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `path` if it is empty, relative, too long or has a NUL byte.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        let reason = match bytes.first() {
            None => "is empty".to_owned(),
            Some(first) if *first != b'/' => "is not absolute".to_owned(),
            Some(_) if bytes.contains(&0) => "has a NUL byte".to_owned(),
            Some(_) if bytes.len() > limits::PATH_MAX_BYTES => {
                format!("is longer than {} bytes", limits::PATH_MAX_BYTES)
            }
            Some(_) => return Ok(Self(bytes)),
        };
        Err(Error::invalid("path", reason))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, with what is not UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let at = self.0.iter().rposition(|byte| *byte == b'/')?;
        match at {
            0 if self.0.len() == 1 => None,
            0 => Some(Self(b"/".to_vec())),
            _ => Some(Self(self.0[..at].to_vec())),
        }
    }

    /// The bytes after the last slash; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

/// Where and as whom a file operation runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileScope {
    /// As in [`crate::ExecSpec::user`]; `None` for the sandbox's own user.
    pub user: Option<String>,
    /// Resolve beneath this directory without following any symbolic link.
    pub beneath: Option<FilePath>,
}

/// What kind of thing a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Other,
}

/// A path and what the guest says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Absolute path.
    pub path: FilePath,
    /// Its kind; links are not followed in listings.
    pub kind: FileKind,
    /// Size.
    pub bytes: u64,
    /// Permission bits, without the type.
    pub mode: u32,
    /// Owner, as the sandbox sees it.
    pub uid: u32,
    /// Group, as the sandbox sees it.
    pub gid: u32,
    /// Last change of content.
    pub modified_at: Timestamp,
    /// Where a link points.
    pub link_target: Option<Vec<u8>>,
}

/// Which part of a file to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadRange {
    /// First byte.
    pub offset: u64,
    /// How many bytes; `None` to the end.
    pub length: Option<u64>,
}

/// How to write a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Permission bits of a file that is new.
    pub mode: u32,
    /// Make missing directories above it.
    pub parents: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { mode: 0o644, parents: true }
    }
}
