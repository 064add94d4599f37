//! From text to logical lines: directives, comments, continuations, and the heredocs that follow an instruction.
//!
//! ```text
//!   # escape=`            directives: at the top only, each at most once
//!   # a comment           dropped, between continued lines too
//!   RUN a \               continued: the escape character at the end, and not itself escaped
//!     b <<EOF             a heredoc follows the instruction; only RUN, COPY and ADD have them
//!   text
//!   EOF
//! ```

use std::iter::Peekable;

use super::DockerfileError;

/// Longest heredoc delimiter that is looked for, in bytes; a file name, for `COPY`.
const DELIMITER_MAX_BYTES: usize = 255;

/// Text that follows an instruction up to its delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without its quotes; for `COPY` also the name of the file.
    pub name: String,
    /// The delimiter was not quoted: variables in the text mean something.
    pub expands: bool,
    /// The text, every line of it ended.
    pub text: String,
}

/// A file as logical lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) escape: char,
    pub(super) lines: Vec<Line>,
}

/// An instruction as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Of its beginning, from 1.
    pub(super) number: usize,
    /// Its continuations joined.
    pub(super) text: String,
    pub(super) heredocs: Vec<Heredoc>,
}

/// Physical lines and their numbers.
type Physical<'a> = Peekable<std::iter::Enumerate<std::str::Split<'a, char>>>;

pub(super) fn read(text: &str) -> Result<Lines, DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut physical = text.split('\n').enumerate().peekable();
    let escape = directives(&mut physical)?;
    let mut lines = Vec::new();
    while let Some((index, first)) = physical.next() {
        let first = ended(first).trim_start();
        if is_blank_or_comment(first) {
            continue;
        }
        if first.contains('\0') {
            return Err(DockerfileError::new(index + 1, "has a NUL byte"));
        }
        let (part, mut continues) = cut(first, escape);
        let mut text = part.to_owned();
        while continues {
            let Some((index, next)) = physical.next() else { break };
            let next = ended(next);
            if is_blank_or_comment(next.trim_start()) {
                continue;
            }
            if next.contains('\0') {
                return Err(DockerfileError::new(index + 1, "has a NUL byte"));
            }
            let (part, more) = cut(next, escape);
            text.push_str(part);
            continues = more;
        }
        let text = text.trim_end().to_owned();
        let heredocs = heredocs(&text, escape, index + 1, &mut physical)?;
        lines.push(Line { number: index + 1, text, heredocs });
    }
    Ok(Lines { escape, lines })
}

/// The escape character that the directives at the top choose.
fn directives(physical: &mut Physical<'_>) -> Result<char, DockerfileError> {
    let mut escape = None;
    let mut seen = Vec::new();
    while let Some((index, line)) = physical.peek() {
        let Some((key, value)) = directive(ended(line)) else { break };
        let line = index + 1;
        if seen.contains(&key) {
            return Err(DockerfileError::new(line, format!("the directive {key} is there twice")));
        }
        match key.as_str() {
            "escape" => match value {
                "\\" => escape = Some('\\'),
                "`" => escape = Some('`'),
                _ => return Err(DockerfileError::new(line, "escape must be \\ or `")),
            },
            "syntax" if is_dockers_own(value) => {}
            "syntax" => {
                let reason = format!("the syntax {value} is outside the subset: no other builder is fetched");
                return Err(DockerfileError::new(line, reason));
            }
            // About warnings alone.
            "check" => {}
            _ => break,
        }
        seen.push(key);
        physical.next();
    }
    Ok(escape.unwrap_or('\\'))
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let key = key.trim();
    let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| (key.to_ascii_lowercase(), value.trim()))
}

/// The usual first line of Dockerfiles, which asks for Docker's own and newest syntax.
fn is_dockers_own(syntax: &str) -> bool {
    let name = syntax.strip_prefix("docker.io/").unwrap_or(syntax);
    let name = name.split(['@', ':']).next().unwrap_or_default();
    name == "docker/dockerfile"
}

/// A line without the carriage return of another system's end of line.
fn ended(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

fn is_blank_or_comment(trimmed: &str) -> bool {
    trimmed.is_empty() || trimmed.starts_with('#')
}

/// What a physical line adds, and whether the next belongs to it too.
fn cut(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}

/// Reads the heredocs that an instruction announces.
fn heredocs(
    text: &str,
    escape: char,
    line: usize,
    physical: &mut Physical<'_>,
) -> Result<Vec<Heredoc>, DockerfileError> {
    let (keyword, rest) = split_keyword(text);
    if !["RUN", "COPY", "ADD"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for word in raw_words(rest, escape) {
        let Some(announced) = announced(word) else { continue };
        found.push(read_heredoc(&announced, line, physical)?);
    }
    Ok(found)
}

struct Announced {
    name: String,
    quoted: bool,
    strips_tabs: bool,
}

/// What `<<EOF`, `<<-EOF`, `3<<EOF` and `<<"EOF"` announce.
fn announced(word: &str) -> Option<Announced> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strips_tabs, name) = match rest.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, rest),
    };
    if name.is_empty() || name.contains('<') {
        return None;
    }
    let bare: String = name.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let quoted = bare.len() != name.len();
    (!bare.is_empty()).then_some(Announced { name: bare, quoted, strips_tabs })
}

fn read_heredoc(
    announced: &Announced,
    line: usize,
    physical: &mut Physical<'_>,
) -> Result<Heredoc, DockerfileError> {
    if announced.name.len() > DELIMITER_MAX_BYTES {
        return Err(DockerfileError::new(line, "the delimiter of a heredoc is too long"));
    }
    let mut text = String::new();
    for (_, next) in physical.by_ref() {
        let next = ended(next);
        let next = if announced.strips_tabs { next.trim_start_matches('\t') } else { next };
        if next == announced.name {
            return Ok(Heredoc { name: announced.name.clone(), expands: !announced.quoted, text });
        }
        text.push_str(next);
        text.push('\n');
    }
    Err(DockerfileError::new(line, format!("the heredoc {} has no end", announced.name)))
}

/// The first word of a logical line, and the rest without the space before it.
pub(super) fn split_keyword(text: &str) -> (&str, &str) {
    match text.split_once([' ', '\t']) {
        Some((keyword, rest)) => (keyword, rest.trim_start()),
        None => (text, ""),
    }
}

/// Words as they are written: quotes and escapes keep space together and stay where they are.
pub(super) fn raw_words(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(start.take().map(|start| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match quote {
            Some(open) if c == open => quote = None,
            // Nothing is escaped between single quotes.
            Some('\'') => {}
            _ if c == escape => {
                chars.next();
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => {}
        }
    }
    words.extend(start.map(|start| &text[start..]));
    words
}
