//! Paths as clients give them: absolute, or relative to the working directory, and told of as they were given.

use lazaret_core::{Error, FilePath};

use super::super::target::Target;
use crate::settings::App;

/// Where relative paths begin, looked up when the first one comes.
pub(super) struct Paths<'a, Q> {
    app: &'a App,
    target: &'a Target<Q>,
    work_dir: Option<String>,
}

impl<'a, Q> Paths<'a, Q> {
    pub(super) fn of(app: &'a App, target: &'a Target<Q>) -> Self {
        Self { app, target, work_dir: None }
    }

    /// The path that `given` means.
    pub(super) async fn resolve(&mut self, given: &str) -> Result<FilePath, Error> {
        if given.starts_with('/') {
            return FilePath::new(given);
        }
        let directory = match &self.work_dir {
            Some(directory) => directory,
            None => self.work_dir.insert(self.target.work_dir(self.app).await?),
        };
        join(directory, given)
    }
}

/// The path that a relative one means from `directory`.
pub(super) fn join(directory: &str, given: &str) -> Result<FilePath, Error> {
    match given {
        "" | "." => FilePath::new(directory),
        given => FilePath::new(format!("{}/{given}", directory.trim_end_matches('/'))),
    }
}

/// A path that was found beneath `root`, told of beneath what the client called it.
pub(super) fn as_given(found: &FilePath, root: &FilePath, given: &str) -> String {
    let trimmed = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let root = &root.as_bytes()[..trimmed(root.as_bytes())];
    let rest = found.as_bytes().strip_prefix(root).unwrap_or(found.as_bytes());
    let rest = String::from_utf8_lossy(rest);
    match given.trim_end_matches('/') {
        "." => rest.trim_start_matches('/').to_owned(),
        given => format!("{given}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_told_of_in_the_words_of_the_question() {
        for (found, root, given, want) in [
            ("/root/data/a.txt", "/root/data", "data", "data/a.txt"),
            ("/root/data/a.txt", "/root/data/", "data/", "data/a.txt"),
            ("/root/a.txt", "/root", ".", "a.txt"),
            ("/etc/a", "/etc", "/etc", "/etc/a"),
            ("/etc/a", "/", "/", "/etc/a"),
            ("/etc/a", "/etc/a", "a", "a"),
        ] {
            let path = |text: &str| FilePath::new(text).unwrap();
            assert_eq!(as_given(&path(found), &path(root), given), want, "{found} {root} {given}");
        }
    }

    #[test]
    fn a_relative_path_begins_in_the_working_directory() {
        for (given, want) in [("", "/w"), (".", "/w"), ("a/b", "/w/a/b"), ("../x", "/w/../x")] {
            assert_eq!(join("/w", given).unwrap(), FilePath::new(want).unwrap());
        }
        assert_eq!(join("/", "a").unwrap(), FilePath::new("/a").unwrap());
    }
}
