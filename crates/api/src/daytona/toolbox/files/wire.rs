//! Files on the wire.

use lazaret_core::{FileEntry, FileKind, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is told of a file or directory; its owners are numbers, as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileInfo {
    name: String,
    path: String,
    /// In bytes.
    size: u64,
    /// As `ls -l` writes it.
    mode: String,
    /// Octal digits.
    permissions: String,
    is_dir: bool,
    owner: String,
    group: String,
    mod_time: String,
    modified_at: String,
}

impl From<FileEntry> for FileInfo {
    fn from(entry: FileEntry) -> Self {
        let name = String::from_utf8_lossy(entry.path.file_name()).into_owned();
        Self {
            name: if name.is_empty() { "/".to_owned() } else { name },
            path: entry.path.to_text(),
            size: entry.bytes,
            mode: entry.mode_text(),
            permissions: format!("{:04o}", entry.mode & 0o777),
            is_dir: entry.kind == FileKind::Directory,
            owner: entry.uid.to_string(),
            group: entry.gid.to_string(),
            mod_time: format!("{} +0000 UTC", moment(entry.modified_at, ' ')),
            modified_at: format!("{}Z", moment(entry.modified_at, 'T')),
        }
    }
}

/// Date and time in UTC, with milliseconds; the end of the calendar for a moment beyond it.
fn moment(at: Timestamp, between: char) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.unix_micros().div_euclid(1000));
    let text = format!("{:.3}", moment.unwrap_or(jiff::Timestamp::MAX));
    text.trim_end_matches('Z').replacen('T', &between.to_string(), 1)
}

/// A line that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Match {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) content: String,
}

/// The paths that a glob found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    pub(super) files: Vec<String>,
}

/// One file in which a text was to be replaced.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplaceResult {
    pub(super) file: String,
    pub(super) success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A file that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uploaded {
    pub(super) name: String,
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// A text to replace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplaceRequest {
    pub(super) files: Vec<String>,
    pub(super) pattern: String,
    pub(super) new_value: String,
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "forms are read part by part")]
pub(super) struct FileForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The files of a bulk download.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct DownloadRequest {
    pub(super) paths: Vec<String>,
}

/// A path that is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PathQuery {
    /// Absolute, or from the working directory.
    pub(super) path: String,
}

/// A directory to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The working directory without it.
    #[serde(default)]
    pub(super) path: String,
    /// At most so many names down; 1 without it.
    pub(super) depth: Option<u32>,
}

/// Where to look for what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// Where to look.
    pub(super) path: String,
    /// A text to find in files, or a glob to search names by.
    pub(super) pattern: String,
}

/// What to delete.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    pub(super) path: String,
    /// A directory goes with all that is in it.
    #[serde(default, deserialize_with = "flag")]
    pub(super) recursive: bool,
}

/// A folder to make.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FolderQuery {
    pub(super) path: String,
    /// Octal digits; `755` without it.
    pub(super) mode: Option<String>,
}

/// What to move where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MoveQuery {
    pub(super) source: String,
    pub(super) destination: String,
}

/// What to change of a file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PermissionsQuery {
    pub(super) path: String,
    /// Octal digits.
    pub(super) mode: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
}

/// A yes or no as different clients write it.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(serde::de::Error::custom("must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_both_ways() {
        let at = Timestamp::from_unix_micros(1_767_225_600_500_000);
        assert_eq!(moment(at, ' '), "2026-01-01 00:00:00.500");
        assert_eq!(moment(at, 'T'), "2026-01-01T00:00:00.500");
    }
}
