//! The `Blobs` port: content of uploads, in files named by their SHA-256.
//!
//! ```text
//!   <root>/              mode 0700
//!     tmp/put-XXXXXX     being received; what a killed server left is removed at open
//!     ab/abcd…           64 hexadecimal digits; complete, flushed, and never changed
//! ```
//!
//! A body is copied into batches. While one batch is hashed and written on a blocking thread the next one is received,
//! so that memory stays at two batches for any body, and a slow client holds no thread.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use lazaret_core::ports::{BlobStat, Blobs};
use lazaret_core::{Body, Digest, Limit, Result};
use rustix::fs::statvfs;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::io::ReaderStream;

use crate::Error;

/// Bytes hashed and written in one go: they stay in the processor's cache between being copied, hashed and written.
/// With 1 MiB a put took a third longer; handing a batch to its thread costs nothing beside hashing it.
const BATCH_BYTES: usize = 256 * 1024;

/// Bytes of one chunk of a body that is read.
const READ_BYTES: usize = 256 * 1024;

/// Directory of what is being received.
const TMP: &str = "tmp";

/// Blobs in a directory.
#[derive(Debug, Clone)]
pub struct BlobFiles {
    root: PathBuf,
    /// Bytes that stay free on the disk.
    reserve_bytes: u64,
}

impl BlobFiles {
    /// Opens the directory `root`, making it if it is missing, and removes what a killed server was receiving.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        let tmp = root.join(TMP);
        DirBuilder::new().recursive(true).mode(0o700).create(&tmp).map_err(Error::io("make", &tmp))?;
        for directory in [root, tmp.as_path()] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
                .map_err(Error::io("change the mode of", directory))?;
        }
        for entry in fs::read_dir(&tmp).map_err(Error::io("list", &tmp))? {
            let leftover = entry.map_err(Error::io("list", &tmp))?.path();
            fs::remove_file(&leftover).map_err(Error::io("remove", &leftover))?;
        }
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        flush_directory(parent)?;
        Ok(Self { root: root.to_owned(), reserve_bytes: 0 })
    }

    /// Refuses what would leave less than `bytes` free on the disk, so that what else is there can still be written.
    #[must_use]
    pub fn keeping_free(self, bytes: u64) -> Self {
        Self { reserve_bytes: bytes, ..self }
    }

    /// Looks whether there is room for another batch.
    fn check_room(&self) -> Result<()> {
        let status = statvfs(&self.root)
            .map_err(|errno| Error::io("look at", &self.root)(errno.into()).into_core(PUT))?;
        let free = status.f_bavail.saturating_mul(status.f_frsize);
        if free < self.reserve_bytes {
            return Err(lazaret_core::Error::LimitReached(Limit::HostDisk));
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(&hex[..2]).join(hex)
    }

    /// Receives all of `body`.
    async fn receive(&self, mut body: Body, max_bytes: u64, writing: &mut Writing) -> Result<Partial> {
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        let mut received: u64 = 0;
        while let Some(chunk) = body.next().await {
            let mut chunk = chunk?;
            received = received.saturating_add(chunk.len() as u64);
            if received > max_bytes {
                return Err(lazaret_core::Error::LimitReached(Limit::UploadBytes));
            }
            while !chunk.is_empty() {
                let part = chunk.split_to(chunk.len().min(BATCH_BYTES - batch.len()));
                batch.extend_from_slice(&part);
                if batch.len() == BATCH_BYTES {
                    self.check_room()?;
                    batch = writing.append(batch).await.map_err(|error| error.into_core(PUT))?;
                }
            }
        }
        let all = async {
            writing.append(batch).await?;
            writing.settle().await
        };
        all.await.map_err(|error| error.into_core(PUT))
    }
}

#[async_trait]
impl Blobs for BlobFiles {
    async fn put(&self, body: Body, max_bytes: u64) -> Result<BlobStat> {
        let mut writing = Writing::start(self.root.join(TMP));
        match self.receive(body, max_bytes, &mut writing).await {
            Ok(partial) => {
                let root = self.root.clone();
                on_blocking_thread(move || partial.keep(&root)).await.map_err(|error| error.into_core(PUT))
            }
            Err(error) => {
                writing.abandon().await;
                Err(error)
            }
        }
    }

    async fn get(&self, digest: &Digest, offset: u64, length: Option<u64>) -> Result<Option<Body>> {
        let path = self.path(digest);
        let opened = on_blocking_thread(move || open_at(&path, offset)).await;
        let Some((file, path)) = opened.map_err(|error| error.into_core(GET))? else { return Ok(None) };
        let reader = tokio::fs::File::from_std(file).take(length.unwrap_or(u64::MAX));
        let chunks = ReaderStream::with_capacity(reader, READ_BYTES)
            .map_err(move |error| Error::io("read", &path)(error).into_core(GET));
        Ok(Some(chunks.boxed()))
    }

