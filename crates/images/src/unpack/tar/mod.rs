//! Reading tar: one entry after the other, from a stream, without believing any number in it.
//!
//! ```text
//! [L, K, x: name, link, attributes of the next entry]* header(512) data padding   ...   zeros(512) zeros(512)
//! ```
//!
//! ustar, GNU and PAX, as `tar`, `docker save`, BuildKit, skopeo and Python write them. The `tar` crate is not used
//! for this: it reads extension headers into memory whatever their size, splits PAX records at newlines inside
//! values, and drops the high bytes of a size; each is a way for an archive to mean one thing to whoever checked it
//! and another thing here. Where formats disagree this reader refuses instead of choosing.
//!
//! Not here: what an entry does to a tree (`layer`); sparse files and GNU's multi-volume kinds, which are refused.

mod header;
mod pax;

use std::io::{self, Read};

use rustix::fs::Timespec;

pub use header::FieldError;
use header::{BLOCK_BYTES, Header};
use pax::Pax;
pub use pax::PaxError;

/// Largest extension header. A PAX header carries the extended attributes, which Linux bounds at 64 KiB each, and
/// two names of 4 KiB.
const EXTENSION_BYTES_MAX: u64 = 1024 * 1024;

/// Most extension headers before one entry: a long name, a long link and PAX attributes are three.
const EXTENSIONS_MAX: u32 = 8;

/// What kind of thing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file with its contents.
    File,
    /// A second name for an earlier file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character or block device.
    Device,
    /// A file with holes, in GNU's own encoding.
    Sparse,
    /// Anything else, by its type byte.
    Other(u8),
}

/// An entry without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as the archive spells it.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Target of a symlink or hard link, else empty.
    pub link: Vec<u8>,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last change.
    pub modified: Timespec,
    /// Bytes of contents; 0 but for files.
    pub size: u64,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why an archive cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The bytes end inside a header or an entry.
    #[error("the archive is cut short")]
    Truncated,
    /// The bytes before the archive's end marker are not a header.
    #[error("not a tar header: its checksum does not match")]
    Checksum,
    /// A number of a header is malformed.
    #[error("a header is malformed")]
    Field(#[from] FieldError),
    /// A PAX header is malformed.
    #[error("an extended header is malformed")]
    Pax(#[from] PaxError),
    /// An extension header is larger than this reader takes.
    #[error("an extended header has {0} bytes; at most {EXTENSION_BYTES_MAX} are read")]
    ExtensionTooLarge(u64),
    /// Extension headers follow each other without an entry.
    #[error("an entry has more than {EXTENSIONS_MAX} extended headers")]
    TooManyExtensions,
    /// The archive ends after an extension header.
    #[error("an extended header describes no entry")]
    DanglingExtension,
    /// An entry that has no contents says that it has some; readers disagree on where the next header is.
    #[error("an entry that is not a file has {0} bytes of contents")]
    UnexpectedContents(u64),
    /// The stream could not be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
}

/// An archive being read.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Bytes of the current entry's contents not read yet.
    contents: u64,
    /// Zeros after them up to the next block.
    padding: u64,
    /// Bytes taken from the stream.
    position: u64,
    finished: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from the start of an archive.
    pub fn new(inner: R) -> Reader<R> {
        Reader { inner, contents: 0, padding: 0, position: 0, finished: false }
    }

    /// The next entry; its contents are then read from [`Reader::contents`]. What was left of the entry before is
    /// skipped. `None` after the end marker, or where the stream ends between two entries.
    ///
    /// # Errors
    /// See [`TarError`]. After an error the reader must not be used again.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let (mut long_name, mut long_link, mut pax) = (None, None, None);
        let mut extensions = 0;
        loop {
            let Some(header) = self.next_header()? else {
                return if extensions == 0 { Ok(None) } else { Err(TarError::DanglingExtension) };
            };
            match header.type_byte() {
                b'L' => set_once(&mut long_name, until_nul(self.extension(&header)?))?,
                b'K' => set_once(&mut long_link, until_nul(self.extension(&header)?))?,
                b'x' => set_once(&mut pax, Pax::parse(&self.extension(&header)?)?)?,
                // Comments and defaults for the whole archive; none of the tools above gives meaning to them.
                b'g' => drop(Pax::parse(&self.extension(&header)?)?),
                _ => {
                    let entry = assemble(&header, long_name, long_link, pax.unwrap_or_default())?;
                    self.expect_contents(entry.size);
                    return Ok(Some(entry));
                }
            }
            extensions += 1;
            if extensions > EXTENSIONS_MAX {
                return Err(TarError::TooManyExtensions);
            }
        }
    }

    /// The contents of the current entry. A stream that ends inside them is an error, never a short file.
    pub fn contents(&mut self) -> Contents<'_, R> {
        Contents { reader: self }
    }

    /// Where in the stream the next byte comes from; right after [`Reader::next_entry`], where the contents start.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The stream, positioned after what has been read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Whether the archive ended with its marker, not just with the stream.
    pub fn saw_end_marker(&self) -> bool {
        self.finished
    }

    fn next_header(&mut self) -> Result<Option<Header>, TarError> {
        if self.finished {
            return Ok(None);
        }
        self.skip(self.contents)?;
        self.skip(self.padding)?;
        (self.contents, self.padding) = (0, 0);
        let mut block = [0; BLOCK_BYTES];
        match self.fill(&mut block)? {
            0 => return Ok(None),
            BLOCK_BYTES => {}
            _ => return Err(TarError::Truncated),
        }
        if block.iter().all(|byte| *byte == 0) {
            self.finished = true;
            return Ok(None);
        }
        Header::parse(block).map(Some).ok_or(TarError::Checksum)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let size = header.size()?;
        if size > EXTENSION_BYTES_MAX {
            return Err(TarError::ExtensionTooLarge(size));
        }
        self.expect_contents(size);
        let mut bytes = Vec::new();
        self.contents().read_to_end(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated,
            _ => TarError::Read(error),
        })?;
        Ok(bytes)
    }

    fn expect_contents(&mut self, size: u64) {
        self.contents = size;
        self.padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
    }

    fn skip(&mut self, count: u64) -> Result<(), TarError> {
        let skipped =
            io::copy(&mut (&mut self.inner).take(count), &mut io::sink()).map_err(TarError::Read)?;
        self.position += skipped;
        if skipped == count { Ok(()) } else { Err(TarError::Truncated) }
    }

    /// Fills the buffer as far as the stream goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Read(error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

