//! Rules about source files.

use super::{File, Finding};

/// Longest source file, in lines.
const LINES_MAX: usize = 700;

/// The folders whose `sys` modules hold the system calls.
const UNSAFE_CRATES: [&str; 3] = ["crates/runtime/", "crates/guest/", "crates/git/"];

/// How many lines above a pause the loop that looks at a condition may begin.
const LOOP_DISTANCE: usize = 6;

const DIALECTS: &str = "crates/api/src/";

pub(super) fn too_long(files: &[File]) -> Vec<Finding> {
    let sources =
        files.iter().filter(|file| file.has_extension(&["rs", "py", "mjs", "js", "ts", "sql", "sh"]));
    sources
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > LINES_MAX).then(|| Finding::whole(file, format!("{lines} lines")))
        })
        .collect()
}

pub(super) fn without_header(files: &[File]) -> Vec<Finding> {
    rust(files)
        .filter(|file| !file.text.starts_with("//!") && !in_tests(file))
        .map(|file| Finding::whole(file, "does not begin with a `//!` header"))
        .collect()
}

pub(super) fn unsafe_outside_sys(files: &[File]) -> Vec<Finding> {
    let outside = rust(files).filter(|file| {
        let allowed = UNSAFE_CRATES.iter().any(|folder| file.path.starts_with(folder));
        !(allowed && (file.path.contains("/sys/") || file.path.ends_with("/sys.rs")))
    });
    outside
        .flat_map(|file| {
            lines_with(file, |line| {
                ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| line.contains(word))
            })
        })
        .collect()
}

pub(super) fn unsafe_not_forbidden(files: &[File]) -> Vec<Finding> {
    let roots = rust(files).filter(|file| {
        let root = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
        root && !UNSAFE_CRATES.iter().any(|folder| file.path.starts_with(folder))
    });
    roots
        .filter(|file| !file.text.contains("#![forbid(unsafe_code)]"))
        .map(|file| Finding::whole(file, "lacks #![forbid(unsafe_code)]"))
        .collect()
}

/// A dialect that names another dialect's module.
pub(super) fn dialects_meet(files: &[File]) -> Vec<Finding> {
    let dialect_of = |file: &File| {
        let (dialect, _) = file.path.strip_prefix(DIALECTS)?.split_once('/')?;
        Some(dialect.to_owned())
    };
    let with_routes =
        |file: &&File| file.path.ends_with("/routes.rs") || file.path.ends_with("/routes/mod.rs");
    let dialects: Vec<String> = files.iter().filter(with_routes).filter_map(dialect_of).collect();
    let mut findings = Vec::new();
    for file in files {
        let Some(own) = dialect_of(file) else { continue };
        if !dialects.contains(&own) {
            continue;
        }
        for other in dialects.iter().filter(|other| **other != own) {
            findings.extend(lines_with(file, |line| line.contains(&format!("crate::{other}::"))));
        }
    }
    findings
}

/// Tests that sleep instead of waiting for something. A pause between two looks at a condition is fine, and clippy sees
/// to `std::thread::sleep`.
pub(super) fn sleeping_tests(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in rust(files).filter(|file| in_tests(file)) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = unquoted(line);
            let sleeps = code.contains("sleep(") && code.contains(").await") && !code.contains("sleep()");
            let before = &lines[index.saturating_sub(LOOP_DISTANCE)..index];
            if sleeps && !before.iter().any(|line| line.contains("while ") || line.contains("loop {")) {
                findings.push(Finding::at(file, index, line.trim()));
            }
        }
    }
    findings
}

/// True for integration tests, whose first test says what they are for.
fn in_tests(file: &File) -> bool {
    file.path.contains("/tests/")
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.has_extension(&["rs"]))
}

/// The lines of `file`, comments left out, that `matches` likes.
fn lines_with(file: &File, matches: impl Fn(&str) -> bool) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| matches(&unquoted(line)))
        .map(|(index, line)| Finding::at(file, index, line.trim()))
        .collect()
}

/// The parts of `line` outside its string literals: quoted words are data, as in this very file.
fn unquoted(line: &str) -> String {
    line.replace("\\\"", "").split('"').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn a_file_past_the_limit_is_too_long_and_one_at_the_limit_is_not() {
        check(too_long, "a.rs", &"\n".repeat(LINES_MAX), &[]);
        check(too_long, "a.rs", &"\n".repeat(LINES_MAX + 1), &["a.rs"]);
        check(too_long, "Cargo.lock", &"\n".repeat(LINES_MAX + 1), &[]);
    }

    #[test]
    fn a_module_without_a_header_is_found() {
        check(without_header, "crates/core/src/a.rs", "use b;\n", &["crates/core/src/a.rs"]);
        check(without_header, "crates/core/src/a.rs", "//! What it is for.\n", &[]);
        check(without_header, "crates/core/tests/a.rs", "use b;\n", &[]);
    }

    #[test]
    fn unsafe_is_found_outside_the_sys_modules_but_not_in_comments_or_quotes() {
        let code = "fn a() {\n    unsafe { b() }\n}\n";
        check(unsafe_outside_sys, "crates/core/src/a.rs", code, &["crates/core/src/a.rs:2"]);
        check(unsafe_outside_sys, "crates/runtime/src/a.rs", code, &["crates/runtime/src/a.rs:2"]);
        check(unsafe_outside_sys, "crates/runtime/src/sys/a.rs", code, &[]);
        check(unsafe_outside_sys, "crates/core/src/a.rs", "// unsafe { }\nlet a = \"unsafe { }\";\n", &[]);
    }

    #[test]
    fn a_crate_root_that_does_not_forbid_unsafe_is_found() {
        check(unsafe_not_forbidden, "crates/core/src/lib.rs", "//! A.\n", &["crates/core/src/lib.rs"]);
        check(unsafe_not_forbidden, "crates/runtime/src/lib.rs", "//! A.\n", &[]);
    }

    #[test]
    fn a_dialect_that_names_another_is_found() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let tree = [
            file("crates/api/src/native/routes.rs", ""),
            file("crates/api/src/openai/routes.rs", ""),
            file("crates/api/src/openai/wire.rs", "use crate::native::wire;\nuse crate::shared::Caller;\n"),
        ];
        let found = dialects_meet(&tree);
        assert_eq!(found, [Finding::at(&tree[2], 0, "use crate::native::wire;")]);
    }

    #[test]
    fn a_sleeping_test_is_found() {
        check(
            sleeping_tests,
            "tests/tests/a.rs",
            "    tokio::time::sleep(a).await;\n",
            &["tests/tests/a.rs:1"],
        );
        check(sleeping_tests, "crates/core/src/a.rs", "sleep(a)\n", &[]);
        check(sleeping_tests, "tests/tests/a.rs", "while !done() {\n    sleep(a).await;\n}\n", &[]);
    }
}
