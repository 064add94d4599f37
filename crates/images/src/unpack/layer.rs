//! Applying one layer, entry by entry, to the tree that the layers below it have made.
//!
//! What an entry means (OCI image specification, "layer"):
//!
//! | Name | Meaning |
//! | --- | --- |
//! | `dir/.wh.name` | `name` of the layers below is hidden |
//! | `dir/.wh..wh..opq` | everything of the layers below is hidden in `dir` |
//! | `.wh..wh.*` | bookkeeping of aufs; ignored |
//! | anything else | replaces what has its name; a directory keeps what is in it |
//!
//! A marker hides what is below its own layer and nothing of it, wherever in the archive it stands, so the layer
//! remembers which names it has made.
//!
//! Refused, each with the entry's name: names that climb, names through symlinks, owners outside the 65,536 ids of
//! a sandbox, overlayfs's own attributes (one could redirect a directory), device nodes, sparse files. Device nodes
//! below `/dev` are left out instead: tools that make root file systems put them there, and a sandbox's `/dev` is
//! the runtime's. setuid bits stay, since no tree is mounted with them in force; file capabilities go, for the same
//! reason that they would do nothing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};

use rustix::fs::{FileType, Timespec};

use super::limits::{Budget, Exceeded};
use super::path::{EntryPath, PathError};
use super::tar::{Entry, Kind, Reader, TarError};
use super::tree::{Attributes, Tree, TreeError};

/// Highest id of a user or group inside: a sandbox has 65,536 of them.
pub const ID_MAX: u64 = 65_535;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// Bytes read at a time after the end marker.
const DRAIN_BUFFER_BYTES: usize = 64 * 1024;

/// Why an entry was refused.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Its name cannot be used.
    #[error(transparent)]
    Name(#[from] PathError),
    /// The target of a hard link cannot be used.
    #[error("the target of the link cannot be used")]
    LinkName(#[source] PathError),
    /// The target of a symlink is empty, longer than the kernel takes, or holds a NUL byte.
    #[error("the target of the symlink is not a path")]
    SymlinkTarget,
    /// A device node outside `/dev`.
    #[error("device nodes are refused")]
    Device,
    /// A sparse file.
    #[error("sparse files are refused; make the archive without --sparse")]
    Sparse,
    /// A kind that no image holds.
    #[error("entries of type {:?} are refused", char::from(*.0))]
    Kind(u8),
    /// The owner cannot exist in a sandbox.
    #[error("its owner {uid}:{gid} is outside 0 to {ID_MAX}")]
    Owner {
        /// User.
        uid: u64,
        /// Group.
        gid: u64,
    },
    /// An attribute that means something to overlayfs.
    #[error("attributes of overlayfs are refused")]
    OverlayAttribute,
    /// A whiteout that names nothing, or that is a directory with entries.
    #[error("it is not a whiteout that can be applied")]
    Whiteout,
    /// It could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Why a layer was refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// An entry was refused.
    #[error("entry {name}")]
    Entry {
        /// Its name, with what is not printable escaped.
        name: String,
        /// Why.
        #[source]
        error: EntryError,
    },
    /// The archive cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A limit was reached.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// A directory's time could not be set.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Whether there are layers below this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Nothing is below; markers hide nothing.
    Lowest,
    /// The tree holds the layers below.
    Above,
}

/// What a layer left out and how it ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LayerSummary {
    /// Device nodes below `/dev`.
    pub devices_left_out: u64,
    /// The archive had an end marker.
    pub complete: bool,
}

