//! The `host` image as a value: what its root will hold, before anything is written.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use lazaret_core::Digest;

use crate::hash::digest_from;
use crate::unpack::path::EntryPath;
use crate::unpack::tree::{Attributes, Tree, TreeError};

/// Goes into the digest, so that a change in how plans are written makes a new image.
const FORMAT: &[u8] = b"lazaret host image 1\n";

/// Something in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory with its permission bits and its owner (user and group of one number).
    Directory { mode: u32, owner: u32 },
    /// A file of root's, 0644.
    File(Vec<u8>),
    /// A symlink with its target.
    Link(Vec<u8>),
}

/// Every entry of the image's root by name. The order puts a directory before what it holds.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    nodes: BTreeMap<EntryPath, Node>,
}

impl Plan {
    /// Adds an entry unless the name is taken: what is synthesised goes in first and wins over what is copied.
    pub(crate) fn add(&mut self, path: EntryPath, node: Node) {
        self.nodes.entry(path).or_insert(node);
    }

    /// Names the image by everything in it.
    pub(crate) fn digest(&self) -> Digest {
        let mut hash = Sha256::new_with_prefix(FORMAT);
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for (path, node) in &self.nodes {
            field(path.as_bytes());
            match node {
                Node::Directory { mode, owner } => {
                    field(b"directory");
                    field(&mode.to_le_bytes());
                    field(&owner.to_le_bytes());
                }
                Node::File(contents) => {
                    field(b"file");
                    field(contents);
                }
                Node::Link(target) => {
                    field(b"link");
                    field(target);
                }
            }
        }
        digest_from(hash)
    }

    /// Bytes of all files together.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.nodes
            .values()
            .map(|node| if let Node::File(contents) = node { contents.len() as u64 } else { 0 })
            .sum()
    }

    /// Writes every entry into an empty tree.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub(crate) fn write(&self, tree: &mut Tree) -> Result<(), TreeError> {
        for (path, node) in &self.nodes {
            match node {
                Node::Directory { mode, owner } => {
                    let attributes = Attributes { uid: *owner, gid: *owner, ..Attributes::root(*mode) };
                    tree.put_directory(path, &attributes)?;
                }
                Node::File(contents) => {
                    tree.put_file(path, &Attributes::root(0o644), &mut &contents[..])?;
                }
                Node::Link(target) => tree.put_symlink(path, target, &Attributes::root(0o777))?,
            }
        }
        Ok(())
    }
}
