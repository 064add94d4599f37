//! Nouns of previews: ways into a sandbox's ports, and to its files, for those who have no key of the account.
//!
//! ```text
//!   secret of the sandbox ─┬─ HMAC "preview", count of starts ───────▶ token: every port, until the next start
//!                          ├─ HMAC "cookie", token, end ─────────────▶ pass: every port, for a browser, for an hour
//!                          ├─ HMAC "signed preview", id, port, end ──▶ signed: one port, until its end or its withdrawal
//!                          └─ HMAC "files", count of rotations ──────▶ key that signs requests for files
//! ```
//!
//! Everything is derived from one random secret that never leaves the store, so that nothing but counts and withdrawals is
//! kept, and what was given out works after a restart of the server. Comparisons take constant time.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{SandboxId, Timestamp};

/// Bytes of a signed preview: id, end, and as much of the HMAC as a label of a host name has room for.
pub const SIGNED_PREVIEW_BYTES: usize = 35;
/// Bytes of the HMAC in it: 120 bits, of which none can be tried offline.
const SIGNED_MAC_BYTES: usize = 15;
/// Bytes of the HMAC in a token and in a pass.
const MAC_BYTES: usize = 20;

/// What the store keeps of a sandbox's previews and signed files.
#[derive(Clone, PartialEq, Eq)]
pub struct SandboxSecret {
    /// Random.
    pub secret: [u8; 32],
    /// How often the sandbox was started since the secret was made.
    pub starts: u64,
    /// How often the key for files was changed.
    pub rotations: u64,
}

impl std::fmt::Debug for SandboxSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxSecret").field("starts", &self.starts).finish_non_exhaustive()
    }
}

/// A preview of one port that carries its own proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedPreview(pub [u8; SIGNED_PREVIEW_BYTES]);

impl SignedPreview {
    /// The sandbox that it claims to be of.
    pub fn sandbox(&self) -> SandboxId {
        SandboxId::from_bytes(*self.0.first_chunk().expect("an id is shorter"))
    }

    /// When it ends, as it claims.
    pub fn ends_at(&self) -> Timestamp {
        let seconds = u32::from_be_bytes(*self.0[16..].first_chunk().expect("four bytes are shorter"));
        Timestamp::from_unix_micros(i64::from(seconds) * 1_000_000)
    }

    /// What is kept of one that was withdrawn: its HMAC.
    pub(crate) fn mark(&self) -> [u8; SIGNED_MAC_BYTES] {
        *self.0.last_chunk().expect("an HMAC is shorter")
    }
}

/// The mark of a withdrawn preview, and until when it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// The preview's HMAC.
    pub mark: [u8; SIGNED_MAC_BYTES],
    /// When it would have ended.
    pub ends_at: Timestamp,
}

impl SandboxSecret {
    /// The token that opens every port until the next start.
    pub(crate) fn token(&self) -> String {
        hex::encode(self.token_bytes())
    }

    fn token_bytes(&self) -> [u8; MAC_BYTES] {
        shortened(self.mac(b"preview v1", &[&self.starts.to_be_bytes()]))
    }

    /// Whether this is the token.
    pub(crate) fn is_token(&self, text: &str) -> bool {
        let mut given = [0; MAC_BYTES];
        hex::decode_to_slice(text, &mut given).is_ok()
            && self.mac(b"preview v1", &[&self.starts.to_be_bytes()]).verify_truncated_left(&given).is_ok()
    }

    /// A pass that opens every port until `ends_at`, or the next start if that comes first.
    pub(crate) fn pass(&self, ends_at: Timestamp) -> String {
        let end = ends_at.unix_seconds().to_be_bytes();
        let mac: [u8; MAC_BYTES] = shortened(self.mac(b"cookie v1", &[&self.token_bytes(), &end]));
        hex::encode([end.as_slice(), &mac].concat())
    }

    /// Whether this is a pass that has not ended.
    pub(crate) fn is_pass(&self, text: &str, now: Timestamp) -> bool {
        let mut given = [0; 8 + MAC_BYTES];
        if hex::decode_to_slice(text, &mut given).is_err() {
            return false;
        }
        let (end, mac) = given.split_at(8);
        let is_genuine =
            self.mac(b"cookie v1", &[&self.token_bytes(), end]).verify_truncated_left(mac).is_ok();
        let end = i64::from_be_bytes(*end.first_chunk().expect("it was cut at eight"));
        is_genuine && now.unix_seconds() < end
    }

    /// A preview of one port.
    pub(crate) fn sign(&self, sandbox: SandboxId, port: u16, ends_at: Timestamp) -> SignedPreview {
        let end = u32::try_from(ends_at.unix_seconds()).unwrap_or(u32::MAX).to_be_bytes();
        let mac: [u8; SIGNED_MAC_BYTES] = shortened(self.signed_mac(sandbox, port, end));
        let mut bytes = [0; SIGNED_PREVIEW_BYTES];
        bytes[..16].copy_from_slice(sandbox.as_bytes());
        bytes[16..20].copy_from_slice(&end);
        bytes[20..].copy_from_slice(&mac);
        SignedPreview(bytes)
    }