/// Applies an uncompressed layer and reads its stream to the end, whatever follows the archive's end marker.
/// `progress` is called after every entry with the number of entries so far.
///
/// # Errors
/// See [`LayerError`]; the tree is then half-written and must be thrown away.
pub fn apply<R: Read>(
    stream: R,
    position: Position,
    tree: &mut Tree,
    budget: &mut Budget,
    progress: &mut dyn FnMut(u64),
) -> Result<LayerSummary, LayerError> {
    let mut reader = Reader::new(stream);
    let mut layer =
        Layer { tree, made: Made::new(position), directories: Vec::new(), summary: LayerSummary::default() };
    let mut accounted = 0;
    while let Some(entry) = reader.next_entry()? {
        let end = reader.position().saturating_add(entry.size);
        budget.take_bytes(end - accounted)?;
        accounted = end;
        budget.take_entry(&entry)?;
        let implied = layer.tree.implied_directories();
        layer
            .apply(&entry, &mut reader)
            .map_err(|error| LayerError::Entry { name: printable(&entry.name), error })?;
        budget.take_entries(layer.tree.implied_directories() - implied)?;
        progress(budget.entries());
    }
    let mut summary = layer.finish()?;
    summary.complete = reader.saw_end_marker();
    drain(reader.into_inner(), budget)?;
    Ok(summary)
}

struct Layer<'a> {
    tree: &'a mut Tree,
    made: Made,
    /// Directories and their times, to be set when nothing more is written into them.
    directories: Vec<(EntryPath, Timespec)>,
    summary: LayerSummary,
}

impl Layer<'_> {
    fn apply<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<(), EntryError> {
        let path = EntryPath::parse(&entry.name)?;
        match meaning(&path)? {
            Meaning::Ignored => return Ok(()),
            Meaning::Opaque(directory) => return self.hide_children(&directory),
            Meaning::Whiteout(_) if entry.kind == Kind::Directory => return Err(EntryError::Whiteout),
            Meaning::Whiteout(hidden) => return self.hide(&hidden),
            Meaning::Entry => {}
        }
        if entry.kind == Kind::Device && path.components().next() == Some(b"dev") {
            self.summary.devices_left_out += 1;
            return Ok(());
        }
        let attributes = attributes(entry)?;
        match entry.kind {
            Kind::File => {
                self.tree.put_file(&path, &attributes, &mut reader.contents())?;
            }
            Kind::Directory => {
                self.tree.put_directory(&path, &attributes)?;
                self.directories.push((path.clone(), entry.modified));
            }
            Kind::Symlink => self.tree.put_symlink(&path, symlink_target(&entry.link)?, &attributes)?,
            Kind::HardLink => {
                let target = EntryPath::parse(&entry.link).map_err(EntryError::LinkName)?;
                self.tree.put_hard_link(&path, &target)?;
            }
            Kind::Fifo => self.tree.put_fifo(&path, &attributes)?,
            Kind::Device => return Err(EntryError::Device),
            Kind::Sparse => return Err(EntryError::Sparse),
            Kind::Other(byte) => return Err(EntryError::Kind(byte)),
        }
        self.made.add(&path);
        Ok(())
    }

    /// Hides what the layers below have under a name, and keeps what this layer has.
    fn hide(&mut self, path: &EntryPath) -> Result<(), EntryError> {
        if !self.made.has(path.as_bytes()) {
            if self.made.above_others() {
                self.tree.remove(path)?;
            }
            return Ok(());
        }
        match self.tree.kind(path)? {
            Some(FileType::Directory) => self.hide_children(path),
            _ => Ok(()),
        }
    }

    /// As [`Layer::hide`], for everything in a directory. The depth of the recursion is that of a path.
    fn hide_children(&mut self, directory: &EntryPath) -> Result<(), EntryError> {
        if !self.made.above_others() {
            return Ok(());
        }
        if self.tree.kind(directory)? != Some(FileType::Directory) {
            return Ok(());
        }
        for (name, _) in self.tree.list(directory)?.unwrap_or_default() {
            self.hide(&directory.child(&name)?)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<LayerSummary, TreeError> {
        for (path, modified) in &self.directories {
            self.tree.set_directory_modified(path, *modified)?;
        }
        Ok(self.summary)
    }
}

/// Names that the current layer has made, with the directories above them.
///
/// Kept as 128 bits of a keyed hash each: names of a hostile archive add up to gigabytes, and no archive can aim at
/// a collision without the keys.
struct Made {
    seen: Option<HashSet<u128>>,
    keys: [RandomState; 2],
}

impl Made {
    fn new(position: Position) -> Made {
        let seen = (position == Position::Above).then(HashSet::new);
        Made { seen, keys: [RandomState::new(), RandomState::new()] }
    }

    fn above_others(&self) -> bool {
        self.seen.is_some()
    }

    fn add(&mut self, path: &EntryPath) {
        let key = self.key(path.as_bytes());
        let above: Vec<u128> = path.ancestors().map(|ancestor| self.key(ancestor)).collect();
        let Some(seen) = &mut self.seen else { return };
        seen.insert(key);
        for ancestor in above {
            // Whoever added a directory has added those above it.
            if !seen.insert(ancestor) {
                break;
            }
        }
    }

    fn has(&self, path: &[u8]) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.contains(&self.key(path)))
    }

    fn key(&self, path: &[u8]) -> u128 {
        let [high, low] = &self.keys;
        (u128::from(high.hash_one(path)) << 64) | u128::from(low.hash_one(path))
    }
}

