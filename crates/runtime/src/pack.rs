//! A disk packed away: what its image has data for, in one stream of zstd.
//!
//! ```text
//!   "LZDISK\0" version │ size u64 │ data u64 │ { offset u64 │ length u32 │ bytes }... │ 2^64-1        numbers little-endian
//!   └──────────────────────────── zstd, with a checksum over it all ────────────────────────────┘
//! ```
//!
//! Packing and unpacking write a file beside the one that is to be, flush it to the host's disk, and rename it. So of the
//! two names at least one always is a whole disk, and where both are there, they are the same disk. The unpacked one is the
//! one that counts then; the other is a leftover of whoever was interrupted.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{SeekFrom, ftruncate, seek};
use rustix::io::Errno;

use crate::guard::allocated;
use crate::layout::{DISK, PACKED};

const MAGIC: &[u8; 8] = b"LZDISK\0\x01";

/// Instead of an offset, behind the last piece.
const END: u64 = u64::MAX;

/// Longest piece. One that is all zeros is left out: a hole says the same.
const PIECE_MAX_BYTES: usize = 64 * 1024;

/// Of zstd: what it gains beyond this is not worth its time, which a start waits for.
const LEVEL: i32 = 3;

/// Largest image that is unpacked, and so the largest hole that a damaged file could ask for.
const SIZE_MAX_BYTES: u64 = lazaret_core::limits::DISK_MAX_BYTES;

/// Which form the disk in a sandbox's directory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An image that can be mounted; also where there is none at all.
    Plain,
    /// It is packed.
    Packed,
}

/// How the disk is.
///
/// # Errors
/// That of looking.
pub(crate) fn form(directory: &Path) -> io::Result<Form> {
    let is_packed = !directory.join(DISK).try_exists()? && directory.join(PACKED).try_exists()?;
    Ok(if is_packed { Form::Packed } else { Form::Plain })
}

/// Packs the disk. Nothing may have it mounted. Blocks the calling thread.
///
/// # Errors
/// Those of the files, `StorageFull` among them; the disk stays as it was.
pub(crate) fn pack(directory: &Path) -> io::Result<()> {
    if form(directory)? == Form::Packed {
        return Ok(());
    }
    replace(directory, DISK, PACKED, |image, packed| {
        let packed = write(image, packed)?;
        packed.sync_all()
    })
}

/// Unpacks the disk if it is packed. Blocks the calling thread.
///
/// # Errors
/// Those of the files, `StorageFull` and `InvalidData` among them; the packed disk stays as it was.
pub(crate) fn unpack(directory: &Path) -> io::Result<()> {
    if form(directory)? == Form::Plain {
        return Ok(());
    }
    replace(directory, PACKED, DISK, |packed, image| {
        read(packed, &image)?;
        image.sync_all()
    })
}

/// Bytes of the host's disk that unpacking may take; nothing if the disk is not packed.
///
/// # Errors
/// Those of reading the packed disk.
pub(crate) fn unpacked_bytes(directory: &Path) -> io::Result<u64> {
    if form(directory)? == Form::Plain {
        return Ok(0);
    }
    let mut input = zstd::stream::read::Decoder::new(File::open(directory.join(PACKED))?)?;
    header(&mut input).map(|(_size, data)| data)
}

/// Removes what an interrupted call left.
///
/// # Errors
/// That of removing a file.
pub(crate) fn tidy(directory: &Path) -> io::Result<()> {
    for name in [DISK, PACKED] {
        remove(&directory.join(unfinished(name)))?;
    }
    if form(directory)? == Form::Plain && directory.join(DISK).try_exists()? {
        remove(&directory.join(PACKED))?;
    }
    Ok(())
}

fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

/// Makes file `to` out of file `from`, which is removed.
fn replace(
    directory: &Path,
    from: &str,
    to: &str,
    make: impl FnOnce(File, File) -> io::Result<()>,
) -> io::Result<()> {
    tidy(directory)?;
    let (source, work) = (directory.join(from), directory.join(unfinished(to)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&work)?;
    let made = File::open(&source).and_then(|source| make(source, file));
    if let Err(error) = made {
        // The first failure is the one to tell; the next call removes what is left.
        let _ = std::fs::remove_file(&work);
        return Err(error);
    }
    std::fs::rename(&work, directory.join(to))?;
    // The new name must be on the host's disk before the old one goes.
    File::open(directory)?.sync_all()?;
    remove(&source)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(image: File, packed: File) -> io::Result<File> {
    let mut out = zstd::stream::write::Encoder::new(packed, LEVEL)?;
    out.include_checksum(true)?;
    let metadata = image.metadata()?;
    let size = metadata.len();
    out.write_all(MAGIC)?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&allocated(&metadata).min(size).to_le_bytes())?;
    let mut piece = vec![0; PIECE_MAX_BYTES];
    let mut at = 0;
    while at < size {
        let data = match seek(&image, SeekFrom::Data(at)) {
            Ok(data) => data,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = seek(&image, SeekFrom::Hole(data))?;
        at = data;
        while at < hole {
            let length = usize::try_from(hole - at).unwrap_or(usize::MAX).min(PIECE_MAX_BYTES);
            let piece = &mut piece[..length];
            image.read_exact_at(piece, at)?;
            if piece.iter().any(|byte| *byte != 0) {
                out.write_all(&at.to_le_bytes())?;
                out.write_all(&u32::try_from(length).expect("a piece is small").to_le_bytes())?;
                out.write_all(piece)?;
            }
            at += length as u64;
        }
    }
    out.write_all(&END.to_le_bytes())?;
    out.finish()
}

fn read(packed: File, image: &File) -> io::Result<()> {
    let mut input = zstd::stream::read::Decoder::new(packed)?;
    let (size, _data) = header(&mut input)?;
    ftruncate(image, size)?;
    let mut piece = vec![0; PIECE_MAX_BYTES];
    loop {
        let offset = number(&mut input)?;
        if offset == END {
            break;
        }
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        let fits =
            length <= PIECE_MAX_BYTES && offset.checked_add(length as u64).is_some_and(|end| end <= size);
        if !fits {
            return Err(damaged("has a piece outside of it"));
        }
        input.read_exact(&mut piece[..length])?;
        image.write_all_at(&piece[..length], offset)?;
    }
    // The checksum is compared with the end of the stream.
    match input.read(&mut [0; 1])? {
        0 => Ok(()),
        _ => Err(damaged("goes on behind its end")),
    }
}

/// Size of the image, and of what it holds.
fn header(input: &mut impl Read) -> io::Result<(u64, u64)> {
    let mut magic = [0; 8];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged("is of another kind"));
    }
    let (size, data) = (number(input)?, number(input)?);
    if size > SIZE_MAX_BYTES || data > size {
        return Err(damaged("is larger than any disk"));
    }
    Ok((size, data))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the packed disk {what}"))
}

