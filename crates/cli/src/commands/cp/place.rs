//! The two arguments of `cp`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Where something is copied from or to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A path in a sandbox.
    Sandbox {
        /// Its name or id.
        sandbox: String,
        /// The path.
        path: RemotePath,
    },
    /// A path here.
    Local(PathBuf),
    /// A tar stream on standard input or output.
    Stream,
}

/// An absolute path in a sandbox, without `.`, `..` and doubled slashes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RemotePath {
    components: Vec<Vec<u8>>,
    /// It ended with a slash: it is meant to be a directory.
    pub(super) directory: bool,
    /// It ended with `/.`: what is in it is meant, not itself.
    pub(super) contents: bool,
}

impl RemotePath {
    /// Reads an absolute path; `None` if it is relative or has `..` or a NUL byte in it.
    ///
    /// `..` is not resolved here: only the sandbox knows which of the components are links.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let inner = bytes.strip_prefix(b"/")?;
        let mut components: Vec<Vec<u8>> = Vec::new();
        for component in inner.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return None,
                name if name.contains(&0) => return None,
                name => components.push(name.to_vec()),
            }
        }
        Some(Self {
            directory: bytes.ends_with(b"/") || bytes.ends_with(b"/."),
            contents: bytes.ends_with(b"/.") || components.is_empty(),
            components,
        })
    }

    /// The names on the way, from the root.
    pub(super) fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.components.iter().map(Vec::as_slice)
    }

    /// The last name; `None` for the root.
    pub(super) fn name(&self) -> Option<&OsStr> {
        self.components.last().map(|name| OsStr::from_bytes(name))
    }

    /// The entry `name` of this directory.
    pub(super) fn join(&self, name: &OsStr) -> Self {
        let mut components = self.components.clone();
        components.push(name.as_bytes().to_vec());
        Self { components, directory: false, contents: false }
    }

    /// Where a link at this path leads that points at `target`; `None` if it leaves the root or is no path.
    pub(super) fn resolve_link(&self, target: &[u8]) -> Option<Self> {
        let mut components =
            if target.starts_with(b"/") { Vec::new() } else { self.components.split_last()?.1.to_vec() };
        for component in target.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => drop(components.pop()?),
                name if name.contains(&0) => return None,
                name => components.push(name.to_vec()),
            }
        }
        Some(Self { components, directory: self.directory, contents: self.contents })
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.components.is_empty() {
            return f.write_str("/");
        }
        self.components().try_for_each(|name| write!(f, "/{}", String::from_utf8_lossy(name)))
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `-`, `SANDBOX:/PATH`, or anything else for a local path. Both kinds of paths need not be UTF-8.
pub(super) fn parse_place(text: OsString) -> Result<Place, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text == "-" {
        return Ok(Place::Stream);
    }
    let colon = text.as_bytes().iter().position(|byte| *byte == b':');
    let Some((sandbox, path)) = colon.and_then(|colon| text.as_bytes().split_at_checked(colon)) else {
        return Ok(Place::Local(text.into()));
    };
    if sandbox.contains(&b'/') || sandbox.starts_with(b".") {
        return Ok(Place::Local(text.into()));
    }
    let sandbox = str::from_utf8(sandbox).map_err(|_| "the name of a sandbox is UTF-8".to_owned())?;
    if sandbox.is_empty() {
        return Err(format!("'{}' names no sandbox before the colon", text.display()));
    }
    let path = RemotePath::parse(path.strip_prefix(b":").unwrap_or(path)).ok_or_else(|| {
        format!("the path in a sandbox is absolute and without '..', such as {sandbox}:/tmp/x")
    })?;
    Ok(Place::Sandbox { sandbox: sandbox.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> RemotePath {
        RemotePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_place_is_told_by_its_colon_unless_it_looks_like_a_path() {
        let sandbox = |path| Place::Sandbox { sandbox: "web".to_owned(), path: remote(path) };
        for (text, want) in [
            ("-", Place::Stream),
            ("web:/a b", sandbox("/a b")),
            ("web:/a:b/", sandbox("/a:b/")),
            ("file", Place::Local("file".into())),
            ("./web:/x", Place::Local("./web:/x".into())),
            ("/tmp/a:b", Place::Local("/tmp/a:b".into())),
            ("./-", Place::Local("./-".into())),
        ] {
            assert_eq!(parse_place(text.into()), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_path_need_not_be_utf_8_and_a_name_must() {
        let of = |bytes: &[u8]| parse_place(OsStr::from_bytes(bytes).to_owned());
        assert_eq!(of(b"\xff"), Ok(Place::Local(OsStr::from_bytes(b"\xff").into())));
        let path = RemotePath::parse(b"/\xff").unwrap();
        assert_eq!(of(b"web:/\xff"), Ok(Place::Sandbox { sandbox: "web".to_owned(), path }));
        assert_eq!(of(b"\xff:/x"), Err("the name of a sandbox is UTF-8".to_owned()));
    }

    #[test]
    fn a_path_in_a_sandbox_is_absolute_and_does_not_climb() {
        let want = "the path in a sandbox is absolute and without '..', such as web:/tmp/x".to_owned();
        for text in ["web:", "web:x", "web:/a/../b", "web:/.."] {
            assert_eq!(parse_place(text.into()), Err(want.clone()), "{text}");
        }
        assert_eq!(parse_place(":/x".into()), Err("':/x' names no sandbox before the colon".to_owned()));
    }

    #[test]
    fn the_end_of_a_path_says_what_is_meant() {
        let of = |text| {
            let path = remote(text);
            (path.to_string(), path.directory, path.contents)
        };
        assert_eq!(of("//a/./b"), ("/a/b".to_owned(), false, false));
        assert_eq!(of("/a/"), ("/a".to_owned(), true, false));
        assert_eq!(of("/a/."), ("/a".to_owned(), true, true));
        assert_eq!(of("/"), ("/".to_owned(), true, true));
    }

    #[test]
    fn a_link_leads_from_its_directory_and_never_above_the_root() {
        let link = remote("/a/b/link");
        for (target, want) in [
            ("x", Some("/a/b/x")),
            ("../x/./y", Some("/a/x/y")),
            ("/etc", Some("/etc")),
            ("../..", Some("/")),
            ("../../../x", None),
        ] {
            let found = link.resolve_link(target.as_bytes()).map(|path| path.to_string());
            assert_eq!(found.as_deref(), want, "{target}");
        }
    }
}
