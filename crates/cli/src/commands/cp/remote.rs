//! A sandbox's files through the native API, with what the sandbox reports checked.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Body, Method, RequestBuilder, Response, header};
use serde_json::json;

use super::place::RemotePath;
use crate::client::Client;
use crate::failure::Failure;
use crate::server_error::ServerError;
use crate::text::printable;
use crate::wire::{FileEntry, FileKind, FileList};

/// Links followed to find what a path that somebody typed means; Linux follows as many.
const LINKS_MAX: usize = 40;

/// The files of one sandbox.
#[derive(Debug, Clone)]
pub(super) struct Files {
    client: Client,
    sandbox: String,
    user: Option<String>,
}

/// Something in a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// One component, never `.` or `..`; empty for the root.
    pub(super) name: OsString,
    pub(super) kind: FileKind,
    pub(super) bytes: u64,
    /// Permissions without set-id and sticky bits.
    pub(super) mode: u32,
    /// Where a link points; `None` if it is none, or its target is no UTF-8, which the API cannot tell.
    pub(super) link_target: Option<OsString>,
}

impl Files {
    /// The files of `sandbox`, as `user` sees them.
    pub(super) fn new(client: Client, sandbox: String, user: Option<String>) -> Self {
        Self { client, sandbox, user }
    }

    /// What is at `path`, which is not followed if it is a link; `None` if nothing is.
    pub(super) async fn stat(&self, path: &RemotePath) -> Result<Option<Entry>> {
        let request = self.request(Method::GET, path)?.query(&[("stat", "true")]);
        match self.client.json::<FileEntry>(request).await {
            Ok(entry) => Entry::check(entry).map(Some),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What `path` means when links are followed, and where that is; `None` if nothing is there.
    pub(super) async fn find(&self, path: &RemotePath) -> Result<Option<(RemotePath, Entry)>> {
        let mut path = path.clone();
        for _ in 0..LINKS_MAX {
            let Some(entry) = self.stat(&path).await? else {
                return Ok(None);
            };
            if entry.kind != FileKind::Link {
                return Ok(Some((path, entry)));
            }
            path = entry
                .link_target
                .and_then(|target| path.resolve_link(target.as_bytes()))
                .ok_or_else(|| Failure::new(format!("{path} is a link that leads nowhere")))?;
        }
        Err(Failure::new(format!("{path} is one of too many links")).into())
    }

    /// What is in the directory `path`.
    ///
    /// # Errors
    /// A [`Failure`] too if it has more entries than the server lists, or a name that is none.
    pub(super) async fn list(&self, path: &RemotePath) -> Result<Vec<Entry>> {
        let request = self.request(Method::GET, path)?.query(&[("list", "true")]);
        let FileList { entries, truncated } = self.client.json(request).await?;
        if truncated {
            return Err(Failure::new(format!("{path} has more entries than can be listed"))
                .hint("pack it in the sandbox: lazaret exec SANDBOX -- tar c -C / PATH | tar x")
                .into());
        }
        entries.into_iter().map(Entry::check).collect()
    }

    /// The bytes of the file at `path`, still to be read.
    pub(super) async fn read(&self, path: &RemotePath) -> Result<Response> {
        self.client
            .send(self.request(Method::GET, path)?)
            .await
            .with_context(|| format!("cannot read {path}"))
    }

    /// A failure while bytes were being read.
    pub(super) fn broken(&self, error: reqwest::Error) -> Failure {
        self.client.unreachable(error)
    }

    /// Writes the file at `path`; its directory must exist.
    pub(super) async fn write(
        &self,
        path: &RemotePath,
        mode: u32,
        bytes: Option<u64>,
        body: Body,
    ) -> Result<()> {
        let mut request = self
            .request(Method::PUT, path)?
            .query(&[("mode", format!("{mode:04o}")), ("parents", "false".to_owned())])
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        if let Some(bytes) = bytes {
            request = request.header(header::CONTENT_LENGTH, bytes);
        }
        self.client.send(request).await.map(drop)
    }

    /// Makes the directory `path` and those above it, unless they exist.
    pub(super) async fn make_dir(&self, path: &RemotePath, mode: u32) -> Result<()> {
        let body = json!({ "op": "mkdir", "mode": format!("{mode:04o}"), "parents": true });
        let request = self.request(Method::POST, path)?.json(&body);
        self.client.empty(request).await
    }

    fn request(&self, method: Method, path: &RemotePath) -> Result<RequestBuilder> {
        let mut segments: Vec<&[u8]> = vec![b"sandboxes", self.sandbox.as_bytes(), b"files"];
        segments.extend(path.components());
        if segments.len() == 3 {
            // The root: the address ends with a slash and nothing behind it.
            segments.push(b"");
        }
        let request = self.client.request(method, &segments)?;
        Ok(match &self.user {
            Some(user) => request.query(&[("user", user)]),
            None => request,
        })
    }
}

impl Entry {
    fn check(entry: FileEntry) -> Result<Self> {
        const PERMISSIONS: u32 = 0o777;
        let path = match entry.path_base64 {
            Some(path) => STANDARD.decode(path).context("the sandbox reports a path that is not base64")?,
            None => entry.path.into_bytes(),
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_root = path.as_slice() == b"/";
        if (name.is_empty() && !is_root) || matches!(name, b"." | b"..") || name.contains(&0) {
            let shown = printable(&String::from_utf8_lossy(&path));
            return Err(
                Failure::new(format!("the sandbox reports a file name that is none: '{shown}'")).into()
            );
        }
        let mode =
            u32::from_str_radix(&entry.mode, 8).context("the sandbox reports a mode that is not octal")?;
        Ok(Self {
            name: OsString::from_vec(name.to_vec()),
            kind: entry.kind,
            bytes: entry.bytes,
            mode: mode & PERMISSIONS,
            link_target: entry.link_target.filter(|target| !target.contains('\u{fffd}')).map(OsString::from),
        })
    }
}

/// A name or path for a message.
pub(super) fn shown(name: &(impl AsRef<OsStr> + ?Sized)) -> String {
    printable(&name.as_ref().to_string_lossy())
}

fn is_missing(error: &anyhow::Error) -> bool {
    let problem = error.downcast_ref::<ServerError>().and_then(|error| error.problem.as_deref());
    matches!(problem, Some("not_found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, mode: &str) -> Result<(OsString, u32)> {
        let entry = json!({ "path": path, "kind": "file", "bytes": 1, "mode": mode });
        Entry::check(serde_json::from_value(entry)?).map(|entry| (entry.name, entry.mode))
    }

    #[test]
    fn an_entry_has_one_component_and_no_set_id_bits() {
        assert_eq!(check("/a/b c", "4755").unwrap(), ("b c".into(), 0o755));
        assert_eq!(check("/", "0755").unwrap(), ("".into(), 0o755));
    }

    #[test]
    fn a_name_that_is_none_fails_the_copy() {
        for path in ["", "/a/", "/a/..", "..", "/a/.", "/a\0b"] {
            let error = check(path, "0644").unwrap_err().to_string();
            assert!(error.starts_with("the sandbox reports a file name that is none: '"), "{path}: {error}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_keeps_its_bytes() {
        let entry = json!({
            "path": "/a/\u{fffd}", "path_base64": STANDARD.encode(b"/a/\xff"), "kind": "file", "bytes": 0, "mode": "0600",
        });
        let entry = Entry::check(serde_json::from_value(entry).unwrap()).unwrap();
        assert_eq!(entry.name.as_bytes(), b"\xff");
    }
}
