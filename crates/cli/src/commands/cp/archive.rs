//! Tar streams: a sandbox's tree to standard output, standard input into a sandbox.
//!
//! The tar library reads and writes synchronously, so it works on a thread and calls back into the
//! async client for each file. Nothing is held in memory but a chunk.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use reqwest::Body;
use tar::{Archive, Builder, EntryType, Header};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::download::{NO_TARGET, skipped};
use super::place::RemotePath;
use super::remote::{Entry, Files};
use super::{DEPTH_MAX, ENTRIES_MAX};
use crate::failure::{Failure, say};
use crate::stdio::on_thread;
use crate::terminal;
use crate::wire::FileKind;

/// Bytes sent at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks read ahead of the network.
const CHUNKS_AHEAD: usize = 2;

/// Writes `path` as a tar stream on standard output.
pub(super) async fn pack(files: Files, path: RemotePath) -> Result<()> {
    if terminal::stdout_is_terminal() {
        return Err(Failure::new("standard output is a terminal, and a tar stream is no text")
            .hint("pipe it on: lazaret cp SANDBOX:/path - | tar x")
            .into());
    }
    let Some((found, entry)) = files.find(&path).await? else {
        return Err(Failure::new(format!("there is no {path} in the sandbox")).into());
    };
    let name = if path.contents { OsString::from(".") } else { path.name().unwrap_or_default().to_owned() };
    let handle = Handle::current();
    on_thread(move || pack_blocking(&handle, &files, found, entry, name)).await
}

fn pack_blocking(
    handle: &Handle,
    files: &Files,
    path: RemotePath,
    entry: Entry,
    name: OsString,
) -> Result<()> {
    let mut tar = Builder::new(io::stdout().lock());
    let mut pending = vec![(path, entry, PathBuf::from(name), 0_usize)];
    let mut entries = 0_usize;
    while let Some((from, entry, name, depth)) = pending.pop() {
        entries += 1;
        if entries > ENTRIES_MAX || depth > DEPTH_MAX {
            return Err(Failure::new(format!("{from} has more in it than one copy takes")).into());
        }
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        match entry.kind {
            FileKind::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                tar.append_data(&mut header, &name, io::empty())?;
                for child in handle.block_on(files.list(&from))? {
                    let (from, name) = (from.join(&child.name), name.join(&child.name));
                    pending.push((from, child, name, depth + 1));
                }
            }
            FileKind::File => {
                header.set_size(entry.bytes);
                let body = handle.block_on(files.read(&from))?.bytes_stream().map_err(io::Error::other);
                let reader = SyncIoBridge::new_with_handle(StreamReader::new(body), handle.clone());
                // The size is in the header already, so what comes must be as long: not longer, which would be taken
                // for the next header, and not shorter.
                let mut exact = reader.take(entry.bytes);
                tar.append_data(&mut header, &name, &mut exact)?;
                if exact.limit() > 0 {
                    return Err(Failure::new(format!("{from} became shorter while it was read")).into());
                }
            }
            FileKind::Link => match entry.link_target {
                Some(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    tar.append_link(&mut header, &name, target)?;
                }
                None => skipped(&from, NO_TARGET),
            },
            FileKind::Other => skipped(&from, "it is neither a file nor a directory nor a link"),
        }
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// Unpacks the tar stream on standard input into the directory `path`, which is made if it is not there.
pub(super) async fn unpack(files: Files, path: RemotePath) -> Result<()> {
    if terminal::stdin_is_terminal() {
        return Err(Failure::new("standard input is a terminal, and a tar stream is expected there")
            .hint("pipe one in: tar c DIR | lazaret cp - SANDBOX:/path")
            .into());
    }
    files.make_dir(&path, 0o755).await?;
    let handle = Handle::current();
    on_thread(move || unpack_blocking(&handle, &files, &path)).await
}

fn unpack_blocking(handle: &Handle, files: &Files, into: &RemotePath) -> Result<()> {
    let broken = "standard input is not a tar stream that can be read";
    let mut tar = Archive::new(io::stdin().lock());
    for entry in tar.entries().context(broken)? {
        let mut entry = entry.context(broken)?;
        let name = OsStr::from_bytes(&entry.path_bytes()).to_owned();
        let Some(path) = below(into, &name) else {
            return Err(Failure::new(format!(
                "the archive names '{}', which leaves the destination",
                name.display()
            ))
            .into());
        };
        let (mode, bytes) = (entry.header().mode().context(broken)? & 0o777, entry.size());
        match entry.header().entry_type() {
            EntryType::Directory => handle.block_on(files.make_dir(&path, mode))?,
            EntryType::Regular | EntryType::Continuous => send(handle, files, path, mode, bytes, &mut entry)?,
            EntryType::Symlink | EntryType::Link => say(&format!("skipped {path}: it is a link")),
            _ => say(&format!("skipped {path}: it is neither a file nor a directory")),
        }
    }
    Ok(())
}

fn send(
    handle: &Handle,
    files: &Files,
    path: RemotePath,
    mode: u32,
    bytes: u64,
    from: &mut impl Read,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD);
    let chunks =
        futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let body = Body::wrap_stream(chunks);
    let files = files.clone();
    let sending = handle.spawn(async move { files.write(&path, mode, Some(bytes), body).await });
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).context("standard input broke off")?;
        // A receiver that is gone means that the request failed; what it says is more telling than this.
        if count == 0
            || sender
                .blocking_send(Ok(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default())))
                .is_err()
        {
            break;
        }
    }
    drop(sender);
    handle.block_on(sending)?
}

/// The path `name` of an archive below `into`; `None` if it climbs.
fn below(into: &RemotePath, name: &OsStr) -> Option<RemotePath> {
    let absolute = [b"/".as_slice(), name.as_bytes()].concat();
    let name = RemotePath::parse(&absolute)?;
    Some(name.components().fold(into.clone(), |path, component| path.join(OsStr::from_bytes(component))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_archive_stay_below_the_destination() {
        let into = RemotePath::parse(b"/srv").unwrap();
        for (name, want) in [
            ("a/b", Some("/srv/a/b")),
            ("./a/", Some("/srv/a")),
            ("/etc/passwd", Some("/srv/etc/passwd")),
            (".", Some("/srv")),
            ("../x", None),
            ("a/../../x", None),
        ] {
            assert_eq!(
                below(&into, OsStr::new(name)).map(|path| path.to_string()).as_deref(),
                want,
                "{name}"
            );
        }
    }
}
