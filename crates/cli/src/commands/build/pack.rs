//! A directory as the context of a build: a tar stream without what `.dockerignore` names.
//!
//! The Dockerfile comes first, under a name of its own and beside the context, since it may be somewhere else, or be left
//! out of the context. Everything in the archive is root's, as it will be in the image.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::Stream;
use lazaret_core::Dockerignore;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use crate::failure::{Failure, say};

/// What the Dockerfile is called in the archive.
pub(super) const DOCKERFILE: &str = ".lazaret-build-dockerfile";

/// Bytes sent at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks read ahead of the network.
const CHUNKS_AHEAD: usize = 4;
/// Deepest directories that are packed; the server's own bound.
const DEPTH_MAX: usize = 200;

/// Packing that is under way.
pub(super) struct Packing {
    failed: std::sync::mpsc::Receiver<anyhow::Error>,
}

impl Packing {
    /// What went wrong so far.
    ///
    /// # Errors
    /// What made the archive end early.
    pub(super) fn outcome(self) -> Result<()> {
        self.failed.try_recv().map_or(Ok(()), Err)
    }
}

/// Packs on a thread of its own. A stream that ends early ends in an error, so that nobody takes it for the whole.
pub(super) fn start(
    directory: Option<PathBuf>,
    ignore: Dockerignore,
    dockerfile: Vec<u8>,
) -> Result<(impl Stream<Item = io::Result<Bytes>> + Send + 'static, Packing)> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD);
    let (tell, failed) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("context".to_owned()).spawn(move || {
        let out = Chunks { sender: sender.clone(), buffer: Vec::with_capacity(CHUNK_BYTES) };
        if let Err(error) = pack(directory.as_deref(), &ignore, &dockerfile, out) {
            // A receiver that is gone was refused by the server, which says why.
            let broken = !sender.is_closed();
            let _ = sender.blocking_send(Err(io::Error::other("the context could not be read")));
            if broken {
                let _ = tell.send(error);
            }
        }
    })?;
    let chunks =
        futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Ok((chunks, Packing { failed }))
}

fn pack(directory: Option<&Path>, ignore: &Dockerignore, dockerfile: &[u8], out: Chunks) -> Result<()> {
    let mut tar = Builder::new(out);
    let mut header = of_root(0o644);
    header.set_size(u64::try_from(dockerfile.len()).unwrap_or(u64::MAX));
    tar.append_data(&mut header, DOCKERFILE, dockerfile)?;
    if let Some(root) = directory {
        let metadata = fs::metadata(root).with_context(|| format!("cannot read {}", root.display()))?;
        if !metadata.is_dir() {
            return Err(Failure::new(format!("{} is not a directory", root.display())).into());
        }
        walk(&mut tar, root, ignore)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// The header of an entry of root's.
fn of_root(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Packs everything below `root` that is not left out, in the order of its names.
fn walk(tar: &mut Builder<Chunks>, root: &Path, ignore: &Dockerignore) -> Result<()> {
    let mut pending: Vec<PathBuf> = children(root, Path::new(""))?;
    while let Some(relative) = pending.pop() {
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let excluded = ignore.excludes(&parts.iter().map(|part| &**part).collect::<Vec<_>>());
        let path = root.join(&relative);
        let cannot = || format!("cannot read {}", path.display());
        let metadata = fs::symlink_metadata(&path).with_context(cannot)?;
        if parts.len() > DEPTH_MAX {
            return Err(Failure::new(format!("{} is too deep for a context", path.display())).into());
        }
        // Something below a directory that is left out may be taken back, and brings its directories along.
        if metadata.is_dir() && (!excluded || ignore.may_take_back()) {
            pending.extend(children(root, &relative)?);
        }
        if !excluded {
            append(tar, &path, &relative, &metadata).with_context(cannot)?;
        }
    }
    Ok(())
}

/// What is in a directory, so that the first name is popped first.
fn children(root: &Path, relative: &Path) -> Result<Vec<PathBuf>> {
    let path = root.join(relative);
    let cannot = || format!("cannot read {}", path.display());
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(&path).with_context(cannot)? {
        names.push(entry.with_context(cannot)?.file_name());
    }
    names.sort();
    Ok(names.into_iter().rev().map(|name| relative.join(name)).collect())
}

fn append(tar: &mut Builder<Chunks>, path: &Path, relative: &Path, metadata: &Metadata) -> Result<()> {
    let mut header = of_root(metadata.mode() & 0o7777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(0);
    let kind = metadata.file_type();
    if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        tar.append_data(&mut header, relative, io::empty())?;
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header, relative, fs::read_link(path)?)?;
    } else if kind.is_file() {
        header.set_size(metadata.len());
        // The size is in the header already, so what comes must be as long.
        let mut exact = File::open(path)?.take(metadata.len());
        tar.append_data(&mut header, relative, &mut exact)?;
        if exact.limit() > 0 {
            return Err(Failure::new("it became shorter while it was read").into());
        }
    } else {
        let what = if kind.is_socket() { "a socket" } else { "neither a file nor a directory nor a link" };
        say(&format!("left out {}: it is {what}", path.display()));
    }
    Ok(())
}

/// Sends what is written in chunks.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.buffer.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::{StreamExt as _, TryStreamExt as _};

    use super::*;

    async fn packed(directory: &Path, ignore: &str) -> BTreeMap<String, String> {
        let ignore = Dockerignore::parse(ignore).unwrap();
        let (chunks, packing) =
            start(Some(directory.to_owned()), ignore, b"FROM scratch\n".to_vec()).unwrap();
        let bytes: Vec<u8> = chunks
            .boxed()
            .try_fold(Vec::new(), async |mut all, chunk| {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
            .unwrap();
        packing.outcome().unwrap();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                text = format!("-> {}", target.display());
            }
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
            found.insert(name, text);
        }
        found
    }

    #[tokio::test]
    async fn a_context_is_the_directory_without_what_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::create_dir_all(root.join("target/debug")).unwrap();
        for (name, text) in
            [("a.log", "x"), ("src/deep/b.rs", "fn"), ("target/debug/big", "x"), ("target/keep", "k")]
        {
            fs::write(root.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        let found = packed(root, "*.log\ntarget\n!target/keep\n").await;
        let want = [
            (DOCKERFILE, "FROM scratch\n"),
            ("link", "-> /etc/passwd"),
            ("src", ""),
            ("src/deep", ""),
            ("src/deep/b.rs", "fn"),
            ("target/keep", "k"),
        ];
        let want: BTreeMap<String, String> =
            want.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        let trimmed: BTreeMap<String, String> =
            found.into_iter().map(|(name, text)| (name.trim_end_matches('/').to_owned(), text)).collect();
        assert_eq!(trimmed, want);
    }

    #[tokio::test]
    async fn a_directory_that_is_none_ends_the_stream_with_an_error() {
        let (chunks, packing) =
            start(Some(PathBuf::from("/nonexistent")), Dockerignore::default(), Vec::new()).unwrap();
        let last = chunks.boxed().collect::<Vec<_>>().await.pop().unwrap();
        assert_eq!(last.map_err(|error| error.to_string()), Err("the context could not be read".to_owned()));
        assert_eq!(packing.outcome().unwrap_err().to_string(), "cannot read /nonexistent");
    }
}
