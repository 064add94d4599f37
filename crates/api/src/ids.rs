//! The forms in which the dialects write ids, all made from the 16 bytes of the id and read back from them, so that no
//! table of aliases is needed.
//!
//! ```text
//!   UUID text    68a00001-....-8...-9...-............        native, Daytona, AgentContainer
//!   cntr_        32 digits of the id · 16 digits of a tag    OpenAI containers (48 digits are promised there)
//!   64 digits    32 digits of the id · 32 digits of a tag    Rexec, whose clients expect a Docker id
//!   cfile_       32 digits of the id                         OpenAI container files
//!   file-        22 digits to the base 62                    OpenAI files
//! ```
//!
//! A tag is the beginning of a SHA-256 over a domain and the id. It is no secret: it fills the promised length, and a
//! text with a wrong one is not an id of ours.

use lazaret_core::{CatalogueEntryId, SandboxId, UploadId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const CONTAINER_PREFIX: &str = "cntr_";
const CONTAINER_DOMAIN: &[u8] = b"lazaret container id v1\0";
const CONTAINER_TAG_BYTES: usize = 8;
const LONG_DOMAIN: &[u8] = b"lazaret long id v1\0";
const LONG_TAG_BYTES: usize = 16;
const CONTAINER_FILE_PREFIX: &str = "cfile_";
const FILE_PREFIX: &str = "file-";
/// Digits to the base 62 that hold 128 bits.
const FILE_DIGITS: usize = 22;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// UUID text of an id's bytes.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    Uuid::from_bytes(*bytes).hyphenated().to_string()
}

/// The bytes of a UUID's text, or of the 32 bare digits that logs show.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    // `Uuid` would take braces and URNs as well; one spelling is enough.
    let plain = matches!(text.len(), 32 | 36);
    plain.then(|| Uuid::try_parse(text).ok()).flatten().map(Uuid::into_bytes)
}

/// A sandbox as an OpenAI container.
pub(crate) fn container(id: SandboxId) -> String {
    tagged::<CONTAINER_TAG_BYTES>(CONTAINER_PREFIX, CONTAINER_DOMAIN, id)
}

/// The sandbox that an OpenAI container id stands for.
pub(crate) fn parse_container(text: &str) -> Option<SandboxId> {
    parse_tagged::<CONTAINER_TAG_BYTES>(text.strip_prefix(CONTAINER_PREFIX)?, CONTAINER_DOMAIN)
}

/// A sandbox as 64 digits.
#[cfg_attr(not(test), expect(dead_code, reason = "rendered by the Rexec dialect, which is not built yet"))]
pub(crate) fn long(id: SandboxId) -> String {
    tagged::<LONG_TAG_BYTES>("", LONG_DOMAIN, id)
}

/// The sandbox that any form of an id stands for.
pub(crate) fn parse_sandbox(text: &str) -> Option<SandboxId> {
    parse_uuid(text)
        .map(SandboxId::from_bytes)
        .or_else(|| parse_container(text))
        .or_else(|| parse_tagged::<LONG_TAG_BYTES>(text, LONG_DOMAIN))
}

/// A catalogue entry as an OpenAI container file.
pub(crate) fn container_file(id: CatalogueEntryId) -> String {
    format!("{CONTAINER_FILE_PREFIX}{id}")
}

/// The catalogue entry that an OpenAI container file id stands for.
pub(crate) fn parse_container_file(text: &str) -> Option<CatalogueEntryId> {
    lowercase(text.strip_prefix(CONTAINER_FILE_PREFIX)?)?.parse().ok()
}

/// An upload as an OpenAI file.
pub(crate) fn file(id: UploadId) -> String {
    let mut rest = u128::from_be_bytes(*id.as_bytes());
    let mut digits = [b'0'; FILE_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::try_from(rest % 62).expect("a remainder is below 62")];
        rest /= 62;
    }
    let digits = std::str::from_utf8(&digits).expect("the alphabet is ASCII");
    format!("{FILE_PREFIX}{digits}")
}

/// The upload that an OpenAI file id stands for.
pub(crate) fn parse_file(text: &str) -> Option<UploadId> {
    let digits = text.strip_prefix(FILE_PREFIX)?;
    if digits.len() != FILE_DIGITS {
        return None;
    }
    let number = digits.bytes().try_fold(0_u128, |number, digit| {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        number.checked_mul(62)?.checked_add(u128::try_from(value).ok()?)
    })?;
    Some(UploadId::from_bytes(number.to_be_bytes()))
}

/// The upload that any form of an id stands for.
pub(crate) fn parse_upload(text: &str) -> Option<UploadId> {
    parse_uuid(text).map(UploadId::from_bytes).or_else(|| parse_file(text))
}

fn tag<const BYTES: usize>(domain: &[u8], id: SandboxId) -> [u8; BYTES] {
    let whole = Sha256::new().chain_update(domain).chain_update(id.as_bytes()).finalize();
    *whole.first_chunk().expect("a tag is shorter than SHA-256")
}

fn tagged<const TAG_BYTES: usize>(prefix: &str, domain: &[u8], id: SandboxId) -> String {
    format!("{prefix}{id}{}", hex::encode(tag::<TAG_BYTES>(domain, id)))
}

fn parse_tagged<const TAG_BYTES: usize>(digits: &str, domain: &[u8]) -> Option<SandboxId> {
    let (id, given) = lowercase(digits)?.split_at_checked(32)?;
    let id: SandboxId = id.parse().ok()?;
    (given == hex::encode(tag::<TAG_BYTES>(domain, id))).then_some(id)
}

/// The text, if it has the one spelling of ids: two spellings of one id would be two ids to a client.
fn lowercase(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = *b"\x68\xa0\x00\x01\xff\x00\x80\x10\x90\x20\x30\x40\x50\x60\x70\xff";

    #[test]
    fn every_form_of_a_sandbox_reads_back_and_keeps_its_length() {
        let id = SandboxId::from_bytes(BYTES);
        let forms = [uuid(&BYTES), id.to_string(), container(id), long(id)];
        assert_eq!(forms.each_ref().map(String::len), [36, 32, 5 + 48, 64]);
        for form in forms {
            assert_eq!(parse_sandbox(&form), Some(id), "{form}");
        }
    }

    #[test]
    fn files_and_uploads_read_back_at_both_ends_of_their_range() {
        for bytes in [BYTES, [0; 16], [0xff; 16]] {
            let (upload, entry) = (UploadId::from_bytes(bytes), CatalogueEntryId::from_bytes(bytes));
            assert_eq!(parse_file(&file(upload)), Some(upload));
            assert_eq!(parse_upload(&uuid(&bytes)), Some(upload));
            assert_eq!(parse_container_file(&container_file(entry)), Some(entry));
        }
    }

    #[test]
    fn a_text_that_is_not_exactly_an_id_is_none() {
        let id = SandboxId::from_bytes(BYTES);
        let mut wrong_tag = container(id);
        wrong_tag.replace_range(52..53, if wrong_tag.ends_with('0') { "1" } else { "0" });
        for text in [
            String::new(),
            "cntr_".to_owned(),
            wrong_tag,
            container(id).to_uppercase(),
            format!("{{{}}}", uuid(&BYTES)),
            format!("{}é", &long(id)[..31]),
            "file-zzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        ] {
            assert_eq!((parse_sandbox(&text), parse_upload(&text)), (None, None), "{text}");
        }
    }
}