    async fn remove(&self, digest: &Digest) -> Result<bool> {
        let path = self.path(digest);
        // Not flushed: after a loss of power the collector finds the blob again and removes it again.
        let removed = on_blocking_thread(move || match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", &path)(error)),
        });
        removed.await.map_err(|error| error.into_core("remove_blob"))
    }

    async fn list(&self) -> Result<Vec<Digest>> {
        let root = self.root.clone();
        on_blocking_thread(move || list(&root)).await.map_err(|error| error.into_core("list_blobs"))
    }
}

const PUT: &str = "put_blob";
const GET: &str = "get_blob";

/// A file that is being received: its content so far is on its way to the disk and in the hasher. Dropping it removes
/// the file.
struct Partial {
    file: NamedTempFile,
    hasher: Sha256,
    bytes: u64,
    /// The last batch's buffer, to be filled again.
    spare: Vec<u8>,
}

impl Partial {
    fn create(tmp: &Path) -> Result<Self, Error> {
        // `tempfile` opens with O_EXCL and mode 0600.
        let file = tempfile::Builder::new()
            .prefix("put-")
            .tempfile_in(tmp)
            .map_err(Error::io("make a file in", tmp))?;
        Ok(Self { file, hasher: Sha256::new(), bytes: 0, spare: Vec::with_capacity(BATCH_BYTES) })
    }

    fn append(mut self, mut batch: Vec<u8>) -> Result<Self, Error> {
        self.file.write_all(&batch).map_err(Error::io("write", self.file.path()))?;
        self.hasher.update(&batch);
        self.bytes += batch.len() as u64;
        batch.clear();
        self.spare = batch;
        Ok(self)
    }

    /// Gives the file its name. The content is flushed before, so that the name never points at less than all of it;
    /// the directories after, so that the name itself survives.
    fn keep(self, root: &Path) -> Result<BlobStat, Error> {
        let digest = Digest::from_bytes(self.hasher.finalize().into());
        self.file.as_file().sync_all().map_err(Error::io("flush", self.file.path()))?;
        let hex = digest.hex();
        let directory = root.join(&hex[..2]);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("make", &directory)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let path = directory.join(hex);
        // A blob of this name has the same content; replacing it is harmless to its readers.
        self.file.persist(&path).map_err(|error| Error::io("rename a file to", &path)(error.error))?;
        flush_directory(&directory)?;
        flush_directory(root)?;
        Ok(BlobStat { digest, bytes: self.bytes })
    }
}

/// The blocking thread's half of a put: at most one operation on the file is under way.
struct Writing {
    /// `None` once it has failed, or was taken.
    under_way: Option<JoinHandle<Result<Partial, Error>>>,
}

impl Writing {
    fn start(tmp: PathBuf) -> Self {
        Self { under_way: Some(spawn_blocking(move || Partial::create(&tmp))) }
    }

    /// Waits for what is under way.
    async fn settle(&mut self) -> Result<Partial, Error> {
        match self.under_way.take() {
            Some(under_way) => under_way.await.map_err(|_| Error::Panicked)?,
            None => Err(Error::Stopped),
        }
    }

    /// Starts to append `batch` once the last one is written, and returns an empty buffer.
    async fn append(&mut self, batch: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut partial = self.settle().await?;
        let spare = std::mem::take(&mut partial.spare);
        self.under_way = Some(spawn_blocking(move || partial.append(batch)));
        Ok(spare)
    }

    /// Removes the file, if there is still one, before returning: who sees the failure finds nothing left.
    async fn abandon(mut self) {
        if let Ok(partial) = self.settle().await {
            // Removing a large file takes the file system a while, so it is not done on an async thread.
            let _ = spawn_blocking(move || drop(partial)).await;
        }
    }
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|_| Error::Panicked)?
}

/// The open blob, standing at `offset` or at its end; `None` if there is no such file.
fn open_at(path: &Path, offset: u64) -> Result<Option<(File, PathBuf)>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let bytes = file.metadata().map_err(Error::io("inspect", path))?.len();
    file.seek(SeekFrom::Start(offset.min(bytes))).map_err(Error::io("seek in", path))?;
    Ok(Some((file, path.to_owned())))
}

fn list(root: &Path) -> Result<Vec<Digest>, Error> {
    let mut digests = Vec::new();
    for shard in fs::read_dir(root).map_err(Error::io("list", root))? {
        let shard = shard.map_err(Error::io("list", root))?;
        if shard.file_name() == TMP {
            continue;
        }
        let shard = shard.path();
        for blob in fs::read_dir(&shard).map_err(Error::io("list", &shard))? {
            let name = blob.map_err(Error::io("list", &shard))?.file_name();
            match name.to_str().and_then(|hex| format!("sha256:{hex}").parse().ok()) {
                Some(digest) => digests.push(digest),
                None => tracing::warn!(path = %shard.join(&name).display(), "not a blob; left alone"),
            }
        }
    }
    Ok(digests)
}

fn flush_directory(directory: &Path) -> Result<(), Error> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(Error::io("flush", directory))
}
