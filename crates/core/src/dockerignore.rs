//! `.dockerignore`: which files of a directory are not sent as a build's context.
//!
//! A line is a pattern of [`PathPattern`]; `!` takes back; the last line that matches a path, or a directory above it,
//! decides. Whoever packs a context applies it; a builder takes the context as it comes.

use crate::limits;
use crate::path_pattern::PathPattern;

/// The patterns of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: PathPattern,
    keeps: bool,
}

impl Dockerignore {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The line that is malformed and why, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > limits::DOCKERFILE_MAX_BYTES {
            return Err(format!("the file is longer than {} bytes", limits::DOCKERFILE_MAX_BYTES));
        }
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            // A comment begins in the first column; further right it is a name.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let line = line.trim();
            let (keeps, written) = match line.strip_prefix('!') {
                Some(written) => (true, written.trim()),
                None => (false, line),
            };
            let at = |reason: String| format!("line {}: {reason}", index + 1);
            let cleaned = clean(written);
            if cleaned.is_empty() {
                // `!` alone is a mistake; `.` and `/` name the context itself, which is always sent.
                if written.is_empty() {
                    return Err(at("there is no pattern behind the !".to_owned()));
                }
                continue;
            }
            rules.push(Rule { pattern: PathPattern::deep(&cleaned).map_err(at)?, keeps });
        }
        Ok(Self { rules })
    }

    /// Whether the entry at a path, whose parts are these, is left out.
    pub fn excludes(&self, path: &[&str]) -> bool {
        let matches = |rule: &Rule| (1..=path.len()).any(|end| rule.pattern.matches(&path[..end]));
        self.rules.iter().rev().find(|rule| matches(rule)).is_some_and(|rule| !rule.keeps)
    }

    /// Whether something below a directory that is left out may be taken back, so that it has to be looked at.
    pub fn may_take_back(&self) -> bool {
        self.rules.iter().any(|rule| rule.keeps)
    }
}

/// A pattern without `.` components, and with `..` taken with what is before it.
fn clean(written: &str) -> String {
    let mut parts = Vec::new();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_matches_a_path_or_a_directory_above_it_decides() {
        let text =
            "# comment\n\n*.log\n/target\n!keep.log\ndocs/*\n!docs/a.md\n**/tmp\n./x/../y\n  spaced  \n.\n";
        let ignore = Dockerignore::parse(text).unwrap();
        for (path, want) in [
            ("a.log", true),
            ("keep.log", false),
            ("sub/a.log", false),
            ("target/debug/x", true),
            ("sub/target", false),
            ("docs/b.md", true),
            ("docs/a.md", false),
            ("docs", false),
            ("a/b/tmp/c", true),
            ("y", true),
            ("x", false),
            ("spaced", true),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            assert_eq!(ignore.excludes(&parts), want, "{path}");
        }
        assert!(ignore.may_take_back());
        assert!(!Dockerignore::parse("*").unwrap().may_take_back());
        assert!(Dockerignore::parse("*\n!a/b").unwrap().excludes(&["a"]));
    }

    #[test]
    fn malformed_lines_are_told() {
        for (text, want) in
            [("a\n[", "line 2: [ is a malformed pattern"), ("!", "line 1: there is no pattern behind the !")]
        {
            assert_eq!(Dockerignore::parse(text).map(|_| ()), Err(want.to_owned()));
        }
    }
}
