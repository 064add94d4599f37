//! Files inside a sandbox, by path. Every call runs in the sandbox's own namespaces, as its user.

use std::sync::Arc;

use futures_util::StreamExt;

use super::context::Context;
use super::lease::InUse;
use super::sandboxes::use_sandbox;
use crate::ports::Listing;
use crate::{
    Body, Caller, FileEntry, FilePath, FileScope, ImageConfig, ReadRange, Result, Sandbox, SandboxId, Scope,
    WriteOptions, limits,
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
    /// What a path is; a link as the last component is not followed.
    pub async fn stat(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
    ) -> Result<FileEntry> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesRead).await?;
        guard.counted(self.context.ports.guest.stat(id, &scope, path).await).await
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

    /// Moves a file or directory; replaces a file at the destination.
    pub async fn rename(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        from: &FilePath,
        to: &FilePath,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.rename(id, &scope, from, to).await).await
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

    /// Sets owner and group, as ids inside the sandbox.
    pub async fn chown(
        &self,
        caller: &Caller,
        id: SandboxId,
        user: Option<String>,
        path: &FilePath,
        uid: u32,
        gid: u32,
    ) -> Result<()> {
        let (scope, guard) = self.enter(caller, id, user, Scope::SandboxesWrite).await?;
        guard.counted(self.context.ports.guest.chown(id, &scope, path, uid, gid).await).await
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
