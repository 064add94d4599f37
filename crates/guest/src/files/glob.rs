//! Globs over one name: `*`, `?`, `[a-z]`, `[^a-z]`, and a backslash before what means itself.
//!
//! Names are bytes. Matching takes at most the product of both lengths: only the last `*` is ever tried again.

use lazaret_protocol::limits::PATTERN_MAX;
use lazaret_protocol::{ErrorKind, Failure};

/// A pattern that is well-formed.
#[derive(Debug)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// Any one byte.
    Any,
    /// Any bytes, or none.
    Star,
    /// One byte of these ranges, or of all others.
    Class { negated: bool, ranges: Vec<(u8, u8)> },
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `BadPattern`.
    pub(super) fn parse(pattern: &[u8]) -> Result<Self, Failure> {
        if pattern.is_empty() {
            return Err(bad("the glob is empty"));
        }
        if pattern.len() > PATTERN_MAX {
            return Err(bad("the glob is too long"));
        }
        let mut tokens = Vec::new();
        let mut rest = pattern.iter().copied();
        while let Some(byte) = rest.next() {
            tokens.push(match byte {
                // Two in a row are one.
                b'*' if tokens.last() == Some(&Token::Star) => continue,
                b'*' => Token::Star,
                b'?' => Token::Any,
                b'[' => class(&mut rest)?,
                b'\\' => Token::Byte(rest.next().ok_or_else(|| bad("the glob ends in a backslash"))?),
                byte => Token::Byte(byte),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether the whole name is as the pattern says.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // Where to go on when what follows the last star did not fit: behind it, and one byte further on.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    token += 1;
                    star = Some((token, at));
                    continue;
                }
                (Some(wanted), Some(byte)) if wanted.takes(*byte) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let Some((behind, from)) = star else { return false };
            if from >= name.len() {
                return false;
            }
            (token, at) = (behind, from + 1);
            star = Some((behind, from + 1));
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(wanted) => *wanted == byte,
            Self::Any => true,
            Self::Star => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte)) != *negated
            }
        }
    }
}

/// What follows an opening bracket, up to the closing one.
fn class(rest: &mut impl Iterator<Item = u8>) -> Result<Token, Failure> {
    let mut rest = rest.peekable();
    let negated = rest.next_if(|byte| matches!(byte, b'^' | b'!')).is_some();
    let mut ranges = Vec::new();
    let open = || bad("a bracket of the glob is not closed");
    loop {
        let first = match rest.next().ok_or_else(open)? {
            b']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
            b'\\' => rest.next().ok_or_else(open)?,
            byte => byte,
        };
        let mut last = first;
        if rest.next_if_eq(&b'-').is_some() {
            match rest.next().ok_or_else(open)? {
                // A hyphen at the end means itself.
                b']' => {
                    ranges.extend([(first, first), (b'-', b'-')]);
                    return Ok(Token::Class { negated, ranges });
                }
                b'\\' => last = rest.next().ok_or_else(open)?,
                byte => last = byte,
            }
        }
        if first > last {
            return Err(bad("a range of the glob runs backwards"));
        }
        ranges.push((first, last));
    }
}

fn bad(sentence: &'static str) -> Failure {
    Failure::new(ErrorKind::BadPattern, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_as_a_whole() {
        for (pattern, name, want) in [
            ("*.txt", "a.txt", true),
            ("*.txt", ".txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("**", "anything", true),
            ("?", "a", true),
            ("?", "", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[^a-c]x", "dx", true),
            ("[!a-c]x", "ax", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[\\]a]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("é?", "éa", true),
            ("name", "name", true),
            ("name", "names", false),
        ] {
            let got = Glob::parse(pattern.as_bytes()).expect("well-formed").matches(name.as_bytes());
            assert_eq!(got, want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_is_not_well_formed_is_refused() {
        let long = "a".repeat(PATTERN_MAX + 1);
        for pattern in ["", "[", "[a", "[a-", "[]", "[z-a]", "a\\", "[\\", long.as_str()] {
            let got = Glob::parse(pattern.as_bytes()).map(drop).map_err(|failure| failure.kind);
            assert_eq!(got, Err(ErrorKind::BadPattern), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "*a".repeat(1_000);
        let name = "a".repeat(255) + "b";
        assert!(!Glob::parse(pattern.as_bytes()).expect("well-formed").matches(name.as_bytes()));
    }
}
