//! Variables, quotes and escapes in a word, as in a shell and without ever running one.
//!
//! | Written | Means |
//! | --- | --- |
//! | `$a` `${a}` | the value, or nothing |
//! | `${a:-w}` `${a-w}` | the value; `w` where it is empty or unset; only where it is unset |
//! | `${a:+w}` `${a+w}` | `w` where there is a value that is not empty; where there is one |
//! | `${a:?w}` `${a?w}` | the value; a refusal that says `w` |
//! | `${a#p}` `${a##p}` `${a%p}` `${a%%p}` | without the shortest or longest beginning or end that matches |
//! | `${a/p/w}` `${a//p/w}` | with the first or every match replaced |
//!
//! Work and size are bounded: a file whose variables double with each line is refused, not carried out.

use std::collections::BTreeMap;

use super::instruction::shown;
use crate::limits;

/// Longest result, in bytes: no argument or variable of a program can be longer.
const RESULT_MAX_BYTES: usize = limits::EXEC_ARG_MAX_BYTES;

/// Deepest nesting of `${a:-${b:-...}}`; nobody reads three.
const DEPTH_MAX: usize = 16;

/// Steps of matching patterns in one expansion. A pattern is compared with each part of a value.
const MATCH_STEPS_MAX: u64 = 4_000_000;

/// What variables mean.
pub(crate) type Variables = BTreeMap<String, String>;

/// What quotes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// They keep space together and go.
    Meant,
    /// They are text, as in a heredoc.
    Text,
}

/// The word with its variables replaced and its quotes and escapes taken away.
///
/// # Errors
/// What is wrong with the word, in a sentence.
pub(crate) fn expand(word: &str, variables: &Variables, escape: char) -> Result<String, String> {
    Expansion::new(word, variables, escape, Quotes::Meant).whole(RESULT_MAX_BYTES)
}

/// A text with its variables replaced, as in a heredoc: quotes are text, and only `$` and the escape are escaped.
///
/// # Errors
/// As [`expand`].
pub(crate) fn expand_text(text: &str, variables: &Variables, escape: char) -> Result<String, String> {
    Expansion::new(text, variables, escape, Quotes::Text).whole(limits::DOCKERFILE_MAX_BYTES)
}

struct Expansion<'a> {
    chars: Vec<char>,
    at: usize,
    variables: &'a Variables,
    escape: char,
    quotes: Quotes,
    depth: usize,
    match_steps: u64,
    max_bytes: usize,
}

impl<'a> Expansion<'a> {
    fn new(text: &str, variables: &'a Variables, escape: char, quotes: Quotes) -> Self {
        let chars = text.chars().collect();
        let max_bytes = RESULT_MAX_BYTES;
        Self { chars, at: 0, variables, escape, quotes, depth: 0, match_steps: 0, max_bytes }
    }

