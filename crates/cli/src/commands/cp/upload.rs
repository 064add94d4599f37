//! Into a sandbox: files and trees.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use indicatif::ProgressBar;
use reqwest::Body;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::place::RemotePath;
use super::remote::Files;
use super::{DEPTH_MAX, bar};
use crate::failure::{Failure, say};
use crate::wire::FileKind;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Permission bits that are carried over.
const PERMISSIONS: u32 = 0o777;

/// Copies the local `from` to `to`.
pub(super) async fn upload(files: &Files, from: &Path, to: &RemotePath, follow_links: bool) -> Result<()> {
    let metadata = std::fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
    // Links at the destination are the sandbox's own business; the server follows them inside it.
    let there = files.find(to).await?.map(|(_, entry)| entry.kind);
    let contents = means_contents(from);
    let into = match (there, metadata.is_dir()) {
        (Some(FileKind::Directory), true) if contents => to.clone(),
        (Some(FileKind::Directory), _) => to.join(name_of(from)?),
        (Some(_), true) => {
            return Err(Failure::new(format!("{} is a directory, and {to} is none", from.display())).into());
        }
        (None, false) if to.directory => {
            return Err(Failure::new(format!("there is no directory {to} in the sandbox"))
                .hint("make it first: lazaret exec SANDBOX -- mkdir -p PATH")
                .into());
        }
        (Some(_) | None, _) => to.clone(),
    };
    if metadata.is_dir() {
        tree(files, from, into, &metadata, follow_links).await
    } else {
        // A FIFO or device has no length of its own, and is read to its end.
        let bar = bar(metadata.is_file().then_some(metadata.len()));
        send(files, from, &into, &metadata, &bar).await?;
        bar.finish_and_clear();
        Ok(())
    }
}

async fn tree(
    files: &Files,
    from: &Path,
    to: RemotePath,
    metadata: &Metadata,
    follow_links: bool,
) -> Result<()> {
    let bar = bar(None);
    files.make_dir(&to, mode(metadata)).await?;
    let mut pending: Vec<(PathBuf, RemotePath, usize)> = vec![(from.to_owned(), to, 0)];
    while let Some((from, to, depth)) = pending.pop() {
        let cannot = || format!("cannot read {}", from.display());
        if depth > DEPTH_MAX {
            return Err(Failure::new(format!("{} is too deep to copy", from.display()))
                .hint("do links form a loop in it? leave out -L")
                .into());
        }
        for entry in std::fs::read_dir(&from).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let (path, target) = (entry.path(), to.join(&entry.file_name()));
            let look = if follow_links { std::fs::metadata } else { std::fs::symlink_metadata };
            let metadata = look(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if metadata.is_dir() {
                files.make_dir(&target, mode(&metadata)).await?;
                pending.push((path, target, depth + 1));
            } else if metadata.is_file() {
                send(files, &path, &target, &metadata, &bar).await?;
            } else {
                let what = if metadata.is_symlink() {
                    "a link; -L copies what it points at"
                } else {
                    "not a regular file"
                };
                bar.suspend(|| say(&format!("skipped {}: it is {what}", path.display())));
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn send(
    files: &Files,
    from: &Path,
    to: &RemotePath,
    metadata: &Metadata,
    bar: &ProgressBar,
) -> Result<()> {
    let file =
        tokio::fs::File::open(from).await.with_context(|| format!("cannot read {}", from.display()))?;
    let length = metadata.is_file().then_some(metadata.len());
    // A file that grows meanwhile is sent as long as it was; one that shrinks fails the request.
    let chunks = ReaderStream::with_capacity(file.take(length.unwrap_or(u64::MAX)), CHUNK_BYTES);
    let bar = bar.clone();
    let body = Body::wrap_stream(
        chunks.inspect_ok(move |chunk| bar.inc(u64::try_from(chunk.len()).unwrap_or(u64::MAX))),
    );
    files.write(to, mode(metadata), length, body).await
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & PERMISSIONS
}

/// Whether `path` stands for what is in it: `dir/.`, and `.` or `..` which have no name of their own.
fn means_contents(path: &Path) -> bool {
    path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/.")
}

fn name_of(path: &Path) -> Result<&OsStr> {
    let name = path.file_name().ok_or_else(|| Failure::new(format!("{} has no name", path.display())))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_its_contents_if_it_says_so_or_has_no_name() {
        for (path, want) in
            [("a", false), ("a/", false), ("a/.", true), (".", true), ("..", true), ("/", true)]
        {
            assert_eq!(means_contents(Path::new(path)), want, "{path}");
        }
    }
}
