//! Files: listings, downloads and uploads.

use futures_util::stream::{self, StreamExt};
use lazaret_core::ports::{Listing, Matches};
use lazaret_core::{Body, FilePath, FileScope, LineMatch, Links, Result, TreeQuery};
use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Entry, HostMessage, List, Match, Metadata, RequestBody, Selection, Walk};

use super::channel::{Channel, Reply};
use super::convert;
use super::error::GuestError;

/// Bytes of paths and link targets that one listing may hold in the server's memory. Ten thousand paths of ordinary
/// length need one of them; a tree made of the longest names is cut.
const LISTING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// How far a listing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth<'a> {
    /// The entries of one directory.
    Directory,
    /// The regular files of a tree.
    Tree,
    /// These entries of a tree.
    Selected(&'a TreeQuery),
}

/// A listing that is asked for.
pub(super) struct Request<'a> {
    pub(super) scope: &'a FileScope,
    pub(super) path: &'a FilePath,
    pub(super) max_entries: usize,
    pub(super) depth: Depth<'a>,
}

impl Request<'_> {
    /// As a message.
    pub(super) fn body(&self) -> Result<RequestBody> {
        let target = convert::target(self.scope, self.path)?;
        let limit = u32::try_from(self.max_entries).unwrap_or(u32::MAX);
        Ok(match self.depth {
            Depth::Directory => RequestBody::List(List { target, limit }),
            Depth::Tree => RequestBody::Walk(Walk { target, limit, selection: None }),
            Depth::Selected(TreeQuery { depth, name, links }) => {
                let name = name.as_deref().map(Into::into);
                let selection = Selection { depth: *depth, name, follow: *links == Links::Followed };
                RequestBody::Walk(Walk { target, limit, selection: Some(selection) })
            }
        })
    }

    /// Receives the entries.
    pub(super) async fn receive(&self, channel: &mut Channel) -> Result<Listing, GuestError> {
        let mut listing = Listing { entries: Vec::new(), truncated: false };
        let mut bytes = 0_usize;
        loop {
            let entries = match channel.reply().await? {
                Reply::Entries(entries) => entries,
                Reply::ListEnd { truncated } => {
                    listing.truncated |= truncated;
                    return Ok(listing);
                }
                other => return Err(other.unexpected()),
            };
            for Entry { path, metadata } in entries {
                if listing.entries.len() == self.max_entries {
                    return Err(GuestError::Violation("more entries than were asked for"));
                }
                if !self.is_possible(&path) {
                    return Err(GuestError::Violation("an entry that no directory has"));
                }
                let link = metadata.link_target.as_ref().map_or(0, |target| target.len());
                bytes += self.path.as_bytes().len() + path.len() + link;
                if bytes > LISTING_MAX_BYTES {
                    listing.truncated = true;
                    return Ok(listing);
                }
                match self.join(&path) {
                    Some(path) => listing.entries.push(convert::entry(path, metadata)),
                    // Below a long directory, a path may be longer than any that can be asked for.
                    None => listing.truncated = true,
                }
            }
        }
    }

    /// Whether an honest guest could send that name or relative path.
    fn is_possible(&self, path: &[u8]) -> bool {
        is_beneath(path) && (self.depth != Depth::Directory || !path.contains(&b'/'))
    }

    fn join(&self, path: &[u8]) -> Option<FilePath> {
        join(self.path, path)
    }
}

/// Whether it is a path that an honest guest finds in a tree.
fn is_beneath(path: &[u8]) -> bool {
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
    path.split(|byte| *byte == b'/').all(is_name)
}

fn join(root: &FilePath, path: &[u8]) -> Option<FilePath> {
    let root = root.as_bytes();
    let root = root.strip_suffix(b"/").unwrap_or(root);
    FilePath::new([root, b"/", path].concat()).ok()
}

/// Receives the lines of a search in `root`, at most `max_lines`.
pub(super) async fn matches(
    channel: &mut Channel,
    root: &FilePath,
    max_lines: usize,
) -> Result<Matches, GuestError> {
    let mut all = Matches { lines: Vec::new(), truncated: false };
    let mut bytes = 0_usize;
    loop {
        let found = match channel.reply().await? {
            Reply::Matches(found) => found,
            Reply::ListEnd { truncated } => {
                all.truncated |= truncated;
                return Ok(all);
            }
            other => return Err(other.unexpected()),
        };
        for Match { path, line, text } in found {
            if all.lines.len() == max_lines {
                return Err(GuestError::Violation("more lines than were asked for"));
            }
            if !path.is_empty() && !is_beneath(&path) {
                return Err(GuestError::Violation("a match in a file that no tree has"));
            }
            bytes += root.as_bytes().len() + path.len() + text.len();
            if bytes > LISTING_MAX_BYTES {
                all.truncated = true;
                return Ok(all);
            }
            let path = if path.is_empty() { Some(root.clone()) } else { join(root, &path) };
            match path {
                Some(path) => all.lines.push(LineMatch { path, line, text: text.0 }),
                None => all.truncated = true,
            }
        }
    }
}

/// What is left of a download.
struct Download {
    channel: Channel,
    path: FilePath,
    /// Bytes that may still come; `None` is any number.
    left: Option<u64>,
}

/// The contents of a file, at most `length` bytes of them.
pub(super) fn body(channel: Channel, path: FilePath, length: Option<u64>) -> Body {
    let download = Download { channel, path, left: length };
    stream::unfold(Some(download), |state| async move {
        let mut download = state?;
        match download.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(download))),
            Ok(None) => None,
            Err(error) => Some((Err(error.for_path(&download.path)), None)),
        }
    })
    .boxed()
}

impl Download {
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, GuestError> {
        let bytes = match self.channel.reply().await? {
            Reply::Data(bytes) => bytes,
            Reply::Done => return Ok(None),
            other => return Err(other.unexpected()),
        };
        if let Some(left) = &mut self.left {
            let less = left.checked_sub(bytes.len() as u64);
            *left = less.ok_or(GuestError::Violation("more of the file than was asked for"))?;
        }
        Ok(Some(bytes))
    }
}

/// Sends a file and commits it. If `body` ends in an error, the connection is dropped without a commit, and the guest
/// keeps nothing.
pub(super) async fn upload(channel: &mut Channel, path: &FilePath, mut body: Body) -> Result<Metadata> {
    while let Some(chunk) = body.next().await {
        for piece in chunk?.chunks(DATA_MAX) {
            channel.send(&HostMessage::Data(piece)).await.map_err(|error| error.for_path(path))?;
        }
    }
    channel.send(&HostMessage::Commit).await.map_err(|error| error.for_path(path))?;
    match channel.reply().await {
        Ok(Reply::Written(written)) => Ok(written.metadata),
        Ok(other) => Err(other.unexpected().for_path(path)),
        Err(error) => Err(error.for_path(path)),
    }
}
