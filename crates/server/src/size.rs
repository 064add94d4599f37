//! Sizes with units, as people write them: `512m`, `10g`, `1073741824`.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl Size {
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

/// The text is not a size.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a size: write bytes, or a number with k, m, g or t (powers of 1024)")]
pub(crate) struct InvalidSize(String);

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let plain = lower.trim_end_matches('b').trim_end_matches('i');
        let (digits, shift) = match plain.char_indices().next_back() {
            Some((at, 'k')) => (&plain[..at], 10),
            Some((at, 'm')) => (&plain[..at], 20),
            Some((at, 'g')) => (&plain[..at], 30),
            Some((at, 't')) => (&plain[..at], 40),
            _ => (plain, 0),
        };
        let number: u64 = digits.trim().parse().map_err(|_| invalid())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(invalid)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_nonsense_is_refused() {
        for (text, want) in [
            ("512", Some(512)),
            ("1k", Some(1024)),
            ("2M", Some(2 << 20)),
            ("10 g", Some(10 << 30)),
            ("1GiB", Some(1 << 30)),
            ("1tb", Some(1 << 40)),
            ("", None),
            ("g", None),
            ("-1g", None),
            ("1.5g", None),
            ("99999999999t", None),
        ] {
            assert_eq!(text.parse::<Size>().ok().map(Size::bytes), want, "{text:?}");
        }
    }
}