fn number(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A directory with a sparse disk: some text, a stretch of zeros that were written, and text at the end.
    fn with_disk() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let image =
            OpenOptions::new().write(true).create_new(true).open(directory.path().join(DISK)).unwrap();
        image.set_len(512 * MIB).unwrap();
        image.write_all_at(b"begin", 3).unwrap();
        image.write_all_at(&vec![0; 4 << 20], 16 * MIB).unwrap();
        image.write_all_at(b"end", 512 * MIB - 3).unwrap();
        directory
    }

    fn text(directory: &Path, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        File::open(directory.join(DISK)).unwrap().read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_disk_comes_back_as_it_was_and_sparser() {
        let directory = with_disk();
        let directory = directory.path();
        for _ in 0..2 {
            pack(directory).unwrap();
            assert_eq!(names(directory), [PACKED]);
            assert_eq!(form(directory).unwrap(), Form::Packed);
            assert!(unpacked_bytes(directory).unwrap() >= 4 * MIB, "zeros that were written count");
        }
        assert!(std::fs::metadata(directory.join(PACKED)).unwrap().len() < 1024);
        for _ in 0..2 {
            unpack(directory).unwrap();
            assert_eq!(names(directory), [DISK]);
        }
        let image = std::fs::metadata(directory.join(DISK)).unwrap();
        assert_eq!(image.len(), 512 * MIB);
        assert!(image.blocks() * 512 < MIB, "zeros that were written are holes now");
        assert_eq!(text(directory, 3, 5), b"begin");
        assert_eq!(text(directory, 512 * MIB - 3, 3), b"end");
    }

    #[test]
    fn wherever_it_was_interrupted_one_whole_disk_is_left() {
        let directory = with_disk();
        let directory = directory.path();
        let unfinished = [unfinished(DISK), unfinished(PACKED)];
        // Half-way through a packing.
        std::fs::write(directory.join(&unfinished[1]), "half").unwrap();
        pack(directory).unwrap();
        // After the new name, before the old one went.
        let packed = std::fs::read(directory.join(PACKED)).unwrap();
        unpack(directory).unwrap();
        std::fs::write(directory.join(PACKED), &packed).unwrap();
        assert_eq!(form(directory).unwrap(), Form::Plain);
        tidy(directory).unwrap();
        assert_eq!(names(directory), [DISK]);
        // Half-way through an unpacking.
        pack(directory).unwrap();
        std::fs::write(directory.join(&unfinished[0]), "half").unwrap();
        assert_eq!(form(directory).unwrap(), Form::Packed);
        unpack(directory).unwrap();
        assert_eq!(names(directory), [DISK]);
        assert_eq!(text(directory, 3, 5), b"begin");
    }

    #[test]
    fn a_packed_disk_that_is_damaged_is_refused_and_kept() {
        let directory = with_disk();
        let directory = directory.path();
        pack(directory).unwrap();
        let whole = std::fs::read(directory.join(PACKED)).unwrap();
        let frame = |content: &[u8]| zstd::encode_all(content, LEVEL).unwrap();
        let header = |size: u64| [&MAGIC[..], &size.to_le_bytes(), &size.to_le_bytes()].concat();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        for damaged in [
            whole[..whole.len() - 4].to_vec(),
            flipped,
            b"no zstd".to_vec(),
            frame(b"LZDISK\0\x02 of a later build"),
            frame(&header(u64::MAX - 1)),
            frame(
                &[header(10), 9_u64.to_le_bytes().to_vec(), 2_u32.to_le_bytes().to_vec(), vec![1; 2]]
                    .concat(),
            ),
            frame(&[header(10), END.to_le_bytes().to_vec(), vec![0]].concat()),
        ] {
            std::fs::write(directory.join(PACKED), &damaged).unwrap();
            let error = unpack(directory).expect_err("it is damaged");
            assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
            assert_eq!(names(directory), [PACKED], "{error}");
        }
        std::fs::write(directory.join(PACKED), &whole).unwrap();
        unpack(directory).unwrap();
    }
}
