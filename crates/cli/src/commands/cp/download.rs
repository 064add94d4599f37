//! Out of a sandbox: files and trees.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use indicatif::ProgressBar;
use tokio::io::AsyncWriteExt as _;

use super::beneath::{LocalDir, stays_inside};
use super::place::RemotePath;
use super::remote::{Entry, Files, shown};
use super::{DEPTH_MAX, ENTRIES_MAX, bar};
use crate::failure::{Failure, say};
use crate::wire::FileKind;

/// Why a link is left out whose target the API cannot tell.
pub(super) const NO_TARGET: &str = "it points at a name that is not UTF-8";

/// A directory that is still to be copied.
struct Pending {
    from: RemotePath,
    /// Where it goes: a directory that exists, or the parent and the name of one to be made. Waiting directories share
    /// their parent's descriptor instead of each having their own open.
    to: LocalDir,
    make: Option<Entry>,
    depth: usize,
}

/// Copies `from` to the local path `to`.
pub(super) async fn download(files: &Files, from: &RemotePath, to: &Path) -> Result<()> {
    let Some((found, entry)) = files.find(from).await? else {
        return Err(Failure::new(format!("there is no {from} in the sandbox")).into());
    };
    // The name that was typed counts, not the one that a link led to.
    let name = from.name().unwrap_or_default();
    match entry.kind {
        FileKind::Directory => tree(files, from, found, &entry, to).await,
        FileKind::File => file(files, &found, &entry, name, to).await,
        FileKind::Link | FileKind::Other => {
            Err(Failure::new(format!("{from} is neither a file nor a directory")).into())
        }
    }
}

async fn file(files: &Files, from: &RemotePath, entry: &Entry, name: &OsStr, to: &Path) -> Result<()> {
    let bar = bar(Some(entry.bytes));
    let (dir, name) = match kind_of(to)? {
        Local::Directory => (LocalDir::open(to)?, name),
        // Written in place, as cp(1) does: it may be a device, or somebody else's file.
        Local::Other => {
            let cannot = || format!("cannot write {}", to.display());
            let file = File::options().write(true).truncate(true).open(to).with_context(cannot)?;
            fetch(files, from, file, &bar).await.with_context(cannot)?;
            bar.finish_and_clear();
            return Ok(());
        }
        Local::Missing => new_place(to)?,
    };
    let (new, file) = dir.create(name, entry.mode)?;
    fetch(files, from, file, &bar).await?;
    bar.finish_and_clear();
    new.finish()
}

async fn tree(files: &Files, from: &RemotePath, found: RemotePath, entry: &Entry, to: &Path) -> Result<()> {
    let top = match kind_of(to)? {
        Local::Directory if from.contents => LocalDir::open(to)?,
        Local::Directory => LocalDir::open(to)?.make_dir(from.name().unwrap_or_default(), entry.mode)?,
        Local::Missing => {
            let (dir, name) = new_place(to.components().as_path())?;
            dir.make_dir(name, entry.mode)?
        }
        Local::Other => {
            return Err(Failure::new(format!("{from} is a directory, and {} is none", to.display())).into());
        }
    };
    let bar = bar(None);
    let mut pending = vec![Pending { from: found, to: top, make: None, depth: 0 }];
    let mut entries = 0_usize;
    while let Some(Pending { from, to, make, depth }) = pending.pop() {
        let dir = match &make {
            Some(entry) => to.make_dir(&entry.name, entry.mode)?,
            None => to,
        };
        for entry in files.list(&from).await? {
            entries += 1;
            if entries > ENTRIES_MAX || depth > DEPTH_MAX {
                return Err(Failure::new(format!("{from} has more in it than one copy takes")).into());
            }
            let path = from.join(&entry.name);
            match entry.kind {
                FileKind::Directory => {
                    pending.push(Pending {
                        from: path,
                        to: dir.clone(),
                        make: Some(entry),
                        depth: depth + 1,
                    });
                }
                FileKind::File => {
                    let (new, file) = dir.create(&entry.name, entry.mode)?;
                    fetch(files, &path, file, &bar).await?;
                    new.finish()?;
                }
                FileKind::Link => match &entry.link_target {
                    Some(target) if stays_inside(target, depth) => dir.link(&entry.name, target)?,
                    Some(target) => {
                        bar.suspend(|| {
                            skipped(&path, &format!("it points out of the copy, at {}", shown(target)))
                        });
                    }
                    None => bar.suspend(|| skipped(&path, NO_TARGET)),
                },
                FileKind::Other => {
                    bar.suspend(|| skipped(&path, "it is neither a file nor a directory nor a link"))
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn fetch(files: &Files, from: &RemotePath, to: File, bar: &ProgressBar) -> Result<()> {
    let mut body = files.read(from).await?.bytes_stream();
    let mut to = tokio::fs::File::from_std(to);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| files.broken(error))?;
        // With the path as context: a bare I/O error would be taken for one of standard output.
        to.write_all(&chunk).await.with_context(|| format!("cannot write the copy of {from}"))?;
        bar.inc(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }
    to.flush().await.with_context(|| format!("cannot write the copy of {from}"))
}

pub(super) fn skipped(path: &RemotePath, why: &str) {
    say(&format!("skipped {path}: {why}"));
}

enum Local {
    Missing,
    Directory,
    Other,
}

fn kind_of(path: &Path) -> Result<Local> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Local::Directory),
        Ok(_) => Ok(Local::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Local::Missing),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

/// The directory and the name for something that is to be made at `path`.
fn new_place(path: &Path) -> Result<(LocalDir, &OsStr)> {
    let wanted = path.as_os_str().as_encoded_bytes();
    let name = path.file_name().filter(|_| !wanted.ends_with(b"/") && !wanted.ends_with(b"/."));
    let name = name.ok_or_else(|| Failure::new(format!("there is no directory {}", path.display())))?;
    Ok((LocalDir::open(path.parent().unwrap_or(Path::new(".")))?, name))
}
