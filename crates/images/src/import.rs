//! One import, from the upload to a tree that is ready to be published.
//!
//! ```text
//! upload ──decompress──▶ work/spool ──archive::open──▶ Bundle ──layer by layer──▶ work/rootfs
//!                                                                   └ digest and diff id of each are checked
//! ```
//!
//! The spool makes one path of every kind of archive: `docker save` writes what it lists before the list. Nothing
//! leaves the workspace here, so dropping it undoes the import.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lazaret_core::ports::ProgressSender;
use lazaret_core::{Digest, ImageConfig, ImageSource};
use sha2::{Digest as _, Sha256};

use crate::archive::config::{self, Configuration};
use crate::archive::{self, ArchiveError, Bundle, Contents, LayerBlob};
use crate::error::{ImagesError, ImportError};
use crate::hash::{HashingReader, digest_from, digest_of};
use crate::unpack::compression::decompress;
use crate::unpack::layer::{self, LayerSummary, Position};
use crate::unpack::limits::{Budget, UnpackLimits};
use crate::unpack::tree::Tree;

/// Bytes of an upload moved at a time.
const SPOOL_BUFFER_BYTES: usize = 256 * 1024;

/// Entries between two reports of progress.
const ENTRIES_PER_REPORT: u64 = 256;

/// An image that is whole in its workspace.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// What names the image: its manifest's digest, or its configuration's where there is no manifest.
    pub(crate) image: Digest,
    /// What names its tree: the chain id of its layers.
    pub(crate) tree: Digest,
    /// The manifest, if there is one.
    pub(crate) manifest: Option<(Digest, Vec<u8>)>,
    /// The configuration.
    pub(crate) config: (Digest, Vec<u8>),
    /// What the configuration says.
    pub(crate) run: ImageConfig,
    /// Bytes of the files in the tree.
    pub(crate) bytes: u64,
    /// Names that the archive gives.
    pub(crate) names: Vec<String>,
}

/// Reads an upload and unpacks the image in it to `rootfs` in the workspace.
///
/// # Errors
/// [`ImagesError::Import`] when the archive is at fault, [`ImagesError::Disk`] when the store is.
pub(crate) fn unpack(
    upload: impl Read,
    source: ImageSource,
    workspace: &Path,
    limits: UnpackLimits,
    progress: &ProgressSender,
) -> Result<Unpacked, ImagesError> {
    let spool = spool(upload, workspace, limits, progress)?;
    let contents = archive::open(&spool, source).map_err(ImportError::Archive)?;
    let mut import = Import::new(&spool, workspace, limits, progress)?;
    let unpacked = match contents {
        Contents::Image(bundle) => import.image(bundle)?,
        Contents::Rootfs => import.rootfs()?,
    };
    import.tree.sync().map_err(ImportError::Tree)?;
    Ok(Unpacked { bytes: tree_bytes(&workspace.join("rootfs"))?, ..unpacked })
}

/// Writes the uncompressed upload to a file.
fn spool(
    upload: impl Read,
    workspace: &Path,
    limits: UnpackLimits,
    progress: &ProgressSender,
) -> Result<File, ImagesError> {
    let path = workspace.join("spool");
    let mut spool = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(ImagesError::disk("make", &path))?;
    let mut budget = Budget::new(limits, descriptor(workspace)?);
    let counted = CountingReader { inner: upload, progress };
    let mut archive = decompress(counted).map_err(ImportError::Compression)?;
    let mut buffer = vec![0; SPOOL_BUFFER_BYTES];
    loop {
        let count = match archive.read(&mut buffer) {
            Ok(0) => return Ok(spool),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImportError::Upload(error).into()),
        };
        budget.take_bytes(count as u64).map_err(ImportError::Exceeded)?;
        budget.keep_reserve(count as u64).map_err(ImportError::Exceeded)?;
        spool.write_all(&buffer[..count]).map_err(ImagesError::disk("write", &path))?;
    }
}

struct Import<'a> {
    spool: &'a File,
    tree: Tree,
    budget: Budget,
    limits: UnpackLimits,
    progress: &'a ProgressSender,
}

