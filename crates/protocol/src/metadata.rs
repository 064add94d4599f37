//! What a file is, as the sandbox sees it.

use minicbor::{Decode, Encode};

use crate::byte_string::ByteString;

/// The type bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum FileKind {
    /// A regular file.
    #[n(0)]
    File,
    /// A directory.
    #[n(1)]
    Directory,
    /// A symbolic link.
    #[n(2)]
    Symlink,
    /// A FIFO.
    #[n(3)]
    Fifo,
    /// A Unix socket.
    #[n(4)]
    Socket,
    /// A character or block device.
    #[n(5)]
    Device,
}

/// Metadata of one file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Metadata {
    /// What it is.
    #[n(0)]
    pub kind: FileKind,
    /// Length in bytes; of a symbolic link, of its target's name.
    #[n(1)]
    pub size: u64,
    /// Permission bits with set-uid, set-gid and sticky: 0 to 0o7777.
    #[n(2)]
    pub mode: u32,
    /// Owner, as the sandbox sees it.
    #[n(3)]
    pub uid: u32,
    /// Group, as the sandbox sees it.
    #[n(4)]
    pub gid: u32,
    /// Last change of the contents, seconds since 1970.
    #[n(5)]
    pub mtime_s: i64,
    /// Nanoseconds to add to `mtime_s`, 0 to 999,999,999.
    #[n(6)]
    pub mtime_ns: u32,
    /// Inode number.
    #[n(7)]
    pub inode: u64,
    /// Where a symbolic link points; `None` for anything else.
    #[n(8)]
    pub link_target: Option<ByteString>,
}

/// A line that holds the text that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Match {
    /// The file's path relative to the root of the search; empty when that is the file.
    #[n(0)]
    pub path: ByteString,
    /// Number of the line, from 1.
    #[n(1)]
    pub line: u64,
    /// The line without its end, cut at [`crate::limits::MATCH_LINE_MAX`].
    #[n(2)]
    pub text: ByteString,
}

/// One entry of a directory or a tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The entry's name, or in a walk its path relative to the root of the walk.
    #[n(0)]
    pub path: ByteString,
    /// Metadata of the entry itself; links are not followed.
    #[n(1)]
    pub metadata: Metadata,
}