/// Reads the contents of one entry.
#[derive(Debug)]
pub struct Contents<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Contents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.reader.contents).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.reader.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Truncated));
        }
        self.reader.contents -= count as u64;
        self.reader.position += count as u64;
        Ok(count)
    }
}

/// The entry that a header and the extensions before it describe.
fn assemble(
    header: &Header,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Pax,
) -> Result<Entry, TarError> {
    let name = pax.name.or(long_name).unwrap_or_else(|| header.name());
    let link = pax.link.or(long_link).unwrap_or_else(|| header.link());
    let size = match pax.size {
        Some(size) => size,
        None => header.size()?,
    };
    let kind = match header.type_byte() {
        _ if pax.sparse => Kind::Sparse,
        // Before POSIX a directory was a file whose name ends in a slash.
        b'0' | b'\0' | b'7' if name.ends_with(b"/") => Kind::Directory,
        b'0' | b'\0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' | b'4' => Kind::Device,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => Kind::Sparse,
        other => Kind::Other(other),
    };
    let holds_contents = matches!(kind, Kind::File | Kind::Sparse | Kind::Other(_));
    if size > 0 && !holds_contents {
        return Err(TarError::UnexpectedContents(size));
    }
    Ok(Entry {
        name,
        kind,
        link: if matches!(kind, Kind::HardLink | Kind::Symlink) { link } else { Vec::new() },
        mode: header.mode()?,
        uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
        gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
        modified: pax.modified.map_or_else(|| header.modified(), Ok)?,
        size,
        xattrs: pax.xattrs,
    })
}

/// Two extension headers of one kind before one entry leave open which counts.
fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), TarError> {
    if slot.replace(value).is_some() { Err(TarError::TooManyExtensions) } else { Ok(()) }
}

/// GNU ends long names with a NUL.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
