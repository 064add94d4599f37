//! Files between JSON and the core's nouns.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lazaret_core::ports::{self, Listing};
use lazaret_core::{Existing, FileKind, FilePath, Links, Owner, TreeQuery, WriteOptions};

use super::wire;
use crate::extract::PathParams;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::native::time::rfc3339;

/// Permission bits that a path can have, set-uid, set-gid and sticky included.
const MODE_MAX: u32 = 0o7777;
/// Permission bits of a directory whose maker names none.
const DIRECTORY_MODE: u32 = 0o755;

impl From<lazaret_core::FileEntry> for wire::FileEntry {
    fn from(entry: lazaret_core::FileEntry) -> Self {
        let exact = std::str::from_utf8(entry.path.as_bytes()).is_err();
        Self {
            path: entry.path.to_text(),
            path_base64: exact.then(|| BASE64.encode(entry.path.as_bytes())),
            kind: match entry.kind {
                FileKind::File => "file",
                FileKind::Directory => "directory",
                FileKind::Link => "link",
                FileKind::Other => "other",
            },
            bytes: entry.bytes,
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            modified_at: rfc3339(entry.modified_at),
            link_target: entry.link_target.map(|target| String::from_utf8_lossy(&target).into_owned()),
        }
    }
}

impl From<Listing> for wire::Directory {
    fn from(listing: Listing) -> Self {
        let entries = listing.entries.into_iter().map(wire::FileEntry::from).collect();
        Self { entries, truncated: listing.truncated }
    }
}

impl From<ports::Matches> for wire::Matches {
    fn from(found: ports::Matches) -> Self {
        let line = |found: lazaret_core::LineMatch| wire::LineMatch {
            path: found.path.to_text(),
            line: found.line,
            text: String::from_utf8_lossy(&found.text).into_owned(),
        };
        Self { matches: found.lines.into_iter().map(line).collect(), truncated: found.truncated }
    }
}

impl wire::ReadQuery {
    /// Refuses what cannot be answered together.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        let find = self.find.is_some();
        for (field, both, other) in [
            ("list", self.list && self.stat, "stat"),
            ("find", find && self.stat, "stat"),
            ("find", find && self.list, "list"),
        ] {
            if both {
                return Err(Rejection::query(field, format!("cannot be asked together with {other}")));
            }
        }
        for (field, given) in [("depth", self.depth.is_some()), ("name", self.name.is_some())] {
            if given && !self.list {
                return Err(Rejection::query(field, "needs list"));
            }
        }
        Ok(())
    }

    /// The entries that are wanted, if it is not simply a directory's.
    pub(super) fn tree(&self) -> Option<TreeQuery> {
        let is_plain = self.depth.is_none() && self.name.is_none();
        (!is_plain).then(|| TreeQuery { depth: self.depth, name: self.name.clone(), links: Links::Kept })
    }
}

/// The absolute path that the rest of a route's path means.
pub(super) fn path(params: &PathParams) -> Result<FilePath, Failure> {
    let rest = params.bytes("path");
    let mut path = Vec::with_capacity(rest.len() + 1);
    path.push(b'/');
    path.extend_from_slice(rest);
    Ok(FilePath::new(path)?)
}

fn mode(part: Part, text: &str) -> Result<u32, Rejection> {
    let digits = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= MODE_MAX);
    digits.filter(|_| !text.starts_with('+')).ok_or_else(|| {
        let problem = FieldProblem::Other("must be octal digits up to 7777".to_owned());
        Rejection::Field { part, field: "mode".to_owned(), problem }
    })
}

impl wire::WriteQuery {
    pub(super) fn options(&self) -> Result<WriteOptions, Rejection> {
        let defaults = WriteOptions::default();
        Ok(WriteOptions {
            mode: self.mode.as_deref().map_or(Ok(defaults.mode), |text| mode(Part::Query, text))?,
            parents: self.parents.unwrap_or(defaults.parents),
        })
    }
}

/// An operation, read.
pub(super) enum Act {
    MakeDirectory { mode: u32, parents: bool },
    Rename { to: FilePath, existing: Existing },
    SetMode { mode: u32 },
    SetOwner(Owner),
    ReplaceText { text: String, with: String },
}

impl TryFrom<wire::Operation> for Act {
    type Error = Failure;

    fn try_from(operation: wire::Operation) -> Result<Self, Failure> {
        let wire::Operation { op, mode: bits, parents, to, replace, uid, gid, owner, group, text, with } =
            operation;
        let given = [
            ("mode", bits.is_some()),
            ("parents", parents.is_some()),
            ("to", to.is_some()),
            ("replace", replace.is_some()),
            ("uid", uid.is_some()),
            ("gid", gid.is_some()),
            ("owner", owner.is_some()),
            ("group", group.is_some()),
            ("text", text.is_some()),
            ("with", with.is_some()),
        ];
        let belongs: &[&str] = match op {
            wire::OperationKind::Mkdir => &["mode", "parents"],
            wire::OperationKind::Rename => &["to", "replace"],
            wire::OperationKind::Chmod => &["mode"],
            wire::OperationKind::Chown if owner.is_some() || group.is_some() => &["owner", "group"],
            wire::OperationKind::Chown => &["uid", "gid"],
            wire::OperationKind::Replace => &["text", "with"],
        };
        if let Some((field, _)) = given.iter().find(|(field, given)| *given && !belongs.contains(field)) {
            return Err(refuse(field, FieldProblem::Other("does not belong to this op".to_owned())));
        }
        let missing = |field: &str| refuse(field, FieldProblem::Missing);
        let bits = bits.as_deref().map(|text| mode(Part::Body, text)).transpose()?;
        match op {
            wire::OperationKind::Mkdir => Ok(Self::MakeDirectory {
                mode: bits.unwrap_or(DIRECTORY_MODE),
                parents: parents.unwrap_or(true),
            }),
            wire::OperationKind::Rename => {
                let to = FilePath::new(to.ok_or_else(|| missing("to"))?).map_err(|error| match error {
                    lazaret_core::Error::Invalid { reason, .. } => refuse("to", FieldProblem::Other(reason)),
                    error => error.into(),
                })?;
                let existing = if replace == Some(false) { Existing::Kept } else { Existing::Replaced };
                Ok(Self::Rename { to, existing })
            }
            wire::OperationKind::Chmod => Ok(Self::SetMode { mode: bits.ok_or_else(|| missing("mode"))? }),
            wire::OperationKind::Chown if owner.is_some() || group.is_some() => {
                Ok(Self::SetOwner(Owner { user: owner, group }))
            }
            wire::OperationKind::Chown => {
                let (uid, gid) = (uid.ok_or_else(|| missing("uid"))?, gid.ok_or_else(|| missing("gid"))?);
                Ok(Self::SetOwner(Owner::ids(uid, gid)))
            }
            wire::OperationKind::Replace => Ok(Self::ReplaceText {
                text: text.ok_or_else(|| missing("text"))?,
                with: with.ok_or_else(|| missing("with"))?,
            }),
        }
    }
}

fn refuse(field: &str, problem: FieldProblem) -> Failure {
    Rejection::Field { part: Part::Body, field: field.to_owned(), problem }.into()
}
