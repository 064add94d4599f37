//! Tar archives as a hostile image maker writes them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType, Header};

/// An archive that is being written.
pub(super) struct Archive {
    path: PathBuf,
    builder: Builder<File>,
}

impl Archive {
    /// An empty archive at `path`.
    pub(super) fn create(path: &Path) -> Result<Archive> {
        let builder = Builder::new(File::create(path).context("create an archive")?);
        Ok(Archive { path: path.to_owned(), builder })
    }

    /// A folder.
    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, EntryType::Directory, 0o755, &[])
    }

    /// A file.
    pub(super) fn file(&mut self, name: &str, content: &[u8], mode: u32) -> Result<()> {
        self.entry(name, EntryType::Regular, mode, content)
    }

    /// A symbolic link, wherever it points.
    pub(super) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        Ok(self.builder.append_link(&mut header, name, target)?)
    }

    /// The probe program, so that something can be run in an image without any other.
    pub(super) fn probe(&mut self, scratch: &Path) -> Result<()> {
        let (source, program) = (scratch.join("probe.c"), scratch.join("probe"));
        std::fs::write(&source, include_str!("../../escape/probe.c"))?;
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-static", "-o"]).arg(&program).arg(&source);
        ensure!(compile.status().context("run cc")?.success(), "compile a probe");
        self.file("probe", &std::fs::read(program)?, 0o755)
    }

    /// The finished archive.
    pub(super) fn done(self) -> Result<PathBuf> {
        self.builder.into_inner()?.sync_all()?;
        Ok(self.path)
    }

    fn entry(&mut self, name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = header(kind, mode, u64::try_from(content.len())?);
        Ok(self.builder.append_data(&mut header, name, content)?)
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// The content of the first file in an archive.
pub(super) fn first_file(archive: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries()?.next().context("an archive with one entry")??;
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(content)
}
