//! One import, from the upload to a tree that is ready to be published.
//!
//! ```text
//! upload ──decompress──▶ work/spool ──archive::open──▶ Bundle ──layer by layer──▶ work/rootfs
//!                                                                   └ digest and diff id of each are checked
//! ```
//!
//! The spool makes one path of every kind of archive: `docker save` writes what it lists before the list. Nothing
//! leaves the workspace here, so dropping it undoes the import.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use lazaret_core::ports::ProgressSender;
use lazaret_core::{AccountId, Digest, ImageConfig, ImageSource};
use tempfile::TempDir;

use crate::archive::config::{self, Configuration};
use crate::archive::{self, ArchiveError, Bundle, Contents, LayerBlob};
use crate::assembly::{Assembly, chain_id, descriptor};
use crate::error::{ImagesError, ImportError};
use crate::hash::digest_of;
use crate::unpack::compression::decompress;
use crate::unpack::limits::{Budget, UnpackLimits};

/// Bytes of an upload moved at a time.
const SPOOL_BUFFER_BYTES: usize = 256 * 1024;

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
    /// Names to point at it.
    pub(crate) names: Vec<String>,
    /// It can be had again, or nobody would miss it: collection may take it.
    pub(crate) replaceable: bool,
    /// Accounts that made it of something of their own.
    pub(crate) makers: BTreeSet<AccountId>,
    /// Holds the tree at `rootfs`, until it is published.
    pub(crate) workspace: TempDir,
}

/// Reads an upload and unpacks the image in it.
///
/// # Errors
/// [`ImagesError::Import`] when the archive is at fault, [`ImagesError::Disk`] when the store is.
pub(crate) fn unpack(
    upload: impl Read,
    source: ImageSource,
    workspace: TempDir,
    limits: UnpackLimits,
    progress: &ProgressSender,
) -> Result<Unpacked, ImagesError> {
    let spool = spool(upload, workspace.path(), limits, progress)?;
    let contents = archive::open(&spool, source).map_err(ImportError::Archive)?;
    let assembly = Assembly::begin(workspace, limits)?;
    let mut import = Import { spool: &spool, assembly, limits, progress };
    let found = match contents {
        Contents::Image(bundle) => import.image(bundle)?,
        Contents::Rootfs => import.rootfs()?,
    };
    let (bytes, workspace) = import.assembly.finish()?;
    Ok(Unpacked {
        image: found.manifest.as_ref().map_or(found.config.0, |(digest, _)| *digest),
        tree: chain_id(&found.diff_ids),
        manifest: found.manifest,
        config: found.config,
        run: found.run,
        bytes,
        names: found.names,
        replaceable: false,
        makers: BTreeSet::new(),
        workspace,
    })
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
    assembly: Assembly,
    limits: UnpackLimits,
    progress: &'a ProgressSender,
}

impl Import<'_> {
    /// Unpacks an image with a configuration.
    fn image(&mut self, bundle: Bundle) -> Result<Contained, ImagesError> {
        let Configuration { run, diff_ids } =
            config::parse(&bundle.config).map_err(|error| ImportError::Archive(error.into()))?;
        self.limits.check_layers(bundle.layers.len()).map_err(ImportError::Exceeded)?;
        check_layer_count(bundle.layers.len(), diff_ids.len())?;
        for (blob, diff_id) in bundle.layers.iter().zip(&diff_ids) {
            let progress = self.progress;
            let mut report = |entries| progress.send_modify(|progress| progress.entries = entries);
            self.assembly.apply_known(self.spool, blob, diff_id, &mut report)?;
        }
        let config = (digest_of(&bundle.config), bundle.config);
        Ok(Contained { manifest: bundle.manifest, config, run, diff_ids, names: bundle.names })
    }

    /// Unpacks an archive that is itself the only layer, and writes the configuration that it lacks.
    fn rootfs(&mut self) -> Result<Contained, ImagesError> {
        let size =
            self.spool.metadata().map_err(|error| ImportError::Archive(ArchiveError::Spool(error)))?.len();
        let blob = LayerBlob { offset: 0, size, digest: None };
        let progress = self.progress;
        let mut report = |entries| progress.send_modify(|progress| progress.entries = entries);
        let (diff_id, summary) = self.assembly.apply(self.spool, &blob, &mut report)?;
        if self.assembly.entries() == 0 {
            return Err(ImportError::Archive(ArchiveError::NoImage).into());
        }
        // Nothing but the marker tells a whole archive from one that was cut between two entries.
        if !summary.complete {
            return Err(ImportError::EndMissing.into());
        }
        let json = config::for_rootfs(&diff_id);
        let run = config::parse(&json).map_err(|error| ImportError::Archive(error.into()))?.run;
        let config = (digest_of(&json), json);
        Ok(Contained { manifest: None, config, run, diff_ids: vec![diff_id], names: Vec::new() })
    }
}

/// What an archive says about its image, with everything checked.
struct Contained {
    manifest: Option<(Digest, Vec<u8>)>,
    config: (Digest, Vec<u8>),
    run: ImageConfig,
    diff_ids: Vec<Digest>,
    names: Vec<String>,
}

/// Refuses an image whose manifest and configuration describe different layers, or none.
///
/// # Errors
/// [`ImportError::LayerCount`].
pub(crate) fn check_layer_count(listed: usize, described: usize) -> Result<(), ImportError> {
    if listed != described || described == 0 {
        return Err(ImportError::LayerCount { listed, described });
    }
    Ok(())
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
