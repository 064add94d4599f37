//! Actions on files, and the one on repositories.

use bytes::Bytes;

use super::{ACT_DEADLINE, Actions, LOOK_DEADLINE, Outcome, Refusal, within};
use crate::services::execs::complete;
use crate::services::sandboxes::use_sandbox;
use crate::{
    Caller, Error, ExecSpec, FileEntry, FileKind, FilePath, GitClone, Limit, ReadRange, SandboxId,
    WriteOptions, body_from_bytes, collect, limits,
};

/// Bytes in a MiB, which this contract calls an MB.
const MIB: u64 = 1024 * 1024;

/// A file to write.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The sandbox's id.
    pub sandbox: String,
    /// Where to; a directory if it ends in a slash.
    pub destination: String,
    /// A name instead of the destination's own.
    pub name: Option<String>,
    /// What it holds.
    pub content: Bytes,
}

/// A written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Where it is, as it was asked for.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: Bytes,
}

/// A directory's entry.
pub type Entry = FileEntry;

impl Actions {
    /// Writes a file, making its directories.
    pub async fn upload_file(&self, caller: &Caller, upload: Upload) -> Outcome<Uploaded> {
        within(ACT_DEADLINE, async {
            let id = self.by_id(caller, &upload.sandbox).await?;
            let (name, path) = destination(&upload.destination, upload.name.as_deref())?;
            let target = resolve(&self.work_dir(caller, id).await?, &path)?;
            let size = upload.content.len() as u64;
            let (options, body) = (WriteOptions::default(), body_from_bytes(upload.content));
            self.files.write(caller, id, None, &target, &options, body).await?;
            Ok(Uploaded { path, name, size })
        })
        .await
    }

    /// Reads a file of at most [`limits::ACTION_DOWNLOAD_MAX_BYTES`].
    pub async fn download_file(&self, caller: &Caller, sandbox: &str, path: &str) -> Outcome<Download> {
        within(ACT_DEADLINE, async {
            let id = self.by_id(caller, sandbox).await?;
            let path = required("file_path", path)?;
            let target = resolve(&self.work_dir(caller, id).await?, path)?;
            let (entry, body) = self.files.read(caller, id, None, &target, ReadRange::default()).await?;
            if entry.bytes > limits::ACTION_DOWNLOAD_MAX_BYTES {
                return Err(too_large(entry.bytes));
            }
            // It may have grown since.
            let content = collect(body, limits::ACTION_DOWNLOAD_MAX_BYTES, Limit::AnswerBytes).await;
            let content = content.map_err(|error| match error {
                Error::LimitReached(_) => too_large(limits::ACTION_DOWNLOAD_MAX_BYTES + 1),
                error => error.into(),
            })?;
            let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("download").to_owned();
            Ok(Download { name, content })
        })
        .await
    }

    /// The entries of a directory, by name.
    pub async fn list_files(
        &self,
        caller: &Caller,
        sandbox: &str,
        path: Option<&str>,
    ) -> Outcome<Vec<Entry>> {
        within(LOOK_DEADLINE, async {
            let id = self.by_id(caller, sandbox).await?;
            let work_dir = self.work_dir(caller, id).await?;
            let path = path.map(str::trim).filter(|path| !path.is_empty());
            let target = resolve(&work_dir, path.unwrap_or("."))?;
            let listing = self.files.list(caller, id, None, &target).await?;
            if listing.truncated {
                return Err(Refusal(format!(
                    "The directory has more than {} entries",
                    limits::LIST_MAX_ENTRIES
                )));
            }
            let mut entries = listing.entries;
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(entries)
        })
        .await
    }

    /// Copies a repository into the sandbox with this id.
    pub async fn git_clone(&self, caller: &Caller, sandbox: &str, clone: GitClone) -> Outcome<()> {
        within(ACT_DEADLINE, async {
            let id = self.by_id(caller, sandbox).await?;
            required("url", &clone.url)?;
            let target = resolve(&self.work_dir(caller, id).await?, required("path", &clone.path)?)?;
            let path = target.to_text();
            Ok(self.git.clone_repository(caller, id, GitClone { path, ..clone }).await?)
        })
        .await
    }

