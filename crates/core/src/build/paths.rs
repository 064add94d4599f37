//! Paths as a Dockerfile writes them, by their text alone.

/// An absolute path: relative to `directory` unless it is absolute, without `.` and with `..` taken with what is before it,
/// which stops at the root.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { directory };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a path says that it is a directory.
pub(super) fn names_directory(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("" | "." | ".."))
}

/// A path below a context, without its leading slash; `None` if it leaves the context.
pub(super) fn below(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_by_their_text() {
        for (directory, path, want) in [
            ("/", "a", "/a"),
            ("/srv", "a/./b/", "/srv/a/b"),
            ("/srv", "../../x", "/x"),
            ("/srv", "/x//y/..", "/x"),
            ("/srv", ".", "/srv"),
            ("/", "/", "/"),
        ] {
            assert_eq!(absolute(directory, path), want, "{path}");
        }
        assert_eq!(
            ["a/", ".", "a/..", "a", "..", "a/.b"].map(names_directory),
            [true, true, true, false, true, false]
        );
        assert_eq!(below("./a//b/../c"), Some("a/c".to_owned()));
        assert_eq!(
            (below("/a"), below("."), below("a/../..")),
            (Some("a".to_owned()), Some(String::new()), None)
        );
    }
}