impl<'a> Import<'a> {
    fn new(
        spool: &'a File,
        workspace: &Path,
        limits: UnpackLimits,
        progress: &'a ProgressSender,
    ) -> Result<Import<'a>, ImagesError> {
        let tree = Tree::create(workspace).map_err(ImportError::Tree)?;
        Ok(Import { spool, tree, budget: Budget::new(limits, descriptor(workspace)?), limits, progress })
    }

    /// Unpacks an image with a configuration.
    fn image(&mut self, bundle: Bundle) -> Result<Unpacked, ImagesError> {
        let Configuration { run, diff_ids } =
            config::parse(&bundle.config).map_err(|error| ImportError::Archive(error.into()))?;
        self.limits.check_layers(bundle.layers.len()).map_err(ImportError::Exceeded)?;
        if diff_ids.len() != bundle.layers.len() || diff_ids.is_empty() {
            let (listed, described) = (bundle.layers.len(), diff_ids.len());
            return Err(ImportError::LayerCount { listed, described }.into());
        }
        for (number, (blob, diff_id)) in bundle.layers.iter().zip(&diff_ids).enumerate() {
            let position = if number == 0 { Position::Lowest } else { Position::Above };
            let (found, _) = self.layer(number, blob, position)?;
            if found != *diff_id {
                return Err(ImportError::DiffId { number: number + 1, found, wanted: *diff_id }.into());
            }
        }
        let config = (digest_of(&bundle.config), bundle.config);
        let image = bundle.manifest.as_ref().map_or(config.0, |(digest, _)| *digest);
        let tree = chain_id(&diff_ids);
        Ok(Unpacked { image, tree, manifest: bundle.manifest, config, run, bytes: 0, names: bundle.names })
    }

    /// Unpacks an archive that is itself the only layer, and writes the configuration that it lacks.
    fn rootfs(&mut self) -> Result<Unpacked, ImagesError> {
        let size =
            self.spool.metadata().map_err(|error| ImportError::Archive(ArchiveError::Spool(error)))?.len();
        let blob = LayerBlob { offset: 0, size, digest: None };
        let (diff_id, summary) = self.layer(0, &blob, Position::Lowest)?;
        if self.budget.entries() == 0 {
            return Err(ImportError::Archive(ArchiveError::NoImage).into());
        }
        // Nothing but the marker tells a whole archive from one that was cut between two entries.
        if !summary.complete {
            return Err(ImportError::EndMissing.into());
        }
        let json = config::for_rootfs(&diff_id);
        let run = config::parse(&json).map_err(|error| ImportError::Archive(error.into()))?.run;
        let config = (digest_of(&json), json);
        let tree = chain_id(&[diff_id]);
        Ok(Unpacked { image: config.0, tree, manifest: None, config, run, bytes: 0, names: Vec::new() })
    }

    /// Applies one layer and returns its diff id. The digest of its stored bytes is checked where one is given.
    fn layer(
        &mut self,
        number: usize,
        blob: &LayerBlob,
        position: Position,
    ) -> Result<(Digest, LayerSummary), ImagesError> {
        let number = number + 1;
        let unreadable = |error| ImportError::Archive(ArchiveError::Spool(error));
        let section = archive::section(self.spool, blob.offset, blob.size).map_err(unreadable)?;
        let mut stored = HashingReader::new(section);
        let mut plain = HashingReader::new(decompress(&mut stored).map_err(ImportError::Compression)?);
        let progress = self.progress;
        let mut report = |entries: u64| {
            if entries.is_multiple_of(ENTRIES_PER_REPORT) {
                progress.send_modify(|progress| progress.entries = entries);
            }
        };
        let summary = layer::apply(&mut plain, position, &mut self.tree, &mut self.budget, &mut report)
            .map_err(|error| ImportError::Layer { number, error })?;
        let (diff_id, _) = plain.finish();
        // A decompressor stops at the end of its format; the digest covers whatever follows.
        io::copy(&mut stored, &mut io::sink()).map_err(unreadable)?;
        let (found, _) = stored.finish();
        if let Some(wanted) = blob.digest.filter(|wanted| *wanted != found) {
            return Err(ImportError::LayerDigest { number, found, wanted }.into());
        }
        if summary.devices_left_out > 0 {
            tracing::info!(
                layer = number,
                devices = summary.devices_left_out,
                "device nodes below /dev left out"
            );
        }
        progress.send_modify(|progress| progress.entries = self.budget.entries());
        Ok((diff_id, summary))
    }
}

/// The identity of a stack of layers (OCI image specification, "Layer ChainID").
fn chain_id(diff_ids: &[Digest]) -> Digest {
    let mut ids = diff_ids.iter();
    let lowest = ids.next().copied().unwrap_or_else(|| digest_of(b""));
    ids.fold(lowest, |chain, diff_id| digest_from(Sha256::new_with_prefix(format!("{chain} {diff_id}"))))
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

fn descriptor(directory: &Path) -> Result<OwnedFd, ImagesError> {
    let open = || -> io::Result<OwnedFd> { File::open(directory)?.as_fd().try_clone_to_owned() };
    open().map_err(ImagesError::disk("open", directory))
}

/// Reports the bytes that came in.
struct CountingReader<'a, R> {
    inner: R,
    progress: &'a ProgressSender,
}

impl<R: Read> Read for CountingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.send_modify(|progress| progress.bytes_read += count as u64);
        Ok(count)
    }
}
