//! A build's context: an archive from a stranger into a tree that only the builder reads.
//!
//! | In the archive | Here |
//! | --- | --- |
//! | files, directories, hard links, symlinks | kept, with modes and times; everything is root's |
//! | names with `..`, through a symlink, too long or too deep | refused |
//! | `.wh.` names | refused: as part of a layer they would hide files |
//! | device nodes, FIFOs, sparse files, other kinds | refused |

use std::io::{Read, copy, sink};

use lazaret_core::limits::{BUILD_CONTEXT_MAX_BYTES, BUILD_CONTEXT_MAX_ENTRIES};

use crate::unpack::compression::{CompressionError, decompress};
use crate::unpack::layer::printable;
use crate::unpack::limits::{Budget, Exceeded, UnpackLimits};
use crate::unpack::path::{EntryPath, PathError};
use crate::unpack::tar::{Entry, Kind, Reader, TarError};
use crate::unpack::tree::{Attributes, Tree, TreeError};

/// How a layer hides a name.
pub(super) const WHITEOUT: &[u8] = b".wh.";

/// Why an archive cannot be a context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// Its compression is not one that is read.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// It cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It is too large.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It has no end marker.
    #[error("the archive has no end marker: it is cut short")]
    EndMissing,
    /// An entry was refused.
    #[error("entry {name}")]
    Entry {
        /// Its name, with what is not printable escaped.
        name: String,
        /// Why.
        #[source]
        problem: ContextProblem,
    },
    /// The tree could not be begun.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Why an entry of a context was refused.
#[derive(Debug, thiserror::Error)]
pub enum ContextProblem {
    /// Its name cannot be used.
    #[error(transparent)]
    Name(#[from] PathError),
    /// It would hide files.
    #[error("its name begins with \".wh.\", by which a layer hides a file")]
    Marker,
    /// It is none of file, directory and link.
    #[error("only files, directories and links can be in a context")]
    Kind,
    /// The target of a symlink is no path.
    #[error("the target of the symlink is not a path")]
    Target,
    /// It could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Limits of a context, within those of the store.
pub(super) fn limits(store: UnpackLimits) -> UnpackLimits {
    UnpackLimits {
        image_bytes: store.image_bytes.min(BUILD_CONTEXT_MAX_BYTES),
        entries: store.entries.min(BUILD_CONTEXT_MAX_ENTRIES),
        ..store
    }
}

/// Unpacks an archive into an empty tree.
///
/// # Errors
/// [`ContextError`]; the tree must be thrown away then.
pub(super) fn unpack(archive: impl Read, tree: &mut Tree, budget: &mut Budget) -> Result<(), ContextError> {
    let mut reader = Reader::new(decompress(archive)?);
    let mut directories = Vec::new();
    let mut accounted = 0;
    while let Some(entry) = reader.next_entry()? {
        let end = reader.position().saturating_add(entry.size);
        budget.take_bytes(end - accounted)?;
        accounted = end;
        budget.take_entry(&entry)?;
        let implied = tree.implied_directories();
        put(tree, &entry, &mut reader, &mut directories)
            .map_err(|problem| ContextError::Entry { name: printable(&entry.name), problem })?;
        budget.take_entries(tree.implied_directories() - implied)?;
    }
    for (path, modified) in &directories {
        tree.set_directory_modified(path, *modified)?;
    }
    if !reader.saw_end_marker() {
        return Err(ContextError::EndMissing);
    }
    // Padding, which a client must be able to send before it reads an answer. Bounded, as all that comes is.
    let mut rest = reader.into_inner().take(BUILD_CONTEXT_MAX_BYTES.saturating_sub(accounted));
    copy(&mut rest, &mut sink()).map_err(TarError::Read)?;
    Ok(())
}

type Directories = Vec<(EntryPath, rustix::fs::Timespec)>;

fn put<R: Read>(
    tree: &mut Tree,
    entry: &Entry,
    reader: &mut Reader<R>,
    directories: &mut Directories,
) -> Result<(), ContextProblem> {
    let path = EntryPath::parse(&entry.name)?;
    if path.components().any(|component| component.starts_with(WHITEOUT)) {
        return Err(ContextProblem::Marker);
    }
    let attributes = Attributes { modified: Some(entry.modified), ..Attributes::root(entry.mode & 0o7777) };
    match entry.kind {
        Kind::File => drop(tree.put_file(&path, &attributes, &mut reader.contents())?),
        Kind::Directory => {
            tree.put_directory(&path, &attributes)?;
            directories.push((path, entry.modified));
        }
        Kind::Symlink => {
            let target = &entry.link;
            let fits = !target.is_empty() && target.len() <= crate::unpack::path::PATH_BYTES_MAX;
            if !fits || target.contains(&0) {
                return Err(ContextProblem::Target);
            }
            tree.put_symlink(&path, target, &attributes)?;
        }
        Kind::HardLink => tree.put_hard_link(&path, &EntryPath::parse(&entry.link)?)?,
        Kind::Fifo | Kind::Device | Kind::Sparse | Kind::Other(_) => return Err(ContextProblem::Kind),
    }
    Ok(())
}
