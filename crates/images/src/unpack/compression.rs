//! Recognising and undoing compression. The bytes decide, not a file name or a media type.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const BZIP2: &[u8] = b"BZh";

/// Bytes of the longest of them.
const MAGIC_BYTES: usize = XZ.len();

/// Compressed bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// A format that images do not use.
    #[error("the archive is compressed with {0}; gzip, zstd and no compression are read")]
    Unsupported(&'static str),
    /// The first bytes could not be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
}

/// The uncompressed bytes. zstd's window is bounded by its library's default of 128 MiB, gzip's by its format.
///
/// # Errors
/// See [`CompressionError`]; damage further in is an error of reading.
pub fn decompress<'a, R: Read + 'a>(mut source: R) -> Result<Box<dyn Read + 'a>, CompressionError> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    source.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut start).map_err(CompressionError::Read)?;
    let is = |magic: &[u8]| start.starts_with(magic);
    let (gzip, zstd) = (is(GZIP), is(ZSTD));
    for (magic, name) in [(XZ, "xz"), (BZIP2, "bzip2")] {
        if is(magic) {
            return Err(CompressionError::Unsupported(name));
        }
    }
    let whole = io::Cursor::new(start).chain(source);
    if gzip {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole))));
    }
    if zstd {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, whole);
        return Ok(Box::new(zstd::Decoder::with_buffer(buffered).map_err(CompressionError::Read)?));
    }
    Ok(Box::new(whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(bytes).map_err(io::Error::other)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_zstd_and_plain_bytes_are_told_apart_by_their_start() {
        assert_eq!(unpacked(b"plain").unwrap(), b"plain");
        assert_eq!(unpacked(b"").unwrap(), b"");
        // Parallel compressors write several gzip members one after the other.
        assert_eq!(unpacked(&[gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        assert_eq!(unpacked(&zstd::encode_all(&b"packed"[..], 1).unwrap()).unwrap(), b"packed");
    }

    #[test]
    fn cut_and_foreign_streams_are_errors() {
        let whole = gzip(&[7; 10_000]);
        assert_eq!(unpacked(&whole[..whole.len() - 9]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let whole = zstd::encode_all(&[7; 10_000][..], 1).unwrap();
        assert_eq!(unpacked(&whole[..whole.len() - 3]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for (bytes, name) in [(XZ, "xz"), (BZIP2, "bzip2")] {
            let Err(CompressionError::Unsupported(found)) = decompress(bytes) else {
                panic!("{name} was taken")
            };
            assert_eq!(found, name);
        }
    }
}
