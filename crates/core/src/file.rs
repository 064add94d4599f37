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

/// What is told of a symbolic link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// That it is one.
    #[default]
    Kept,
    /// What it leads to; one that leads nowhere is not there.
    Followed,
}

/// Which entries of a tree, of whatever kind. No link to a directory is ever entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeQuery {
    /// At most so many names down, from 1; `None` is any number.
    pub depth: Option<u32>,
    /// A glob for the last name: `*`, `?`, `[a-z]`, `[^a-z]`, and a backslash before what means itself.
    pub name: Option<String>,
    /// What is told of links.
    pub links: Links,
}

/// A line that holds the text that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineMatch {
    /// The file.
    pub path: FilePath,
    /// Its number, from 1.
    pub line: u64,
    /// The line without its end; a long one is cut.
    pub text: Vec<u8>,
}

/// A new owner: a user, a group or both, each by name or by id, as the sandbox knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user; `None` leaves it.
    pub user: Option<String>,
    /// The group; `None` leaves it.
    pub group: Option<String>,
}

impl Owner {
    /// Both, by their ids.
    pub fn ids(uid: u32, gid: u32) -> Self {
        Self { user: Some(uid.to_string()), group: Some(gid.to_string()) }
    }

    /// Refuses what names nobody.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `owner` or `group`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.user.is_none() && self.group.is_none() {
            return Err(Error::invalid("owner", "or group must be given"));
        }
        for (field, name) in [("owner", &self.user), ("group", &self.group)] {
            if let Some(name) = name
                && (name.is_empty() || name.len() > 60 || name.contains(|c: char| c == ':' || c.is_control()))
            {
                return Err(Error::invalid(field, "is not a name or an id"));
            }
        }
        Ok(())
    }
}

/// What a move does to what has the new name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// A file is replaced, and so is an empty directory by a directory.
    #[default]
    Replaced,
    /// It stays, and the move fails with [`crate::FileProblem::AlreadyExists`].
    Kept,
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
