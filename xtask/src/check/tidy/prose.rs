//! Rules about documents, and about text in general.

use std::path::{Component, Path, PathBuf};

use super::{File, Finding};
use crate::workspace;

const DECISIONS: &str = "docs/decisions/";

const THREAT_MODEL: &str = "docs/threat-model.md";

/// Relative links of Markdown files that lead nowhere.
pub(super) fn dead_links(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension(&["md"])) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (index, line) in file.text.lines().enumerate() {
            for target in links(line) {
                let target = target.split('#').next().unwrap_or_default();
                let outside = target.contains("://") || target.starts_with("mailto:");
                if !target.is_empty() && !outside && !exists(files, &folder.join(target)) {
                    findings.push(Finding::at(file, index, format!("{target} does not exist")));
                }
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in one line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// True if a tracked file lies at `path` or beneath it.
fn exists(files: &[File], path: &Path) -> bool {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                if !plain.pop() {
                    return false;
                }
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    files.iter().any(|file| Path::new(&file.path).starts_with(&plain))
}

/// Decision records whose name is not `NNNN-title.md`, or whose number is taken.
pub(super) fn decision_numbers(files: &[File]) -> Vec<Finding> {
    let mut taken: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix(DECISIONS) else { continue };
        let number = name.split('-').next().unwrap_or_default();
        let numbered = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if name != "README.md" && !(numbered && name.ends_with(".md")) {
            findings.push(Finding::whole(file, "is not named NNNN-title.md"));
        } else if taken.contains(&number) {
            findings.push(Finding::whole(file, format!("number {number} is taken")));
        }
        taken.push(number);
    }
    findings
}

/// Tests that the threat model names and that are not there.
pub(super) fn missing_tests(files: &[File]) -> Vec<Finding> {
    let sources: Vec<&File> = files.iter().filter(|file| file.has_extension(&["rs"])).collect();
    let exists = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path == THREAT_MODEL) {
        for (index, line) in file.text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|word| is_sentence(word)) {
                if !exists(name) {
                    findings.push(Finding::at(file, index, format!("there is no test {name}")));
                }
            }
        }
    }
    findings
}

/// True for a word that can only be the name of a test: lower case, with three underscores or more.
fn is_sentence(word: &str) -> bool {
    let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain && word.matches('_').count() >= 3
}

/// The path of this checkout in any tracked file.
pub(super) fn machine_paths(files: &[File]) -> Vec<Finding> {
    let root = workspace::root().to_string_lossy();
    // A checkout at `/` or `/src` has too common a path to look for.
    let checkout = (workspace::root().components().count() > 2).then_some(root.as_ref());
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with(".lock")) {
        for (index, line) in file.text.lines().enumerate() {
            if checkout.is_some_and(|path| line.contains(path)) {
                findings.push(Finding::at(file, index, "names the path of a checkout"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn a_link_is_dead_unless_it_leads_to_a_tracked_file_or_folder() {
        check(dead_links, "docs/a.md", "[a](b.md)\n[b](a.md#part)\n", &["docs/a.md:1"]);
        check(dead_links, "docs/a.md", "[c](../docs) [d](https://example.org) [e](#here)\n", &[]);
        check(dead_links, "docs/a.md", "[f](../../docs/a.md)\n", &["docs/a.md:1"]);
    }

    #[test]
    fn a_decision_needs_a_number_of_its_own() {
        check(decision_numbers, "docs/decisions/why.md", "", &["docs/decisions/why.md"]);
        let file = |path: &str| File { path: path.to_owned(), text: String::new() };
        let tree = [file("docs/decisions/0001-a.md"), file("docs/decisions/0001-b.md")];
        assert_eq!(decision_numbers(&tree), [Finding::whole(&tree[1], "number 0001 is taken")]);
    }

    #[test]
    fn a_test_that_the_threat_model_names_must_be_there() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let model = |text: &str| {
            let source = file("tests/tests/a.rs", "fn the_wall_holds_here() {}");
            missing_tests(&[source, file(THREAT_MODEL, text)])
        };
        assert_eq!(model("`the_wall_holds_here` or `no_new_privs` in `crates/x`"), []);
        assert_eq!(model("`the_wall_held_once`").len(), 1);
    }

    #[test]
    fn the_path_of_the_checkout_is_found() {
        let line = format!("see {}/README.md\n", workspace::root().display());
        check(machine_paths, "docs/a.md", &line, &["docs/a.md:1"]);
    }
}
