//! Layers into one tree, in a workspace of its own.
//!
//! ```text
//! work/<w>/rootfs   empty, or sharing the files of a tree that has the lowest layers
//!     └─ layer by layer: decompress, apply, compare digest and diff id
//! ```
//!
//! Nothing leaves the workspace here, so dropping an assembly undoes it. Not here: where layers come from (`import`,
//! `pull`), and making the tree an image (`images`).

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lazaret_core::Digest;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::archive::{self, ArchiveError, LayerBlob};
use crate::error::{ImagesError, ImportError};
use crate::hash::{HashingReader, digest_from, digest_of};
use crate::unpack::compression::decompress;
use crate::unpack::layer::{self, LayerSummary, Position};
use crate::unpack::limits::{Budget, UnpackLimits};
use crate::unpack::share::share;
use crate::unpack::tree::Tree;

/// A tree that is being put together.
#[derive(Debug)]
pub(crate) struct Assembly {
    tree: Tree,
    budget: Budget,
    /// Layers that the tree has.
    layers: usize,
    /// Ends the work early, with an error.
    stop: CancellationToken,
    /// Last, so that it is removed when nothing in it is open any more.
    workspace: TempDir,
}

impl Assembly {
    /// An empty tree.
    ///
    /// # Errors
    /// [`ImagesError::Disk`], [`ImportError::Tree`].
    pub(crate) fn begin(workspace: TempDir, limits: UnpackLimits) -> Result<Assembly, ImagesError> {
        let tree = Tree::create(workspace.path()).map_err(ImportError::Tree)?;
        let budget = Budget::new(limits, descriptor(workspace.path())?);
        Ok(Assembly { tree, budget, layers: 0, stop: CancellationToken::new(), workspace })
    }

    /// A tree that begins as the `lowest` layers of another, whose files it shares.
    ///
    /// # Errors
    /// As [`Assembly::begin`]; [`ImportError::Exceeded`].
    pub(crate) fn begin_on(
        workspace: TempDir,
        limits: UnpackLimits,
        base: &Path,
        lowest: usize,
    ) -> Result<Assembly, ImagesError> {
        let mut assembly = Assembly::begin(workspace, limits)?;
        let entries = share(base, &assembly.workspace.path().join("rootfs")).map_err(ImportError::Tree)?;
        assembly.budget.take_entries(entries).map_err(ImportError::Exceeded)?;
        assembly.layers = lowest;
        Ok(assembly)
    }

    /// The directory that goes with the assembly; `rootfs` and `trash` in it are taken.
    pub(crate) fn workspace(&self) -> &Path {
        self.workspace.path()
    }

    /// Entries so far.
    pub(crate) fn entries(&self) -> u64 {
        self.budget.entries()
    }

    /// Layers so far.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Cancelled, it ends the work that is under way with [`ImportError::Layer`].
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Applies the next layer and returns its diff id. The digest of its stored bytes is checked where one is given.
    /// `on_entries` is called with the number of entries so far, now and then.
    ///
    /// # Errors
    /// [`ImportError`]; the assembly is then of no use any more.
    pub(crate) fn apply(
        &mut self,
        source: &File,
        blob: &LayerBlob,
        on_entries: &mut dyn FnMut(u64),
    ) -> Result<(Digest, LayerSummary), ImportError> {
        /// Entries between two reports.
        const ENTRIES_PER_REPORT: u64 = 256;
        let number = self.layers + 1;
        let unreadable = |error| ImportError::Archive(ArchiveError::Spool(error));
        let section = archive::section(source, blob.offset, blob.size).map_err(unreadable)?;
        let mut stored = HashingReader::new(Stoppable { inner: section, stop: &self.stop });
        let mut plain = HashingReader::new(decompress(&mut stored).map_err(ImportError::Compression)?);
        let mut report = |entries: u64| {
            if entries.is_multiple_of(ENTRIES_PER_REPORT) {
                on_entries(entries);
            }
        };
        let summary =
            layer::apply(&mut plain, self.position(), &mut self.tree, &mut self.budget, &mut report)
                .map_err(|error| ImportError::Layer { number, error })?;
        let (diff_id, _) = plain.finish();
        // A decompressor stops at the end of its format; the digest covers whatever follows.
        io::copy(&mut stored, &mut io::sink()).map_err(unreadable)?;
        let (found, _) = stored.finish();
        if let Some(wanted) = blob.digest.filter(|wanted| *wanted != found) {
            return Err(ImportError::LayerDigest { number, found, wanted });
        }
        if summary.devices_left_out > 0 {
            tracing::info!(
                layer = number,
                devices = summary.devices_left_out,
                "device nodes below /dev left out"
            );
        }
        self.layers = number;
        on_entries(self.budget.entries());
        Ok((diff_id, summary))
    }

