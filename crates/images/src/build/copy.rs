//! Files of a context or an image as a layer on another image.
//!
//! What is copied where, as Docker does it:
//!
//! | Source | Destination | Becomes |
//! | --- | --- | --- |
//! | a directory | | what is in it, in the destination |
//! | a file | ends with `/`, or is a directory, or there are several | a file of that name in the destination |
//! | a file | anything else | the destination |
//! | a local archive, for `ADD` | | what is in it, in the destination |
//!
//! Directories on the way are made. A directory that is there already keeps what is in it. Symlinks of the base are followed
//! where they lead to directories, so that what is copied to `/bin` of a merged `/usr` lands there.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};

use lazaret_core::CopyAction;
use rustix::fs::{FileType, Stat, Timespec};

use super::context::WHITEOUT;
use super::lookup::{LookupError, View, Xattrs};
use super::owner::Owner;
use super::select::{Selected, children, select};
use crate::commit::Unwritten;
use crate::commit::archive::{Kind, Member, Writer};
use crate::unpack::limits::{Exceeded, UnpackLimits};
use crate::unpack::path::{EntryPath, PathError};
use crate::unpack::tar::TarError;

/// Why files were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Nothing has the source's name.
    #[error("{0}: there is no such file to copy")]
    Missing(String),
    /// A source's pattern is malformed.
    #[error("{source_path}: {reason}")]
    Pattern {
        /// The source.
        source_path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A source leads nowhere.
    #[error("{source_path}")]
    Source {
        /// The source.
        source_path: String,
        /// Why.
        #[source]
        problem: LookupError,
    },
    /// A destination leads nowhere.
    #[error("{destination}")]
    Destination {
        /// The destination.
        destination: String,
        /// Why.
        #[source]
        problem: LookupError,
    },
    /// A file would replace a directory.
    #[error("{0} is a directory: a file cannot be copied over it")]
    IsDirectory(EntryPath),
    /// A directory would replace something else.
    #[error("{0} is not a directory: a directory cannot be copied over it")]
    NotDirectory(EntryPath),
    /// A name would hide files.
    #[error("{0}: a name that begins with \".wh.\" cannot be in an image")]
    Marker(EntryPath),
    /// The owner is nobody.
    #[error("--chown: {0}")]
    Owner(String),
    /// A mode was given for what is in an archive.
    #[error("{0} is an archive: --chmod does not say what in it is meant")]
    ArchiveMode(String),
    /// An archive has a compression that is not read.
    #[error("{name} is compressed with {compression}, which ADD does not read here; COPY takes it as it is")]
    ArchiveCompression {
        /// The archive.
        name: String,
        /// Its compression.
        compression: &'static str,
    },
    /// An archive cannot be read.
    #[error("{name} cannot be unpacked")]
    Archive {
        /// The archive.
        name: String,
        /// Why.
        #[source]
        problem: TarError,
    },
    /// An entry of an archive is nothing that an image can have.
    #[error("{0} is neither a file nor a directory nor a link")]
    EntryKind(EntryPath),
    /// A name in an archive, or one that a copy would make, cannot be in an image.
    #[error("{name}")]
    Name {
        /// The name, with what is not printable escaped.
        name: String,
        /// Why.
        #[source]
        problem: PathError,
    },
    /// There is too much of it.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// A file could not be read.
    #[error("cannot read a file")]
    Read(#[source] io::Error),
    /// The layer could not be handed on.
    #[error("the layer cannot be written")]
    Write(#[source] io::Error),
}

/// Writes the layer of a copy. `from` is a context, whose files are root's, or an image, whose files keep their owners.
///
/// # Errors
/// [`CopyError`].
pub(super) fn write(
    base: &View,
    from: Option<(&View, Owners)>,
    copy: &CopyAction,
    limits: UnpackLimits,
    out: impl Write,
) -> Result<(), CopyError> {
    let owner = copy.owner.as_deref().map(|owner| Owner::find(base, owner)).transpose()?;
    let archive = Writer::new(out);
    let made = BTreeSet::new();
    let mut copying =
        Copying { archive, base, copy, owner, limits, entries: 0, made, linked: HashMap::new() };
    if let Some((view, owners)) = from {
        for source in &copy.sources {
            let selected = select(view, source)?;
            let several = selected.len() > 1;
            for one in selected {
                copying.source(view, owners, &one, several)?;
            }
        }
    }
    for text in &copy.texts {
        copying.text(&text.name, &text.text)?;
    }
    copying.archive.finish().map_err(CopyError::Write)
}

/// Writes the layer of a directory and those above it. Not called where it is there.
///
/// # Errors
/// [`CopyError`].
pub(super) fn write_directory(base: &View, path: &EntryPath, out: impl Write) -> Result<(), CopyError> {
    let copy = CopyAction {
        from: None,
        sources: Vec::new(),
        texts: Vec::new(),
        destination: String::new(),
        into_directory: true,
        owner: None,
        mode: None,
        unpack: false,
    };
    let (limits, made) = (UnpackLimits::default(), BTreeSet::new());
    let archive = Writer::new(out);
    let mut copying =
        Copying { archive, base, copy: &copy, owner: None, limits, entries: 0, made, linked: HashMap::new() };
    copying.directories(path)?;
    copying.archive.finish().map_err(CopyError::Write)
}

/// Whose the copied files are, where `--chown` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    Root,
    Kept,
}

pub(super) struct Copying<'a, W> {
    archive: Writer<W>,
    pub(super) base: &'a View,
    pub(super) copy: &'a CopyAction,
    pub(super) owner: Option<Owner>,
    limits: UnpackLimits,
    entries: u64,
    /// Directories that this layer has made.
    pub(super) made: BTreeSet<EntryPath>,
    /// First names of files that have several, by inode of the source.
    linked: HashMap<u64, Vec<u8>>,
}

