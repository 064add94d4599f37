//! Files inside a sandbox, by path. Every call runs in the sandbox's own namespaces, as its user.

use std::sync::Arc;

use futures_util::StreamExt;

use super::context::Context;
use super::lease::InUse;
use super::sandboxes::use_sandbox;
use crate::ports::{Listing, Matches};
use crate::{
    Body, Caller, Error, Existing, FileEntry, FilePath, FileScope, ImageConfig, Links, Owner, ReadRange,
    Result, Sandbox, SandboxId, Scope, TreeQuery, WriteOptions, limits,
};

/// Files in sandboxes of the caller's account.
///
/// Every method fails with [`crate::Error::NotFound`] for a sandbox that is not this account's,
/// [`crate::Error::Refused`] for one that does not run, and [`crate::Error::File`] for what the kernel inside says.
/// `user` is as in [`crate::ExecSpec::user`].
#[derive(Clone)]
pub struct Files {
    pub(super) context: Arc<Context>,
}

impl Files {
    /// What a path is.
    pub async fn stat(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        links: Links,
    ) -> Result<FileEntry> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        guard.counted(self.context.ports.guest.stat(id, &scope, path, links).await).await
    }

    /// The entries beneath a directory that are as `query` says, at most [`limits::LIST_MAX_ENTRIES`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `pattern` or `depth`, besides the usual ones.
    pub async fn tree(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        query: &TreeQuery,
    ) -> Result<Listing> {
        if query.depth == Some(0) {
            return Err(Error::invalid("depth", "must be at least 1"));
        }
        if let Some(glob) = &query.name {
            check_pattern(glob.as_bytes())?;
        }
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        let guest = &self.context.ports.guest;
        guard.counted(guest.tree(id, &scope, path, query, limits::LIST_MAX_ENTRIES).await).await
    }

    /// The lines that hold `text` in a file, or in the text files beneath a directory, at most
    /// [`limits::FIND_MAX_LINES`]. Every character means itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `pattern`, besides the usual ones.
    pub async fn find_text(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        text: &str,
    ) -> Result<Matches> {
        check_pattern(text.as_bytes())?;
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        let guest = &self.context.ports.guest;
        let found = guest.find_text(id, &scope, path, text.as_bytes(), limits::FIND_MAX_LINES).await;
        guard.counted(found).await
    }

    /// Puts `with` in the place of each `text` in a file, in one step, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `pattern` or `new_value`, besides the usual ones.
    pub async fn replace_text(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        text: &str,
        with: &str,
    ) -> Result<u64> {
        check_pattern(text.as_bytes())?;
        if with.len() > limits::REPLACEMENT_MAX_BYTES {
            let reason = format!("is longer than {} bytes", limits::REPLACEMENT_MAX_BYTES);
            return Err(Error::invalid("new_value", reason));
        }
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        let guest = &self.context.ports.guest;
        guard.counted(guest.replace_text(id, &scope, path, text.as_bytes(), with.as_bytes()).await).await
    }

    /// The entries of a directory, at most [`limits::LIST_MAX_ENTRIES`].
    pub async fn list(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
    ) -> Result<Listing> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        guard.counted(self.context.ports.guest.list(id, &scope, path, limits::LIST_MAX_ENTRIES).await).await
    }

    /// A regular file's entry and its content. The sandbox is in use until the body is dropped.
    pub async fn read(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        range: ReadRange,
    ) -> Result<(FileEntry, Body)> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        let (entry, body) =
            guard.counted(self.context.ports.guest.read(id, &scope, path, range).await).await?;
        Ok((entry, holding(body, guard)))
    }

    /// Writes a whole file; a body that ends in an error leaves what was there before.
    pub async fn write(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        options: &WriteOptions,
        body: Body,
    ) -> Result<FileEntry> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.write(id, &scope, path, options, body).await).await
    }

    /// Makes a directory, with its parents if asked.
    pub async fn mkdir(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        mode: u32,
        parents: bool,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.mkdir(id, &scope, path, mode, parents).await).await
    }

    /// Moves a file or directory, to another file system as well.
    pub async fn rename(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        from: &FilePath,
        to: &FilePath,
        existing: Existing,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.rename(id, &scope, from, to, existing).await).await
    }

    /// Removes a file, a link or an empty directory; a whole tree if `recursive`.
    pub async fn remove(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        recursive: bool,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.remove(id, &scope, path, recursive).await).await
    }

    /// Sets permission bits.
    pub async fn chmod(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        mode: u32,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.chmod(id, &scope, path, mode).await).await
    }

    /// Sets owner, group or both.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `owner` or `group`, or for `user` if the image knows one of them not.
    pub async fn chown(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<()> {
        owner.check()?;
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.chown(id, &scope, path, owner).await).await
    }

    async fn enter(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        needed: Scope,
    ) -> Result<(FileScope, InUse)> {
        caller.need(needed)?;
        crate::sandbox::check_user(user.as_deref())?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let mut scope = default_scope(&entry.record(), &entry.image_config);
        scope.user = user.or(scope.user);
        Ok((scope, guard))
    }
}

/// Refuses a text or glob that is nowhere or everywhere, and one that no line has.
fn check_pattern(pattern: &[u8]) -> Result<()> {
    match pattern.len() {
        0 => Err(Error::invalid("pattern", "is empty")),
        1..=limits::PATTERN_MAX_BYTES => Ok(()),
        _ => Err(Error::invalid("pattern", format!("is longer than {} bytes", limits::PATTERN_MAX_BYTES))),
    }
}

/// As the sandbox's user, anywhere.
pub(super) fn default_scope(record: &Sandbox, image: &ImageConfig) -> FileScope {
    FileScope { user: record.user.clone().or_else(|| image.user.clone()), beneath: None }
}

/// The body, with the sandbox in use until it is dropped.
pub(super) fn holding(body: Body, guard: InUse) -> Body {
    body.map(move |chunk| {
        let _held = &guard;
        chunk
    })
    .boxed()
}
