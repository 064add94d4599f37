//! House rules that no lint knows, each a plain function from the tree to what is wrong in it.
//!
//! A rule carries its reason, printed with every finding, so that a refusal teaches.

mod code;
mod prose;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::workspace;

/// One tracked text file.
struct File {
    /// Relative to the root, with `/` between its parts.
    path: String,
    text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// Something a rule does not like.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// Counted from 1; `None` when the whole file is meant.
    line: Option<usize>,
    what: String,
}

impl Finding {
    fn whole(file: &File, what: impl Into<String>) -> Finding {
        Finding { path: file.path.clone(), line: None, what: what.into() }
    }

    fn at(file: &File, index: usize, what: impl Into<String>) -> Finding {
        Finding { path: file.path.clone(), line: Some(index + 1), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.path, self.what),
            None => write!(out, "{}: {}", self.path, self.what),
        }
    }
}

struct Rule {
    judge: fn(&[File]) -> Vec<Finding>,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule { judge: code::too_long, why: "past 700 lines there is a second subject in the file" },
    Rule { judge: code::without_header, why: "the first screen of a module says what it is for" },
    Rule {
        judge: code::unsafe_outside_sys,
        why: "unsafe lives in the sys modules of runtime and guest only",
    },
    Rule { judge: code::unsafe_not_forbidden, why: "all other crates say forbid(unsafe_code) at their root" },
    Rule {
        judge: code::dialects_meet,
        why: "removing a dialect is deleting its folder and one line of wiring",
    },
    Rule { judge: code::sleeping_tests, why: "a test waits for a condition with a deadline" },
    Rule { judge: prose::dead_links, why: "a reader follows every link" },
    Rule { judge: prose::decision_numbers, why: "a decision is cited by its number" },
    Rule { judge: prose::missing_tests, why: "a sentence of the threat model is worth what its test is" },
    Rule { judge: prose::machine_paths, why: "the tree must not know where it was checked out" },
];

pub(super) fn run() -> Result<()> {
    let files = read()?;
    let mut report = Vec::new();
    for rule in RULES {
        let findings = (rule.judge)(&files);
        if !findings.is_empty() {
            report.extend(findings.iter().map(Finding::to_string));
            report.push(format!("  because {}", rule.why));
        }
    }
    if !report.is_empty() {
        bail!("{} file(s) read\n{}", files.len(), report.join("\n"));
    }
    Ok(())
}

/// Reads every tracked file that is text.
fn read() -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in workspace::files()? {
        let bytes = std::fs::read(workspace::root().join(&path))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: slashed(path), text });
        }
    }
    Ok(files)
}

fn slashed(path: PathBuf) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that `rule` finds exactly `want` (as `path:line`) in a tree of one file.
    #[track_caller]
    pub(super) fn check(rule: fn(&[File]) -> Vec<Finding>, path: &str, text: &str, want: &[&str]) {
        let files = [File { path: path.to_owned(), text: text.to_owned() }];
        let found: Vec<String> = rule(&files)
            .iter()
            .map(|finding| match finding.line {
                Some(line) => format!("{}:{line}", finding.path),
                None => finding.path.clone(),
            })
            .collect();
        assert_eq!(found, want, "in {path}:\n{text}");
    }
}
