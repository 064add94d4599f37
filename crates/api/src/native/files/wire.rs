//! Files of a sandbox as JSON.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A path and what is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileEntry {
    /// Absolute path, with what is not UTF-8 replaced.
    pub(crate) path: String,
    /// The exact path to the base 64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_base64: Option<String>,
    /// `file`, `directory`, `link` or `other`.
    pub(crate) kind: &'static str,
    /// Size.
    pub(crate) bytes: u64,
    /// Permission bits in octal digits, such as `0644`.
    pub(crate) mode: String,
    /// Owner, as the sandbox sees it.
    pub(crate) uid: u32,
    /// Group, as the sandbox sees it.
    pub(crate) gid: u32,
    /// RFC 3339; the last change of the content.
    pub(crate) modified_at: String,
    /// Where a link points, with what is not UTF-8 replaced; null for all else.
    pub(crate) link_target: Option<String>,
}

/// A directory.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Directory {
    /// What is in it.
    pub(crate) entries: Vec<FileEntry>,
    /// There was more than one answer holds.
    pub(crate) truncated: bool,
}

/// What is wanted of a path: its content, unless one of these says otherwise.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadQuery {
    /// What the path is, as JSON; a link is not followed.
    pub(crate) stat: bool,
    /// The entries of the directory, as JSON.
    pub(crate) list: bool,
    /// With `list`: at most so many names down, from 1, which is the directory alone. With `name` and without this, any
    /// number.
    pub(crate) depth: Option<u32>,
    /// With `list`: a glob for the last name, such as `*.rs`; the whole tree is looked through.
    pub(crate) name: Option<String>,
    /// The lines of the file, or of the text files beneath the directory, that hold this text, as JSON.
    pub(crate) find: Option<String>,
    /// As whom to act; the sandbox's own user if it is absent.
    pub(crate) user: Option<String>,
}

/// The lines that a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Matches {
    /// File by file.
    pub(crate) matches: Vec<LineMatch>,
    /// There was more than one answer holds, or the search took too long.
    pub(crate) truncated: bool,
}

/// A line that holds the text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineMatch {
    /// Absolute path of the file, with what is not UTF-8 replaced.
    pub(crate) path: String,
    /// The line's number, from 1.
    pub(crate) line: u64,
    /// The line, with what is not UTF-8 replaced; a long one is cut.
    pub(crate) text: String,
}

/// A text was replaced.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replaced {
    /// How often it was there; at none, the file is untouched.
    pub(crate) count: u64,
}

/// How to write a file.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WriteQuery {
    /// Permission bits of a file that is new, in octal digits; 0644 if it is absent.
    pub(crate) mode: Option<String>,
    /// Make missing directories above it; true if it is absent.
    pub(crate) parents: Option<bool>,
    /// As whom to act; the sandbox's own user if it is absent.
    pub(crate) user: Option<String>,
}

/// How to remove.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveQuery {
    /// A directory with all that is in it.
    pub(crate) recursive: bool,
    /// As whom to act; the sandbox's own user if it is absent.
    pub(crate) user: Option<String>,
}

/// As whom to act.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActQuery {
    /// As whom to act; the sandbox's own user if it is absent.
    pub(crate) user: Option<String>,
}

/// What to do to a path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// Which operation; the other fields belong to one or two of them.
    pub(crate) op: OperationKind,
    /// For `mkdir` (0755 if it is absent) and `chmod`: permission bits in octal digits.
    pub(crate) mode: Option<String>,
    /// For `mkdir`: make missing directories above it, and succeed if it is there; true if it is absent.
    pub(crate) parents: Option<bool>,
    /// For `rename`: the new absolute path.
    pub(crate) to: Option<String>,
    /// For `rename`: whether a file that is there is replaced; true if it is absent.
    pub(crate) replace: Option<bool>,
    /// For `chown`: the new owner, as the sandbox sees it.
    pub(crate) uid: Option<u32>,
    /// For `chown`: the new group, as the sandbox sees it.
    pub(crate) gid: Option<u32>,
    /// For `chown`: the new owner by name or id; without `group`, the group stays.
    pub(crate) owner: Option<String>,
    /// For `chown`: the new group by name or id; without `owner`, the owner stays.
    pub(crate) group: Option<String>,
    /// For `replace`: the text that goes; every character means itself.
    pub(crate) text: Option<String>,
    /// For `replace`: the text that comes in its place.
    pub(crate) with: Option<String>,
}

/// Kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationKind {
    /// Make a directory.
    Mkdir,
    /// Move a file or directory.
    Rename,
    /// Set permission bits.
    Chmod,
    /// Set owner, group or both.
    Chown,
    /// Put one text in the place of another, everywhere in a file.
    Replace,
}
