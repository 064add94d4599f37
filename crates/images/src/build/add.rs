//! Local archives that `ADD` unpacks.
//!
//! Entries keep their owners, modes and times. Names through symlinks of the archive's own are refused where the layer is
//! applied, as in any layer; symlinks of the base are followed for the directories that it has.

use std::fs::File;
use std::io::{BufReader, Write};

use rustix::fs::FileType;

use super::context::WHITEOUT;
use super::copy::{CopyError, Copying, child, parse};
use super::lookup::View;
use super::owner::Owner;
use super::select::Selected;
use crate::commit::archive::{Kind, Member};
use crate::unpack::compression::{CompressionError, decompress};
use crate::unpack::layer::ID_MAX;
use crate::unpack::path::EntryPath;
use crate::unpack::tar::{self, Reader, TarError};

impl<W: Write> Copying<'_, W> {
    /// The archive that a source is, if it is one.
    pub(super) fn archive_of(&self, view: &View, one: &Selected) -> Result<Option<File>, CopyError> {
        let lookup = |problem| CopyError::Source { source_path: one.path.to_string(), problem };
        if FileType::from_raw_mode(one.stat.st_mode) != FileType::RegularFile || one.stat.st_size == 0 {
            return Ok(None);
        }
        let name = || String::from_utf8_lossy(&one.name).escape_debug().to_string();
        let file = BufReader::new(view.file(&one.path).map_err(lookup)?);
        let is_archive = match decompress(file) {
            Ok(plain) => matches!(Reader::new(plain).next_entry(), Ok(Some(_))),
            Err(CompressionError::Unsupported(compression)) => {
                return Err(CopyError::ArchiveCompression { name: name(), compression });
            }
            Err(CompressionError::Read(error)) => return Err(CopyError::Read(error)),
        };
        if !is_archive {
            return Ok(None);
        }
        if self.copy.mode.is_some() {
            return Err(CopyError::ArchiveMode(name()));
        }
        view.file(&one.path).map_err(lookup).map(Some)
    }

    /// Hands on what is in an archive. Names through symlinks of its own are refused where the layer is applied.
    pub(super) fn unpack(
        &mut self,
        archive: File,
        name: &str,
        destination: &EntryPath,
    ) -> Result<(), CopyError> {
        let broken = |problem| CopyError::Archive { name: name.escape_debug().to_string(), problem };
        let plain = decompress(BufReader::new(archive)).map_err(|error| match error {
            CompressionError::Unsupported(compression) => {
                CopyError::ArchiveCompression { name: name.escape_debug().to_string(), compression }
            }
            CompressionError::Read(error) => CopyError::Read(error),
        })?;
        let mut reader = Reader::new(plain);
        while let Some(entry) = reader.next_entry().map_err(broken)? {
            let inside = parse(&entry.name)?;
            if inside.components().any(|component| component.starts_with(WHITEOUT)) {
                return Err(CopyError::Marker(inside));
            }
            if inside.is_root() {
                continue;
            }
            let target = self.beneath(destination, &inside)?;
            let link = match entry.kind {
                tar::Kind::HardLink => self.beneath(destination, &parse(&entry.link)?)?.as_bytes().to_vec(),
                _ => entry.link.clone(),
            };
            let kind = match entry.kind {
                tar::Kind::File => Kind::File,
                tar::Kind::HardLink => Kind::HardLink,
                tar::Kind::Symlink => Kind::Symlink,
                tar::Kind::Directory => Kind::Directory,
                tar::Kind::Fifo => Kind::Fifo,
                // Left out where the runtime has its own, as in any layer.
                tar::Kind::Device if target.components().next() == Some(b"dev") => continue,
                tar::Kind::Device | tar::Kind::Sparse | tar::Kind::Other(_) => {
                    return Err(CopyError::EntryKind(target));
                }
            };
            let id = |id: u64| {
                let fits = u32::try_from(id).ok().filter(|_| id <= ID_MAX);
                fits.ok_or_else(|| {
                    CopyError::Owner(format!("an entry of {} is of {id}", name.escape_debug()))
                })
            };
            let owner = match self.owner {
                Some(owner) => owner,
                None => Owner { uid: id(entry.uid)?, gid: id(entry.gid)? },
            };
            let member = Member {
                name: target.as_bytes(),
                kind,
                link: &link,
                mode: entry.mode & 0o7777,
                uid: owner.uid,
                gid: owner.gid,
                size: entry.size,
                modified: entry.modified,
                xattrs: &[],
            };
            let into = target.clone();
            self.put(&member, reader.contents())?;
            if kind == Kind::Directory {
                self.made.insert(into);
            }
        }
        if reader.saw_end_marker() { Ok(()) } else { Err(broken(TarError::Truncated)) }
    }

    /// A name of an archive in the destination, with the directories above it where the base has them.
    fn beneath(&self, destination: &EntryPath, inside: &EntryPath) -> Result<EntryPath, CopyError> {
        let refused = |problem| CopyError::Destination { destination: inside.to_string(), problem };
        let (above, name) = inside.split().ok_or_else(|| CopyError::NotDirectory(inside.clone()))?;
        let whole = [destination.as_bytes(), b"/", above.as_bytes()].concat();
        let parent = self.base.resolve(&whole).map_err(refused)?;
        child(&parent.path, name)
    }
}
