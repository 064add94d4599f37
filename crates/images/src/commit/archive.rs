//! Writing a tar that every tool reads: ustar headers, and PAX records for what does not fit into them.
//!
//! Not the `tar` crate, for the same reason that reading is not (decision 0008): the two halves agree on every byte here.

use std::io::{self, Read, Write};

use rustix::fs::Timespec;

/// Everything in a tar comes in multiples of this.
const BLOCK_BYTES: usize = 512;

/// Bytes of a name or link target that a header holds.
const NAME_BYTES: usize = 100;

/// What a header's size field can say: eleven octal digits.
const SIZE_MAX: u64 = (1 << 33) - 1;

/// What a header's owner fields can say: seven octal digits.
const ID_MAX: u32 = (1 << 21) - 1;

/// An entry but for its contents.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: Kind,
    /// Target of a link; empty for everything else.
    pub(crate) link: &'a [u8],
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of contents that follow.
    pub(crate) size: u64,
    pub(crate) modified: Timespec,
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// What an entry is, as its type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    File = b'0',
    HardLink = b'1',
    Symlink = b'2',
    Directory = b'5',
    Fifo = b'6',
    /// Records about the next entry.
    Extension = b'x',
}

/// Writes entries one after the other.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes an entry with the bytes of its contents, which must be as many as it says.
    pub(crate) fn put(&mut self, member: &Member<'_>, contents: impl Read) -> io::Result<()> {
        let records = records(member);
        if !records.is_empty() {
            let extension = Member {
                name: b"pax",
                kind: Kind::Extension,
                link: b"",
                size: records.len() as u64,
                xattrs: &[],
                ..*member
            };
            self.out.write_all(&header(&extension)?)?;
            self.contents(&records[..], records.len() as u64)?;
        }
        self.out.write_all(&header(member)?)?;
        self.contents(contents, member.size)
    }

    fn contents(&mut self, contents: impl Read, size: u64) -> io::Result<()> {
        let copied = io::copy(&mut contents.take(size), &mut self.out)?;
        if copied < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        io::copy(&mut io::repeat(0).take(padding), &mut self.out).map(drop)
    }

    /// Writes the end marker.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES])?;
        self.out.flush()
    }
}

/// The header of an entry. What does not fit is cut or zero here, and whole in the records before it.
fn header(member: &Member<'_>) -> io::Result<[u8; BLOCK_BYTES]> {
    if member.uid > ID_MAX || member.gid > ID_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an owner does not fit into a header"));
    }
    let mut block = [0; BLOCK_BYTES];
    let mut text = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    let cut = |bytes: &'_ [u8]| bytes[..bytes.len().min(NAME_BYTES)].to_vec();
    let size = if member.size > SIZE_MAX { 0 } else { member.size };
    let seconds = u64::try_from(member.modified.tv_sec).unwrap_or(0).min(SIZE_MAX);
    text(0, &cut(member.name));
    text(100, format!("{:07o}", member.mode & 0o7777).as_bytes());
    text(108, format!("{:07o}", member.uid).as_bytes());
    text(116, format!("{:07o}", member.gid).as_bytes());
    text(124, format!("{size:011o}").as_bytes());
    text(136, format!("{seconds:011o}").as_bytes());
    // The sum is taken with its own field as spaces.
    text(148, b"        ");
    text(156, &[member.kind as u8]);
    text(157, &cut(member.link));
    text(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// Records for what the header cannot say.
fn records(member: &Member<'_>) -> Vec<u8> {
    let mut records = Vec::new();
    if member.name.len() > NAME_BYTES {
        push(&mut records, b"path", member.name);
    }
    if member.link.len() > NAME_BYTES {
        push(&mut records, b"linkpath", member.link);
    }
    if member.size > SIZE_MAX {
        push(&mut records, b"size", member.size.to_string().as_bytes());
    }
    let Timespec { tv_sec, tv_nsec } = member.modified;
    if tv_nsec != 0 || u64::try_from(tv_sec).map_or(true, |seconds| seconds > SIZE_MAX) {
        push(&mut records, b"mtime", seconds(tv_sec, tv_nsec).as_bytes());
    }
    for (name, value) in member.xattrs {
        push(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    records
}

/// A time as decimal seconds.
fn seconds(tv_sec: i64, tv_nsec: i64) -> String {
    if tv_sec < 0 && tv_nsec > 0 {
        return format!("-{}.{:09}", -(tv_sec + 1), 1_000_000_000 - tv_nsec);
    }
    format!("{tv_sec}.{tv_nsec:09}")
}

/// Adds `"<length> <key>=<value>\n"`, whose length counts its own digits.
fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpack::tar;

    fn member<'a>(name: &'a [u8], xattrs: &'a [(Vec<u8>, Vec<u8>)]) -> Member<'a> {
        let modified = Timespec { tv_sec: 1_700_000_000, tv_nsec: 5 };
        let (mode, uid, gid) = (0o4755, 1000, 65_535);
        Member { name, kind: Kind::File, link: b"", mode, uid, gid, size: 0, modified, xattrs }
    }

    #[test]
    fn the_reader_sees_what_the_writer_was_given() {
        let long = [b'x'; 250];
        let xattrs = [(b"user.mime".to_vec(), b"a\nb\0c".to_vec())];
        for length in 0..300 {
            // Every length of a record, so that the one whose own digits make it longer is among them.
            let name = &[b'n'; 300][..length + 1];
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            let wanted = Member { link: &long, ..member(name, &xattrs) };
            writer.put(&Member { kind: Kind::Symlink, ..wanted }, io::empty()).unwrap();
            writer.put(&Member { size: 600, ..member(b"file", &[]) }, io::repeat(b'c')).unwrap();
            writer.finish().unwrap();

            let mut reader = tar::Reader::new(&bytes[..]);
            let entry = reader.next_entry().unwrap().unwrap();
            assert_eq!((&entry.name[..], &entry.link[..]), (name, &long[..]));
            assert_eq!((entry.mode, entry.uid, entry.gid), (0o4755, 1000, 65_535));
            assert_eq!(entry.modified, Timespec { tv_sec: 1_700_000_000, tv_nsec: 5 });
            assert_eq!(entry.xattrs, xattrs);
            let file = reader.next_entry().unwrap().unwrap();
            assert_eq!((&file.name[..], file.size), (&b"file"[..], 600));
            let mut contents = Vec::new();
            reader.contents().read_to_end(&mut contents).unwrap();
            assert_eq!(contents, [b'c'; 600]);
            assert!(reader.next_entry().unwrap().is_none());
            assert!(reader.saw_end_marker());
        }
    }

    #[test]
    fn times_before_the_epoch_keep_their_fraction() {
        for (time, want) in
            [((-2, 500_000_000), "-1.500000000"), ((-3, 0), "-3.000000000"), ((4, 1), "4.000000001")]
        {
            assert_eq!(seconds(time.0, time.1), want);
        }
    }

    #[test]
    fn contents_that_are_too_short_are_an_error() {
        let short = Member { size: 5, ..member(b"file", &[]) };
        let error = Writer::new(io::sink()).put(&short, &b"four"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
