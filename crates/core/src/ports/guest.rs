//! What can be asked of a guest. The adapter speaks the guest protocol over [`super::Runtime::connect`].
//!
//! The guest is hostile: every answer here is a claim about the tenant's own world. The adapter bounds what it reads
//! and how long it waits for a first answer; it never lets a guest's number size an allocation.

use async_trait::async_trait;

use super::GuestStream;
use crate::{
    BackgroundExec, Body, ExecId, ExecSession, ExecSpec, Existing, FileEntry, FilePath, FileScope, Keep,
    LineMatch, Links, Owner, ReadRange, Removal, Result, SandboxId, TreeQuery, WriteOptions,
};

/// The entries of a directory or a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// In the guest's order.
    pub entries: Vec<FileEntry>,
    /// There were more than the bound.
    pub truncated: bool,
}

/// The lines that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// File by file.
    pub lines: Vec<LineMatch>,
    /// There were more than the bound, or the search took too long.
    pub truncated: bool,
}

/// Execs and files inside a running sandbox. `ExecSpec` and `FileScope` are complete here: `None` means the guest's
/// root user and `/`; the services have filled in the image's and the sandbox's defaults.
#[async_trait]
pub trait Guest: Send + Sync {
    /// Connects to a TCP port on the sandbox's loopback.
    ///
    /// # Errors
    /// [`crate::Error::PortClosed`] if nothing listens there.
    async fn dial(&self, sandbox: SandboxId, port: u16) -> Result<GuestStream>;

    /// Starts a process; it ends with the session.
    async fn exec(&self, sandbox: SandboxId, spec: &ExecSpec) -> Result<ExecSession>;

    /// Starts a process that outlives the session, and attaches to it from its first byte.
    async fn exec_background(
        &self,
        sandbox: SandboxId,
        id: ExecId,
        spec: &ExecSpec,
        keep: &Keep,
    ) -> Result<ExecSession>;

    /// Attaches to a background exec, from this offset of its output on; from its end for one that is beyond it.
    async fn attach(&self, sandbox: SandboxId, id: ExecId, offset: u64) -> Result<ExecSession>;

    /// The background execs that the guest still knows.
    async fn list_execs(&self, sandbox: SandboxId) -> Result<Vec<BackgroundExec>>;

    /// Forgets a background exec, and kills it if it runs.
    async fn remove_exec(&self, sandbox: SandboxId, id: ExecId, removal: Removal) -> Result<()>;

    /// What a path is; whether the last component is followed if it is a link, `links` says.
    async fn stat(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        links: Links,
    ) -> Result<FileEntry>;

    /// The entries of a directory, at most `max_entries`.
    async fn list(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing>;

    /// Every regular file beneath a directory, at most `max_entries`, following no links.
    async fn walk(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing>;

    /// The entries beneath a directory that are as `query` says, at most `max_entries`.
    async fn tree(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        query: &TreeQuery,
        max_entries: usize,
    ) -> Result<Listing>;

    /// The lines that hold `text` in a file, or in the text files beneath a directory, at most `max_lines`.
    async fn find_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        max_lines: usize,
    ) -> Result<Matches>;

    /// Puts `with` in the place of each `text` in a file, in one step, and says how many there were.
    async fn replace_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        with: &[u8],
    ) -> Result<u64>;

    /// A regular file's entry, and its content from there on.
    async fn read(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        range: ReadRange,
    ) -> Result<(FileEntry, Body)>;

    /// Writes a whole file. A body that ends in an error leaves what was there before.
    async fn write(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        options: &WriteOptions,
        body: Body,
    ) -> Result<FileEntry>;

    /// Makes a directory, with its parents if asked; success if it is there already and `parents` is set.
    async fn mkdir(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        mode: u32,
        parents: bool,
    ) -> Result<()>;

    /// Moves a file or directory, to another file system as well.
    async fn rename(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        from: &FilePath,
        to: &FilePath,
        existing: Existing,
    ) -> Result<()>;

    /// Removes a file, a link or an empty directory; a whole tree if `recursive`.
    async fn remove(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        recursive: bool,
    ) -> Result<()>;

    /// Sets permission bits.
    async fn chmod(&self, sandbox: SandboxId, scope: &FileScope, path: &FilePath, mode: u32) -> Result<()>;

    /// Sets owner, group or both.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for the field `user` if the image knows one of them not.
    async fn chown(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<()>;
}
