//! PAX extended headers: records `"<length> <key>=<value>\n"`, where the length counts the whole record and the
//! value may hold any byte, newlines included.

use rustix::fs::Timespec;

use super::header::checked_size;

/// Digits of a record's length; an extension header has at most seven.
const LENGTH_DIGITS_MAX: usize = 8;

/// Extended attributes as star, GNU tar and Go write them. libarchive's second copy is left alone.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// GNU's three encodings of sparse files all leave a key that starts like this.
const SPARSE_PREFIX: &[u8] = b"GNU.sparse.";

/// What the records say about the next entry. Keys that are not listed (device numbers, user names, checksums,
/// vendors' own) change nothing about how it is unpacked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Timespec>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: bool,
}

/// Why records cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaxError {
    /// A record's length is wrong or its parts are not where they must be.
    #[error("a record is not \"length key=value\"")]
    Record,
    /// A known key has a value that is not of its kind.
    #[error("the record \"{0}\" has a malformed value")]
    Value(&'static str),
}

impl Pax {
    /// Reads every record. Of several with one key the last counts, as POSIX has it; an empty value unsets.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Pax, PaxError> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or(PaxError::Record)?;
            bytes = rest;
            match key {
                b"path" => pax.name = non_empty(value),
                b"linkpath" => pax.link = non_empty(value),
                b"size" => pax.size = optional(value, "size", |v| checked_size(decimal(v)?).ok())?,
                b"uid" => pax.uid = optional(value, "uid", decimal)?,
                b"gid" => pax.gid = optional(value, "gid", decimal)?,
                b"mtime" => pax.modified = optional(value, "mtime", seconds)?,
                _ if key.starts_with(SPARSE_PREFIX) => pax.sparse = true,
                _ => {
                    if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                        pax.xattrs.retain(|(other, _)| other != name);
                        pax.xattrs.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(pax)
    }
}

/// The first record's key and value, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(LENGTH_DIGITS_MAX + 1).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let record = bytes.get(..length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &bytes[length..]))
}

fn non_empty(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn optional<T>(
    value: &[u8],
    key: &'static str,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, PaxError> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some).ok_or(PaxError::Value(key)) }
}

/// Digits only: `str::parse` would take a plus sign.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds since the epoch with an optional sign and fraction; digits beyond nanoseconds are dropped.
fn seconds(text: &[u8]) -> Option<Timespec> {
    const NANOS_PER_SECOND: i64 = 1_000_000_000;
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = i64::try_from(decimal(whole)?).ok()?;
    let digit = |at: usize| fraction.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    let nanos = (0..9).fold(0, |value, at| value * 10 + digit(at));
    Some(match (negative, nanos) {
        (false, _) => Timespec { tv_sec: whole, tv_nsec: nanos },
        (true, 0) => Timespec { tv_sec: -whole, tv_nsec: 0 },
        // The fraction of a `timespec` counts forward from its second.
        (true, _) => Timespec { tv_sec: -whole - 1, tv_nsec: NANOS_PER_SECOND - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_newlines_and_the_last_record_of_a_key_counts() {
        let pax = Pax::parse(b"12 path=one\n12 path=two\n33 SCHILY.xattr.user.bin=a\n\0=\nb\xff\n9 uid=42\n")
            .unwrap();
        assert_eq!(pax.name, Some(b"two".to_vec()));
        assert_eq!(pax.xattrs, [(b"user.bin".to_vec(), b"a\n\0=\nb\xff".to_vec())]);
        assert_eq!(pax.uid, Some(42));
        assert_eq!(Pax::parse(b"").unwrap(), Pax::default());
        assert!(Pax::parse(b"22 GNU.sparse.major=1\n").unwrap().sparse);
    }

    #[test]
    fn records_that_lie_about_their_length_are_refused() {
        for bytes in [
            &b"13 path=one\n"[..],
            b"11 path=one\n",
            b"12 path=one",
            b"path=one\n",
            b" path=one\n",
            b"-1 path=one\n",
            b"+12 path=one\n",
            b"99999999999999999999 path=one\n",
            b"9 pathone\n",
            b"0 ",
            b"3 \n",
        ] {
            assert_eq!(Pax::parse(bytes), Err(PaxError::Record), "{}", bytes.escape_ascii());
        }
        assert_eq!(Pax::parse(b"12 size=1e9\n"), Err(PaxError::Value("size")));
        assert_eq!(Pax::parse(b"28 size=9223372036854775808\n"), Err(PaxError::Value("size")));
    }

    #[test]
    fn times_keep_their_fraction_on_both_sides_of_the_epoch() {
        for (text, want) in [
            (&b"12"[..], Some((12, 0))),
            (b"12.5", Some((12, 500_000_000))),
            (b"12.0000000019", Some((12, 1))),
            (b"-1.25", Some((-2, 750_000_000))),
            (b"-3", Some((-3, 0))),
            (b"1.2.3", None),
            (b"1e3", None),
            (b".5", None),
            (b"99999999999999999999", None),
        ] {
            let want = want.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
            assert_eq!(seconds(text), want, "{}", text.escape_ascii());
        }
    }
}