    /// Applies the next layer from a stream of it that nobody has compressed, and returns its diff id.
    ///
    /// # Errors
    /// As [`Assembly::apply`]; [`ImportError::EndMissing`] for a stream that is cut short.
    pub(crate) fn apply_stream(&mut self, stream: impl Read) -> Result<Digest, ImportError> {
        let number = self.layers + 1;
        let mut plain = HashingReader::new(Stoppable { inner: stream, stop: &self.stop });
        let summary =
            layer::apply(&mut plain, self.position(), &mut self.tree, &mut self.budget, &mut |_| {})
                .map_err(|error| ImportError::Layer { number, error })?;
        if !summary.complete {
            return Err(ImportError::EndMissing);
        }
        self.layers = number;
        Ok(plain.finish().0)
    }

    fn position(&self) -> Position {
        if self.layers == 0 { Position::Lowest } else { Position::Above }
    }

    /// As [`Assembly::apply`], for a layer whose diff id is known.
    ///
    /// # Errors
    /// As [`Assembly::apply`]; [`ImportError::DiffId`].
    pub(crate) fn apply_known(
        &mut self,
        source: &File,
        blob: &LayerBlob,
        wanted: &Digest,
        on_entries: &mut dyn FnMut(u64),
    ) -> Result<(), ImportError> {
        let (found, _) = self.apply(source, blob, on_entries)?;
        if found != *wanted {
            return Err(ImportError::DiffId { number: self.layers, found, wanted: *wanted });
        }
        Ok(())
    }

    /// Flushes the tree, and returns the bytes of its files and the workspace with the tree at `rootfs`.
    ///
    /// # Errors
    /// [`ImportError::Tree`], [`ImagesError::Disk`].
    pub(crate) fn finish(self) -> Result<(u64, TempDir), ImagesError> {
        self.tree.sync().map_err(ImportError::Tree)?;
        let bytes = tree_bytes(&self.workspace.path().join("rootfs"))?;
        Ok((bytes, self.workspace))
    }
}

/// The identities of the stacks of one, two, ... layers (OCI image specification, "Layer ChainID").
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Option<Digest> = None;
    let next = |diff_id: &Digest| {
        let id = match chain {
            None => *diff_id,
            Some(below) => digest_from(Sha256::new_with_prefix(format!("{below} {diff_id}"))),
        };
        chain = Some(id);
        id
    };
    diff_ids.iter().map(next).collect()
}

/// The identity of a whole stack.
pub(crate) fn chain_id(diff_ids: &[Digest]) -> Digest {
    chain_ids(diff_ids).pop().unwrap_or_else(|| digest_of(b""))
}

/// Bytes of all files, each counted once however many names it has.
fn tree_bytes(root: &Path) -> Result<u64, ImagesError> {
    let mut linked = HashSet::new();
    let mut bytes = 0;
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(ImagesError::disk("list", &directory))? {
            // Not followed: this is the entry's own metadata.
            let metadata = entry.metadata().map_err(ImagesError::disk("inspect", entry.path()))?;
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if metadata.is_file() && (metadata.nlink() == 1 || linked.insert(metadata.ino())) {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}

/// Any descriptor on the file system of a directory.
pub(crate) fn descriptor(directory: &Path) -> Result<OwnedFd, ImagesError> {
    let open = || -> io::Result<OwnedFd> { File::open(directory)?.as_fd().try_clone_to_owned() };
    open().map_err(ImagesError::disk("open", directory))
}

/// Fails once it is told to stop, so that nobody unpacks what nobody waits for.
#[derive(Debug)]
struct Stoppable<'a, R> {
    inner: R,
    stop: &'a CancellationToken,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the work was cancelled"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_those_of_the_specification() {
        let diff_id = |byte: u8| Digest::from_bytes([byte; 32]);
        let ids = chain_ids(&[diff_id(1), diff_id(2), diff_id(3)]);
        assert_eq!(ids[0], diff_id(1));
        assert_eq!(ids[1], digest_of(format!("{} {}", diff_id(1), diff_id(2)).as_bytes()));
        assert_eq!(ids[2], digest_of(format!("{} {}", ids[1], diff_id(3)).as_bytes()));
        assert_eq!(chain_id(&[diff_id(1), diff_id(2), diff_id(3)]), ids[2]);
    }
}
