//! Bytes that only this server can read: what must be kept and must not lie in the database in the clear.
//!
//! ```text
//!   version │ nonce (12) │ AES-256-GCM of the content, bound to the name of what it belongs to │ tag (16)
//! ```
//!
//! The key is a file beside the database, of mode 0600. That guards a database that is copied, backed up or handed out
//! without it; whoever can read the whole data directory can read what is sealed. A nonce is random: after 2^32 seals with one
//! key, two would be the same with a probability of 2^-32 (NIST SP 800-38D, section 8.3), which no server gets to.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::Error;

/// The first byte of what is sealed this way.
const VERSION: u8 = 1;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Seals and opens.
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

/// Why something sealed cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A later release sealed it, or nobody did.
    #[error("not sealed in a way that this build knows")]
    Unknown,
    /// It was sealed with another key or for something else, or has been changed.
    #[error("sealed with another key, or changed since")]
    Broken,
}

impl Seal {
    /// The seal with the key in this file, which is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read or made, or that holds no key.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let key = match fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(path, &random)?,
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let no_key = |_| Error::io("use", path)(io::Error::new(io::ErrorKind::InvalidData, "not a key"));
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(no_key)?), random })
    }

    /// Seals `content` for `owner`, without which it cannot be opened.
    pub(crate) fn seal(&self, owner: &[u8], content: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        let mut sealed = content.to_vec();
        let (place, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(owner));
        self.key.seal_in_place_append_tag(place, aad, &mut sealed)?;
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// What was sealed for `owner`.
    pub(crate) fn unseal(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let [VERSION, rest @ ..] = sealed else { return Err(Unreadable::Unknown) };
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unreadable::Unknown)?;
        let mut content = rest.to_vec();
        let (place, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(owner));
        let length = self.key.open_in_place(place, aad, &mut content).map_err(|_| Unreadable::Broken)?.len();
        content.truncate(length);
        Ok(content)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// Makes a key and keeps it, whole or not at all and on disk when this returns: what is sealed with a lost key is lost.
fn make_key(path: &Path, random: &SystemRandom) -> Result<Vec<u8>, Error> {
    let mut key = vec![0; KEY_BYTES];
    random
        .fill(&mut key)
        .map_err(|_| Error::io("make a key for", path)(io::Error::other("no random numbers")))?;
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(Error::io("write", path))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_for_the_same_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("key"), folder.path().join("other"));
        let sealed = Seal::open(&path).unwrap().seal(b"me", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        // As the next server does.
        let seal = Seal::open(&path).unwrap();
        assert_eq!(seal.unseal(b"me", &sealed), Ok(b"hunter2".to_vec()));
        assert_ne!(seal.seal(b"me", b"hunter2").unwrap(), sealed, "no two are alike");
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(seal.unseal(b"you", &sealed), Err(Unreadable::Broken));
        assert_eq!(seal.unseal(b"me", &changed), Err(Unreadable::Broken));
        assert_eq!(Seal::open(&other).unwrap().unseal(b"me", &sealed), Err(Unreadable::Broken));
        for unknown in [&b""[..], &[VERSION], &[VERSION + 1; 40]] {
            assert_eq!(seal.unseal(b"me", unknown), Err(Unreadable::Unknown));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_the_first_release_sealed_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, [7; KEY_BYTES]).unwrap();
        let sealed = hex::decode(GOLDEN).unwrap();
        assert_eq!(Seal::open(&path).unwrap().unseal(b"owner", &sealed), Ok(b"content".to_vec()));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing-key");
        fs::write(&path, b"short").unwrap();
        let error = Seal::open(&path).map(drop).unwrap_err();
        assert!(error.to_string().contains("sealing-key"), "{error}");
    }

    const GOLDEN: &str = "01000102030405060708090a0b7bee87047867ad7479501dd64e670cb38c3e61f17430a2";
}
