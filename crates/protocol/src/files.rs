//! Files of the sandbox: every request names a [`Target`] and is done as its user.
//!
//! ```text
//!   Stat      ─▶ Metadata                       Mkdir Rename Remove Chmod Chown Symlink ─▶ Done
//!   List Walk ─▶ Entries* ─▶ ListEnd            Readlink ─▶ Link                         Move ─▶ Done
//!   Read      ─▶ Metadata ─▶ Data* ─▶ Done      Write ─(Data* Commit)▶ Written
//!   Find      ─▶ Matches* ─▶ ListEnd            ReplaceText ─▶ Replaced
//! ```

use alloc::string::String;

use minicbor::{Decode, Encode};

use crate::byte_string::ByteString;

/// A path, and how far it may be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Target {
    /// Absolute; with `beneath`, relative to that directory. At most [`crate::limits::PATH_MAX`] bytes.
    #[n(0)]
    pub path: ByteString,
    /// Resolve `path` beneath this absolute directory, through no symbolic link and never out of it. Without,
    /// links are followed as any program of the sandbox would, though never the magic ones of `/proc`.
    #[n(1)]
    pub beneath: Option<ByteString>,
    /// On whose behalf, as in [`crate::Exec::user`]; `None` is root.
    #[n(2)]
    pub user: Option<String>,
}

impl Target {
    /// `path` as root, wherever its links lead inside the sandbox.
    #[must_use]
    pub fn absolute(path: impl Into<ByteString>) -> Self {
        Self { path: path.into(), beneath: None, user: None }
    }

    /// `path` as root, confined to the tree under `root`.
    #[must_use]
    pub fn beneath(root: impl Into<ByteString>, path: impl Into<ByteString>) -> Self {
        Self { path: path.into(), beneath: Some(root.into()), user: None }
    }
}

/// Metadata of one file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stat {
    /// The file.
    #[n(0)]
    pub target: Target,
    /// Whether a symbolic link at the end of the path is followed. Impossible with `beneath`.
    #[n(1)]
    #[cbor(default)]
    pub follow: bool,
}

/// The entries of a directory, in no order, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct List {
    /// The directory.
    #[n(0)]
    pub target: Target,
    /// Most entries to send; more set the flag in `ListEnd`.
    #[n(1)]
    pub limit: u32,
}

/// The entries of a tree, entering no links and staying on any file system it meets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Walk {
    /// The root of the tree.
    #[n(0)]
    pub target: Target,
    /// Most entries to send; more set the flag in `ListEnd`.
    #[n(1)]
    pub limit: u32,
    /// Which entries; `None` is all regular files. Since version 3.
    #[n(2)]
    pub selection: Option<Selection>,
}

/// Entries of every kind, as far as they are as this says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Selection {
    /// At most so many names below the root; 1 is its own entries. `None` is any number.
    #[n(0)]
    pub depth: Option<u32>,
    /// A glob that the last name matches: `*`, `?`, `[a-z]`, `[^a-z]`, and a backslash before what means itself.
    #[n(1)]
    pub name: Option<ByteString>,
    /// Tell of what a link points to, and leave out a link that points nowhere. Impossible with `beneath`.
    #[n(2)]
    #[cbor(default)]
    pub follow: bool,
}

/// The lines with a text in a file, or in the regular files of a tree that look like text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Find {
    /// The file or the root of the tree.
    #[n(0)]
    pub target: Target,
    /// The text, at most [`crate::limits::PATTERN_MAX`] bytes. Every byte means itself.
    #[n(1)]
    pub text: ByteString,
    /// Most lines to send; more set the flag in `ListEnd`.
    #[n(2)]
    pub limit: u32,
}

/// Put one text in the place of another, everywhere in a regular file, in one step.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReplaceText {
    /// The file; links are followed, except beneath a root.
    #[n(0)]
    pub target: Target,
    /// The text that goes, at most [`crate::limits::PATTERN_MAX`] bytes. Every byte means itself.
    #[n(1)]
    pub text: ByteString,
    /// The text that comes.
    #[n(2)]
    pub with: ByteString,
}

/// The contents of a regular file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Read {
    /// The file.
    #[n(0)]
    pub target: Target,
    /// Where to begin; past the end there is nothing to read.
    #[n(1)]
    #[cbor(default)]
    pub offset: u64,
    /// Most bytes to send; `None` is all.
    #[n(2)]
    pub len: Option<u64>,
}

/// What happens to a file that exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Disposition {
    /// Its place is taken in one step when the upload is committed; readers see the old or the new contents.
    #[default]
    #[n(0)]
    Replace,
    /// The request fails with `AlreadyExists`; a new file appears in one step when the upload is committed.
    #[n(1)]
    CreateNew,
    /// The bytes are appended as they come. This is the one that a lost connection leaves half done.
    #[n(2)]
    Append,
}

/// Write a regular file from the `Data` frames that follow, up to `Commit`.
///
/// The host need not wait for an answer before it sends data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Write {
    /// The file.
    #[n(0)]
    pub target: Target,
    /// What to do when it exists.
    #[n(1)]
    pub disposition: Disposition,
    /// Permission bits of a file that is new; `None` is 0o644. A file that is replaced keeps its bits, and, if the
    /// user is root, its owner.
    #[n(2)]
    pub mode: Option<u32>,
    /// Make missing directories on the way, with mode 0o755.
    #[n(3)]
    #[cbor(default)]
    pub parents: bool,
}

/// Make a directory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Mkdir {
    /// The directory.
    #[n(0)]
    pub target: Target,
    /// Permission bits; `None` is 0o755.
    #[n(1)]
    pub mode: Option<u32>,
    /// Make missing directories on the way, and succeed when the directory exists.
    #[n(2)]
    #[cbor(default)]
    pub parents: bool,
}

/// Give a file or directory another name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rename {
    /// The present name. A symbolic link itself is renamed.
    #[n(0)]
    pub target: Target,
    /// The new name, resolved in the same way.
    #[n(1)]
    pub to: ByteString,
    /// Whether a file of the new name is replaced; otherwise the request fails with `AlreadyExists`.
    #[n(2)]
    #[cbor(default)]
    pub replace: bool,
}

/// Remove a file, a link or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remove {
    /// What to remove. A symbolic link itself is removed.
    #[n(0)]
    pub target: Target,
    /// Whether a directory goes with everything in it; otherwise it must be empty.
    #[n(1)]
    #[cbor(default)]
    pub recursive: bool,
}

/// Change permission bits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chmod {
    /// The file; links are followed, except beneath a root.
    #[n(0)]
    pub target: Target,
    /// The new bits, 0 to 0o7777.
    #[n(1)]
    pub mode: u32,
}

/// A part of a file's ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum OwnerPart {
    /// The user.
    #[n(0)]
    User,
    /// The group.
    #[n(1)]
    Group,
}

/// Change the owner and group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chown {
    /// The file; links are followed, except beneath a root.
    #[n(0)]
    pub target: Target,
    /// The new owner, in the words of [`crate::Exec::user`].
    #[n(1)]
    pub owner: String,
    /// Change this part alone; `None` is both. For the group, `owner` is the name or id of a group. Since version 3.
    #[n(2)]
    pub only: Option<OwnerPart>,
}

/// Make a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Symlink {
    /// Where the link is to be.
    #[n(0)]
    pub target: Target,
    /// Where it is to point; not checked.
    #[n(1)]
    pub points_to: ByteString,
}

/// Where a symbolic link points.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Readlink {
    /// The link.
    #[n(0)]
    pub target: Target,
}
