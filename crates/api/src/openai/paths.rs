//! Where files go under `/mnt/data`, and what is left of the names that clients give.

use lazaret_core::{FilePath, limits};
use uuid::Uuid;

use super::problem;
use crate::failure::Rejection;

/// The one tree whose files the contract knows.
const ROOT: &str = "/mnt/data";
/// The name of a file whose client gave none that can be used.
const FALLBACK_NAME: &str = "upload";
/// 32 hexadecimal digits and a hyphen.
const PREFIX_BYTES: usize = 33;

/// The last component of a client's file name, after slashes of both kinds, without control characters.
pub(super) fn base_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|c| !c.is_control()).collect();
    match kept.as_str() {
        "" | "." | ".." => FALLBACK_NAME.to_owned(),
        _ => shortened(&kept, limits::FILENAME_MAX_BYTES).to_owned(),
    }
}

/// The documented form, which no other file can have: `/mnt/data/<32 hex>-<name>`.
pub(super) fn unique(filename: &str) -> Result<FilePath, Rejection> {
    let name = shortened(filename, limits::FILENAME_MAX_BYTES - PREFIX_BYTES);
    path(&format!("{ROOT}/{}-{name}", Uuid::new_v4().simple()))
}

/// The name as it is: `/mnt/data/<name>`.
pub(super) fn plain(filename: &str) -> Result<FilePath, Rejection> {
    path(&format!("{ROOT}/{filename}"))
}

/// The end of a name is what its kind is told by, so it is the beginning that goes.
fn shortened(name: &str, max_bytes: usize) -> &str {
    let mut start = name.len().saturating_sub(max_bytes);
    while !name.is_char_boundary(start) {
        start += 1;
    }
    &name[start..]
}

/// A client's `file_path`: what is not under `/mnt/data` is taken as relative to it.
pub(super) fn exact(file_path: &str) -> Result<FilePath, Rejection> {
    let wrong = |why: &str| problem::wrong_value("file_path", why);
    if file_path.contains('\0') {
        return Err(wrong("it has a NUL byte"));
    }
    if file_path.len() > limits::PATH_MAX_BYTES {
        return Err(wrong(&format!("it is longer than {} bytes", limits::PATH_MAX_BYTES)));
    }
    if file_path.is_empty() || file_path.ends_with('/') || file_path == ROOT {
        return Err(wrong("it does not name a file"));
    }
    let inside = match file_path.strip_prefix(ROOT) {
        Some(rest) if rest.starts_with('/') => rest,
        _ => file_path,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in inside.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(|| wrong("it leaves /mnt/data"))?),
            part if part.len() > limits::FILENAME_MAX_BYTES => {
                return Err(wrong(&format!(
                    "a name in it is longer than {} bytes",
                    limits::FILENAME_MAX_BYTES
                )));
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() || matches!(inside.rsplit('/').next(), Some("." | "..")) {
        return Err(wrong("it does not name a file"));
    }
    path(&format!("{ROOT}/{}", parts.join("/")))
}

fn path(text: &str) -> Result<FilePath, Rejection> {
    FilePath::new(text.as_bytes()).map_err(|error| problem::wrong_value("file_path", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_cut_to_its_last_component() {
        let long = "é".repeat(200);
        for (given, want) in [
            ("data.csv", "data.csv"),
            ("dir/na meé.txt", "na meé.txt"),
            ("C:\\x\\y.txt", "y.txt"),
            ("a\nb\0c", "abc"),
            ("", "upload"),
            ("..", "upload"),
            ("x/.", "upload"),
            (long.as_str(), "é".repeat(127).as_str()),
        ] {
            assert_eq!(base_name(given), want, "{given:?}");
        }
    }

    #[test]
    fn an_exact_path_stays_under_the_root_or_is_refused() {
        for (given, want) in [
            ("/mnt/data/a.txt", Ok("/mnt/data/a.txt")),
            ("/test-file.txt", Ok("/mnt/data/test-file.txt")),
            ("/data/up.csv", Ok("/mnt/data/data/up.csv")),
            ("a//b/./c", Ok("/mnt/data/a/b/c")),
            ("a/../b", Ok("/mnt/data/b")),
            ("/mnt/database", Ok("/mnt/data/mnt/database")),
            ("../etc/passwd", Err("leaves /mnt/data")),
            ("/mnt/data/../x", Err("leaves /mnt/data")),
            ("a/", Err("does not name a file")),
            ("a/..", Err("does not name a file")),
            ("/mnt/data", Err("does not name a file")),
            ("mnt/data/x", Ok("/mnt/data/mnt/data/x")),
            ("", Err("does not name a file")),
            ("a\0", Err("NUL")),
        ] {
            match (exact(given), want) {
                (Ok(path), Ok(want)) => assert_eq!(path.to_text(), want),
                (Err(problem), Err(want)) => assert!(problem.to_string().contains(want), "{given:?}"),
                (got, want) => panic!("{given:?}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn a_unique_path_ends_in_the_name_and_fits_a_component() {
        let name = format!("{}.csv", "x".repeat(300));
        let path = unique(&name).unwrap();
        assert_eq!(path.file_name().len(), limits::FILENAME_MAX_BYTES);
        assert!(path.to_text().ends_with(".csv"));
    }
}