    /// Whether it was made for this port by this secret, and has not ended.
    pub(crate) fn is_signed(&self, preview: &SignedPreview, port: u16, now: Timestamp) -> bool {
        let end = *preview.0[16..].first_chunk().expect("four bytes are shorter");
        let mac = self.signed_mac(preview.sandbox(), port, end);
        mac.verify_truncated_left(&preview.mark()).is_ok() && now < preview.ends_at()
    }

    fn signed_mac(&self, sandbox: SandboxId, port: u16, end: [u8; 4]) -> Hmac<Sha256> {
        self.mac(b"signed preview v1", &[sandbox.as_bytes(), &port.to_be_bytes(), &end])
    }

    /// The text that signs requests for files.
    pub(crate) fn file_key(&self) -> String {
        let mac = self.mac(b"files v1", &[&self.rotations.to_be_bytes()]).finalize().into_bytes();
        hex::encode(mac)
    }

    /// Whether `signature` is the key's over `message`.
    pub(crate) fn is_file_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        keyed(self.file_key().as_bytes()).chain_update(message).verify_slice(signature).is_ok()
    }

    /// The HMAC over a purpose and its parts, all of fixed lengths but the purpose, which ends in a NUL.
    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = keyed(&self.secret).chain_update(purpose).chain_update([0]);
        parts.iter().fold(mac, |mac, part| mac.chain_update(part))
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("an HMAC takes a key of any length")
}

fn shortened<const BYTES: usize>(mac: Hmac<Sha256>) -> [u8; BYTES] {
    *mac.finalize().into_bytes().first_chunk().expect("a shortened HMAC is shorter")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SandboxId = SandboxId::from_bytes([7; 16]);
    const OTHER: SandboxId = SandboxId::from_bytes([8; 16]);

    fn secret() -> SandboxSecret {
        SandboxSecret { secret: [1; 32], starts: 0, rotations: 0 }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_token_is_of_its_secret_and_its_start() {
        let token = secret().token();
        assert!(secret().is_token(&token));
        assert!(!SandboxSecret { starts: 1, ..secret() }.is_token(&token));
        assert!(!SandboxSecret { secret: [2; 32], ..secret() }.is_token(&token));
        for forged in ["", "00", &token[2..], &format!("{token}00"), &token.replace(&token[..1], "g")] {
            assert!(!secret().is_token(forged), "{forged}");
        }
    }

    #[test]
    fn a_pass_ends_at_its_time_and_with_its_start() {
        let pass = secret().pass(at(100));
        assert!(secret().is_pass(&pass, at(99)));
        assert!(!secret().is_pass(&pass, at(100)));
        assert!(!SandboxSecret { starts: 1, ..secret() }.is_pass(&pass, at(99)));
        let longer = format!("{:016x}{}", 1_000, &pass[16..]);
        assert!(!secret().is_pass(&longer, at(99)), "the end is signed");
        assert!(!secret().is_pass(&secret().token(), at(99)));
        assert!(!secret().is_token(&pass));
    }

    #[test]
    fn a_signed_preview_is_of_one_sandbox_one_port_and_until_its_end() {
        let signed = secret().sign(ID, 3000, at(100));
        assert_eq!((signed.sandbox(), signed.ends_at()), (ID, at(100)));
        assert!(secret().is_signed(&signed, 3000, at(99)));
        assert!(!secret().is_signed(&signed, 3001, at(99)));
        assert!(!secret().is_signed(&signed, 3000, at(100)));
        assert!(
            SandboxSecret { starts: 9, ..secret() }.is_signed(&signed, 3000, at(99)),
            "it survives restarts"
        );
        assert!(!SandboxSecret { secret: [2; 32], ..secret() }.is_signed(&signed, 3000, at(99)));
        for at_byte in 0..SIGNED_PREVIEW_BYTES {
            let mut forged = signed;
            forged.0[at_byte] ^= 1;
            assert!(!secret().is_signed(&forged, 3000, at(99)), "byte {at_byte}");
        }
        assert_ne!(secret().sign(OTHER, 3000, at(100)).mark(), signed.mark());
    }

    #[test]
    fn a_file_is_signed_by_the_key_of_the_last_rotation() {
        let key = secret().file_key();
        let signature = keyed(key.as_bytes()).chain_update(b"message").finalize().into_bytes();
        assert!(secret().is_file_signature(b"message", &signature));
        assert!(!secret().is_file_signature(b"other", &signature));
        assert!(!secret().is_file_signature(b"message", &signature[..16]));
        assert!(!SandboxSecret { rotations: 1, ..secret() }.is_file_signature(b"message", &signature));
    }
}
