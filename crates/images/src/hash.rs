//! Making digests; their type and spelling are the core's.

use std::io::{self, Read};

use lazaret_core::Digest;
use sha2::{Digest as _, Sha256};

/// The digest of these bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    digest_from(Sha256::new_with_prefix(bytes))
}

/// The digest of everything that the hash has seen.
pub(crate) fn digest_from(hash: Sha256) -> Digest {
    Digest::from_bytes(hash.finalize().into())
}

/// The digest that a file of the store is named after.
pub(crate) fn digest_from_hex(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

/// Passes bytes on and hashes and counts them on the way.
#[derive(Debug)]
pub(crate) struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    pub(crate) fn new(inner: R) -> HashingReader<R> {
        HashingReader { inner, hash: Sha256::new(), count: 0 }
    }

    /// The digest and the number of the bytes read so far.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (digest_from(self.hash), self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_while_reading_sees_every_byte_once() {
        let mut reader = HashingReader::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (digest_of(b"abc"), 3));
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of(b"abc").to_string(), abc);
        assert_eq!(digest_from_hex(&abc[7..]), Some(digest_of(b"abc")));
        assert_eq!(digest_from_hex("../../etc/passwd"), None);
    }
}