impl<W: Write> Copying<'_, W> {
    fn source(
        &mut self,
        view: &View,
        owners: Owners,
        one: &Selected,
        several: bool,
    ) -> Result<(), CopyError> {
        let destination = self.destination()?;
        if one.is_directory() {
            return self.directory_contents(view, owners, one, &destination);
        }
        if self.copy.unpack
            && let Some(archive) = self.archive_of(view, one)?
        {
            self.directories(&destination)?;
            return self.unpack(archive, &String::from_utf8_lossy(&one.name), &destination);
        }
        let target = self.target(&destination, &one.name, several)?;
        self.entry(view, owners, &one.path, &one.stat, &target)
    }

    /// Where the destination is in the base, through its symlinks.
    fn destination(&self) -> Result<EntryPath, CopyError> {
        let text = &self.copy.destination;
        let refused = |problem| CopyError::Destination { destination: text.clone(), problem };
        Ok(self.base.resolve(text.as_bytes()).map_err(refused)?.path)
    }

    /// What a file becomes, with the directories above it made.
    fn target(
        &mut self,
        destination: &EntryPath,
        name: &[u8],
        several: bool,
    ) -> Result<EntryPath, CopyError> {
        let inside = self.copy.into_directory
            || several
            || self.made.contains(destination)
            || self.kind(destination)? == Some(FileType::Directory);
        if inside {
            self.directories(destination)?;
            return child(destination, name);
        }
        if let Some((parent, _)) = destination.split() {
            self.directories(&parent)?;
        }
        Ok(destination.clone())
    }

    fn directory_contents(
        &mut self,
        view: &View,
        owners: Owners,
        one: &Selected,
        destination: &EntryPath,
    ) -> Result<(), CopyError> {
        match self.kind(destination)? {
            Some(FileType::Directory) => {}
            Some(_) => return Err(CopyError::NotDirectory(destination.clone())),
            None if self.made.contains(destination) => {}
            None => {
                if let Some((parent, _)) = destination.split() {
                    self.directories(&parent)?;
                }
                self.put_directory(owners, &one.stat, destination)?;
            }
        }
        self.children(view, owners, &one.path, destination)
    }

    /// The depth of the recursion is that of a path, which is bounded where trees are made.
    fn children(
        &mut self,
        view: &View,
        owners: Owners,
        directory: &EntryPath,
        target: &EntryPath,
    ) -> Result<(), CopyError> {
        for (name, path, stat) in children(view, directory)? {
            let target = child(target, &name)?;
            self.entry(view, owners, &path, &stat, &target)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        view: &View,
        owners: Owners,
        path: &EntryPath,
        stat: &Stat,
        target: &EntryPath,
    ) -> Result<(), CopyError> {
        let lookup = |problem| CopyError::Source { source_path: path.to_string(), problem };
        if target.split().is_some_and(|(_, name)| name.starts_with(WHITEOUT)) {
            return Err(CopyError::Marker(target.clone()));
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let inside = self.merged(target)?;
            if inside == *target {
                self.put_directory(owners, stat, target)?;
            }
            return self.children(view, owners, path, &inside);
        }
        if self.kind(target)? == Some(FileType::Directory) {
            return Err(CopyError::IsDirectory(target.clone()));
        }
        let several_names = stat.st_nlink > 1;
        let member = self.member(owners, stat, target);
        if several_names && let Some(first) = self.linked.get(&stat.st_ino) {
            let first = first.clone();
            return self.put(&Member { kind: Kind::HardLink, link: &first, ..member }, io::empty());
        }
        match kind {
            FileType::RegularFile => {
                let file = view.file(path).map_err(lookup)?;
                let xattrs: Xattrs = View::xattrs(&file).map_err(lookup)?;
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                self.put(&Member { size, xattrs: &xattrs, ..member }, file)?;
            }
            FileType::Symlink => {
                let link = view.link_target(path).map_err(lookup)?;
                self.put(&Member { kind: Kind::Symlink, link: &link, mode: 0o777, ..member }, io::empty())?;
            }
            FileType::Fifo => self.put(&Member { kind: Kind::Fifo, ..member }, io::empty())?,
            // No tree of the store has anything else.
            _ => return Ok(()),
        }
        if several_names {
            self.linked.insert(stat.st_ino, target.as_bytes().to_vec());
        }
        Ok(())
    }

    /// Where a directory's contents go: into the directory of that name, be it behind a symlink of the base.
    fn merged(&self, target: &EntryPath) -> Result<EntryPath, CopyError> {
        let refused = |problem| CopyError::Destination { destination: target.to_string(), problem };
        match self.kind(target)? {
            None | Some(FileType::Directory) => Ok(target.clone()),
            Some(FileType::Symlink) => {
                let place = self.base.resolve(target.as_bytes()).map_err(refused)?;
                if place.is_directory() {
                    Ok(place.path)
                } else {
                    Err(CopyError::NotDirectory(target.clone()))
                }
            }
            Some(_) => Err(CopyError::NotDirectory(target.clone())),
        }
    }

    /// A file whose contents the Dockerfile has.
    fn text(&mut self, name: &str, text: &str) -> Result<(), CopyError> {
        let destination = self.destination()?;
        let target = self.target(&destination, name.as_bytes(), false)?;
        if self.kind(&target)? == Some(FileType::Directory) {
            return Err(CopyError::IsDirectory(target));
        }
        let owner = self.owner.unwrap_or(Owner::ROOT);
        let member = Member {
            name: target.as_bytes(),
            kind: Kind::File,
            link: b"",
            mode: self.copy.mode.unwrap_or(0o644),
            uid: owner.uid,
            gid: owner.gid,
            size: text.len() as u64,
            modified: Timespec { tv_sec: 0, tv_nsec: 0 },
            xattrs: &[],
        };
        self.put(&member, text.as_bytes())
    }

    /// Makes a directory and those above it, as far as they are not there.
    fn directories(&mut self, path: &EntryPath) -> Result<(), CopyError> {
        let above: Vec<Vec<u8>> = path.ancestors().map(<[u8]>::to_vec).collect();
        let own = (!path.is_root()).then(|| path.as_bytes().to_vec());
        for name in above.into_iter().rev().chain(own) {
            let directory = parse(&name)?;
            if self.made.contains(&directory) {
                continue;
            }
            match self.kind(&directory)? {
                Some(FileType::Directory) => continue,
                Some(_) => return Err(CopyError::NotDirectory(directory)),
                None => {}
            }
            let owner = self.owner.unwrap_or(Owner::ROOT);
            let member = Member {
                name: directory.as_bytes(),
                kind: Kind::Directory,
                link: b"",
                mode: 0o755,
                uid: owner.uid,
                gid: owner.gid,
                size: 0,
                modified: Timespec { tv_sec: 0, tv_nsec: 0 },
                xattrs: &[],
            };
            self.put(&member, io::empty())?;
            self.made.insert(directory);
        }
        Ok(())
    }

    fn put_directory(&mut self, owners: Owners, stat: &Stat, target: &EntryPath) -> Result<(), CopyError> {
        let member = Member { kind: Kind::Directory, ..self.member(owners, stat, target) };
        self.put(&member, io::empty())?;
        self.made.insert(target.clone());
        Ok(())
    }

    /// An entry with the attributes of a source, as far as nothing else was asked for.
    fn member<'m>(&self, owners: Owners, stat: &Stat, target: &'m EntryPath) -> Member<'m> {
        let own = match owners {
            Owners::Root => Owner::ROOT,
            Owners::Kept => Owner { uid: stat.st_uid, gid: stat.st_gid },
        };
        let owner = self.owner.unwrap_or(own);
        Member {
            name: target.as_bytes(),
            kind: Kind::File,
            link: b"",
            mode: self.copy.mode.unwrap_or(stat.st_mode & 0o7777),
            uid: owner.uid,
            gid: owner.gid,
            size: 0,
            modified: Timespec {
                tv_sec: stat.st_mtime,
                tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
            },
            xattrs: &[],
        }
    }

    pub(super) fn put(&mut self, member: &Member<'_>, contents: impl Read) -> Result<(), CopyError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Exceeded::Entries(self.limits.entries).into());
        }
        self.archive.put(member, contents).map_err(CopyError::Write)
    }

    fn kind(&self, path: &EntryPath) -> Result<Option<FileType>, CopyError> {
        let refused = |problem| CopyError::Destination { destination: path.to_string(), problem };
        let stat = self.base.stat(path).map_err(refused)?;
        Ok(stat.map(|stat| FileType::from_raw_mode(stat.st_mode)))
    }
}

pub(super) fn parse(name: &[u8]) -> Result<EntryPath, CopyError> {
    let refused = |problem| CopyError::Name { name: crate::unpack::layer::printable(name), problem };
    EntryPath::parse(name).map_err(refused)
}

pub(super) fn child(directory: &EntryPath, name: &[u8]) -> Result<EntryPath, CopyError> {
    let refused = |problem| CopyError::Name { name: crate::unpack::layer::printable(name), problem };
    directory.child(name).map_err(refused)
}

impl From<CopyError> for Unwritten {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Write(_) => Self::Unread,
            error => Self::Failed(error.into()),
        }
    }
}
