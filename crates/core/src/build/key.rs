//! What a step's result is cached by: everything that it depends on.
//!
//! A key begins with the account: a step of one account may have seen things that another must not build on. Each further
//! step hashes the key before it, so a key stands for the whole way from the base image.

use sha2::{Digest as _, Sha256};

use crate::{AccountId, Digest};

/// What a step's result is cached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey(Digest);

impl StepKey {
    /// Of a stage that begins with an image.
    pub fn of_base(account: AccountId, image: &Digest) -> Self {
        Self(hash(&[b"lazaret build 1", account.to_string().as_bytes(), image.as_bytes()]))
    }

    /// Of a step after this one, which depends on these things, in this order.
    #[must_use]
    pub fn then(&self, parts: &[&[u8]]) -> Self {
        let mut all: Vec<&[u8]> = vec![self.0.as_bytes()];
        all.extend(parts);
        Self(hash(&all))
    }

    /// What the content store files it under.
    pub fn digest(&self) -> Digest {
        self.0
    }
}

/// Each part with its length, so that no two lists are the same bytes.
fn hash(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Digest::from_bytes(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_where_anything_that_they_depend_on_does() {
        let image = Digest::from_bytes([1; 32]);
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let base = StepKey::of_base(one, &image);
        assert_eq!(base.then(&[b"a", b"b"]), StepKey::of_base(one, &image).then(&[b"a", b"b"]));
        for different in [
            StepKey::of_base(other, &image).then(&[b"a", b"b"]),
            StepKey::of_base(one, &Digest::from_bytes([2; 32])).then(&[b"a", b"b"]),
            base.then(&[b"ab", b""]),
            base.then(&[b"b", b"a"]),
            base.then(&[b"a"]).then(&[b"b"]),
        ] {
            assert_ne!(different, base.then(&[b"a", b"b"]));
        }
    }
}