    /// The directory that relative paths begin in.
    pub(super) async fn work_dir(&self, caller: &Caller, id: SandboxId) -> Outcome<String> {
        let (entry, _guard) = use_sandbox(&self.context, caller, id).await?;
        Ok(complete(&entry, ExecSpec::default()).cwd.unwrap_or_else(|| "/".to_owned()))
    }
}

fn required<'a>(field: &str, text: &'a str) -> Outcome<&'a str> {
    match text.trim() {
        "" => Err(Refusal(format!("{field} is required"))),
        text => Ok(text),
    }
}

/// The absolute path that `path` means from `work_dir`.
pub(super) fn resolve(work_dir: &str, path: &str) -> Outcome<FilePath> {
    let path = match path {
        "" | "." => work_dir.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{}/{path}", work_dir.trim_end_matches('/')),
    };
    Ok(FilePath::new(path)?)
}

/// The name to tell of, and the path to write.
fn destination(given: &str, name: Option<&str>) -> Outcome<(String, String)> {
    let given = required("destination_path", given)?;
    let own = given.trim_end_matches('/').rsplit('/').next().filter(|own| !own.is_empty());
    let name = name.filter(|name| !name.is_empty()).or(own).unwrap_or("upload").to_owned();
    let path = if given.ends_with('/') { format!("{given}{name}") } else { given.to_owned() };
    Ok((name, path))
}

#[expect(clippy::cast_precision_loss, reason = "two decimals of megabytes")]
fn too_large(bytes: u64) -> Refusal {
    let megabytes = bytes as f64 / MIB as f64;
    Refusal(format!("File size ({megabytes:.2}MB) exceeds download limit of 100MB"))
}

/// A mode as `ls` shows it.
pub(crate) fn mode_text(kind: FileKind, mode: u32) -> String {
    let letter = match kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
        FileKind::Other => '?',
    };
    let bits = (0..9).rev().map(|bit| if mode & (1 << bit) == 0 { '-' } else { ['x', 'w', 'r'][bit % 3] });
    std::iter::once(letter).chain(bits).collect()
}

impl FileEntry {
    /// Kind and permission bits as `ls -l` shows them: `-rw-r--r--`.
    pub fn mode_text(&self) -> String {
        mode_text(self.kind, self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_directory_if_it_ends_in_a_slash() {
        for (given, name, want) in [
            ("/data/", None, ("data", "/data/data")),
            ("/data/", Some("a.txt"), ("a.txt", "/data/a.txt")),
            ("/data/x", None, ("x", "/data/x")),
            ("/data/x", Some("other"), ("other", "/data/x")),
            (" rel/y ", Some(""), ("y", "rel/y")),
            ("/", None, ("upload", "/upload")),
        ] {
            let want = (want.0.to_owned(), want.1.to_owned());
            assert_eq!(destination(given, name), Ok(want), "{given} {name:?}");
        }
        assert_eq!(destination(" ", None), Err(Refusal("destination_path is required".to_owned())));
    }

    #[test]
    fn the_size_is_told_in_the_words_that_clients_know() {
        let want = "File size (100.00MB) exceeds download limit of 100MB";
        assert_eq!(too_large(limits::ACTION_DOWNLOAD_MAX_BYTES + 1), Refusal(want.to_owned()));
        assert_eq!(too_large(157_286_400), Refusal(want.replace("100.00", "150.00")));
    }

    #[test]
    fn modes_read_as_ls_shows_them() {
        assert_eq!(mode_text(FileKind::File, 0o644), "-rw-r--r--");
        assert_eq!(mode_text(FileKind::Directory, 0o4755), "drwxr-xr-x");
    }
}