/// What a name says about the layers below.
enum Meaning {
    Entry,
    Whiteout(EntryPath),
    Opaque(EntryPath),
    Ignored,
}

fn meaning(path: &EntryPath) -> Result<Meaning, EntryError> {
    if path.components().any(|component| component.starts_with(AUFS) && component != OPAQUE) {
        return Ok(Meaning::Ignored);
    }
    let Some((directory, name)) = path.split() else { return Ok(Meaning::Entry) };
    if directory.components().any(|component| component.starts_with(WHITEOUT)) {
        return Err(EntryError::Whiteout);
    }
    if name == OPAQUE {
        return Ok(Meaning::Opaque(directory));
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(Meaning::Entry),
        Some(b"" | b"." | b"..") => Err(EntryError::Whiteout),
        Some(hidden) => Ok(Meaning::Whiteout(directory.child(hidden)?)),
    }
}

fn attributes(entry: &Entry) -> Result<Attributes, EntryError> {
    let id = |id: u64| if id <= ID_MAX { u32::try_from(id).ok() } else { None };
    let (Some(uid), Some(gid)) = (id(entry.uid), id(entry.gid)) else {
        return Err(EntryError::Owner { uid: entry.uid, gid: entry.gid });
    };
    let mut xattrs = Vec::new();
    for (name, value) in &entry.xattrs {
        if name.starts_with(b"user.overlay.") || name.starts_with(b"trusted.overlay.") {
            return Err(EntryError::OverlayAttribute);
        }
        // The other namespaces (security, system, trusted) are the host's to give.
        if name.starts_with(b"user.") && !name.contains(&0) {
            xattrs.push((name.clone(), value.clone()));
        }
    }
    Ok(Attributes { mode: entry.mode, uid, gid, modified: Some(entry.modified), xattrs })
}

fn symlink_target(link: &[u8]) -> Result<&[u8], EntryError> {
    let fits = !link.is_empty() && link.len() <= super::path::PATH_BYTES_MAX && !link.contains(&0);
    if fits { Ok(link) } else { Err(EntryError::SymlinkTarget) }
}

/// Reads what follows the end marker: padding, which the digest of the layer covers.
fn drain(mut stream: impl Read, budget: &mut Budget) -> Result<(), LayerError> {
    let mut buffer = vec![0; DRAIN_BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => budget.take_bytes(count as u64)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TarError::Read(error).into()),
        }
    }
}

/// A name as it goes into a message: bounded and on one line.
pub(crate) fn printable(name: &[u8]) -> String {
    const SHOWN_BYTES: usize = 200;
    let cut = &name[..name.len().min(SHOWN_BYTES)];
    let dots = if cut.len() < name.len() { "..." } else { "" };
    format!("\"{}{dots}\"", cut.escape_ascii())
}

#[cfg(test)]
mod tests;
