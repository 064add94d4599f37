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
    /// As whom to act; the sandbox's own user if it is absent.
    pub(crate) user: Option<String>,
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
    /// For `rename`: the new absolute path; a file that is there is replaced.
    pub(crate) to: Option<String>,
    /// For `chown`: the new owner, as the sandbox sees it.
    pub(crate) uid: Option<u32>,
    /// For `chown`: the new group, as the sandbox sees it.
    pub(crate) gid: Option<u32>,
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
    /// Set owner and group.
    Chown,
}