    fn whole(mut self, max_bytes: usize) -> Result<String, String> {
        self.max_bytes = max_bytes;
        self.until(None, Escapes::Taken)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    /// Up to `stop`, which is left, or to the end.
    fn until(&mut self, stop: Option<char>, escapes: Escapes) -> Result<String, String> {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                return Ok(out);
            }
            self.at += 1;
            match c {
                '\'' if self.quotes == Quotes::Meant => loop {
                    match self.next().ok_or("a ' has no end")? {
                        '\'' => break,
                        c => out.push(c),
                    }
                },
                '"' if self.quotes == Quotes::Meant => self.double_quoted(&mut out)?,
                '$' => {
                    let value = self.variable()?;
                    out.push_str(&value);
                }
                c if c == self.escape => self.escaped(escapes, &mut out),
                c => out.push(c),
            }
            if out.len() > self.max_bytes {
                return Err(format!("what it means is longer than {} bytes", self.max_bytes));
            }
        }
        match stop {
            None => Ok(out),
            Some(stop) => Err(format!("a ${{ has no {stop}")),
        }
    }

    fn escaped(&mut self, escapes: Escapes, out: &mut String) {
        let next = self.peek();
        let stays = match (self.quotes, escapes) {
            (_, Escapes::Kept) => true,
            (Quotes::Text, Escapes::Taken) => next != Some('$') && next != Some(self.escape),
            (Quotes::Meant, Escapes::Taken) => false,
        };
        if stays {
            out.push(self.escape);
        }
        if !(stays && self.quotes == Quotes::Text && escapes == Escapes::Taken) {
            out.extend(self.next());
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.next().ok_or("a \" has no end")? {
                '"' => return Ok(()),
                '$' => {
                    let value = self.variable()?;
                    out.push_str(&value);
                }
                c if c == self.escape => match self.next() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => out.push(next),
                    next => {
                        out.push(c);
                        out.extend(next);
                    }
                },
                c => out.push(c),
            }
            if out.len() > self.max_bytes {
                return Err(format!("what it means is longer than {} bytes", self.max_bytes));
            }
        }
    }

    /// What follows a `$`.
    fn variable(&mut self) -> Result<String, String> {
        if !self.next_is('{') {
            let name = self.name();
            // A dollar that begins no name is a dollar.
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name).unwrap_or_default() });
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("variables are nested too deeply".to_owned());
        }
        let name = self.name();
        if name.is_empty() {
            return Err("a ${ has no name".to_owned());
        }
        let value = self.modified(&name)?;
        self.depth -= 1;
        Ok(value)
    }

    /// What stands between the name and the `}`, applied.
    fn modified(&mut self, name: &str) -> Result<String, String> {
        let value = self.value(name);
        let unended = || format!("${{{name} has no }}");
        let result = match self.next().ok_or_else(unended)? {
            '}' => return Ok(value.unwrap_or_default()),
            c @ (':' | '-' | '+' | '?') => {
                let (kind, value) = match c {
                    ':' => (self.next().ok_or_else(unended)?, value.filter(|value| !value.is_empty())),
                    kind => (kind, value),
                };
                let word = self.until(Some('}'), Escapes::Taken)?;
                match (kind, value) {
                    ('-' | '?', Some(value)) => value,
                    ('-', None) | ('+', Some(_)) => word,
                    ('+', None) => String::new(),
                    ('?', None) => {
                        let why = if word.is_empty() { "is not set" } else { word.as_str() };
                        return Err(format!("{name}: {}", shown(why)));
                    }
                    (kind, _) => return Err(format!("${{{name}:{kind} is not known")),
                }
            }
            c @ ('#' | '%') => {
                let longest = self.next_is(c);
                let pattern = self.until(Some('}'), Escapes::Kept)?;
                self.trimmed(&value.unwrap_or_default(), &pattern, c == '#', longest)?
            }
            '/' => {
                let every = self.next_is('/');
                let pattern = self.until(Some('/'), Escapes::Kept)?;
                self.at += 1;
                let word = self.until(Some('}'), Escapes::Taken)?;
                self.replaced(&value.unwrap_or_default(), &pattern, &word, every)?
            }
            c => return Err(format!("${{{name}{} is not known", c.escape_debug())),
        };
        self.at += 1;
        Ok(result)
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let fits = c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && !name.is_empty());
            if !fits {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn trimmed(&mut self, value: &str, pattern: &str, front: bool, longest: bool) -> Result<String, String> {
        let pattern = Pattern::new(pattern, self.escape);
        let chars: Vec<char> = value.chars().collect();
        let mut lengths: Vec<usize> = pattern.lengths(chars.len()).collect();
        if longest {
            lengths.reverse();
        }
        for length in lengths {
            let (cut, rest) = match front {
                true => chars.split_at(length),
                false => {
                    let (rest, cut) = chars.split_at(chars.len() - length);
                    (cut, rest)
                }
            };
            if self.matches(&pattern, cut)? {
                return Ok(rest.iter().collect());
            }
        }
        Ok(value.to_owned())
    }

    fn replaced(&mut self, value: &str, pattern: &str, word: &str, every: bool) -> Result<String, String> {
        let pattern = Pattern::new(pattern, self.escape);
        let chars: Vec<char> = value.chars().collect();
        let (mut out, mut at) = (String::new(), 0);
        while at < chars.len() {
            let mut found = None;
            for length in pattern.lengths(chars.len() - at).rev().filter(|length| *length > 0) {
                if self.matches(&pattern, &chars[at..at + length])? {
                    found = Some(at + length);
                    break;
                }
            }
            match found {
                None => {
                    out.push(chars[at]);
                    at += 1;
                }
                Some(end) => {
                    out.push_str(word);
                    at = end;
                    if out.len() > self.max_bytes {
                        return Err(format!("what it means is longer than {} bytes", self.max_bytes));
                    }
                    if !every {
                        break;
                    }
                }
            }
        }
        out.extend(&chars[at.min(chars.len())..]);
        Ok(out)
    }

    fn matches(&mut self, pattern: &Pattern, text: &[char]) -> Result<bool, String> {
        let steps = (pattern.0.len() as u64 + 1) * (text.len() as u64 + 1);
        self.match_steps = self.match_steps.saturating_add(steps);
        if self.match_steps > MATCH_STEPS_MAX {
            return Err("its patterns take too long to compare".to_owned());
        }
        Ok(pattern.matches(text))
    }
}

/// Whether escapes are taken away, or stay for a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Taken,
    Kept,
}

/// A pattern of `*`, `?` and characters.
struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    This(char),
}

impl Pattern {
    fn new(text: &str, escape: char) -> Self {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                c if c == escape => Piece::This(chars.next().unwrap_or(c)),
                c => Piece::This(c),
            });
        }
        Self(pieces)
    }

    /// How long what it matches may be, in a text of at most `max`: one length, unless there is a `*`.
    fn lengths(&self, max: usize) -> std::ops::Range<usize> {
        let least = self.0.iter().filter(|piece| **piece != Piece::Any).count();
        let most = if self.0.contains(&Piece::Any) { max } else { least.min(max) };
        least..(most + 1).max(least)
    }

    /// Greedy with one way back: the last `*`.
    fn matches(&self, text: &[char]) -> bool {
        let (mut piece, mut at) = (0, 0);
        let mut back = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    back = Some((piece + 1, at));
                    piece += 1;
                }
                Some(Piece::One) => (piece, at) = (piece + 1, at + 1),
                Some(Piece::This(c)) if *c == text[at] => (piece, at) = (piece + 1, at + 1),
                _ => {
                    let Some((after, from)) = back else { return false };
                    back = Some((after, from + 1));
                    (piece, at) = (after, from + 1);
                }
            }
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}
