//! Files of sandboxes for those who have no key of the account, but a request that was signed with the sandbox's.

use std::sync::Arc;

use super::context::Context;
use super::previews::secret;
use super::sandboxes::find_current;
use super::{Directories, Execs, Files};
use crate::{
    Activity, Body, Caller, Error, FileEntry, FilePath, KeyId, ReadRange, Result, SandboxId, Scope, Secret,
    Timestamp, WriteOptions,
};

/// Signed requests for files.
#[derive(Clone)]
pub struct SignedFiles {
    pub(super) context: Arc<Context>,
    pub(super) files: Files,
    pub(super) execs: Execs,
}

/// That somebody with the key has asked for this.
#[derive(Debug, Clone)]
pub struct FileProof {
    /// What was signed; the dialect has put the request into it.
    pub message: Vec<u8>,
    /// HMAC-SHA256 over it, by the text of the key.
    pub signature: Vec<u8>,
    /// When it ends; `None` for with the key.
    pub ends_at: Option<Timestamp>,
}

impl SignedFiles {
    /// The key that signs requests for files of the sandbox.
    pub async fn key(&self, caller: &Caller, id: SandboxId) -> Result<Secret> {
        caller.need(Scope::SandboxesWrite)?;
        find_current(&self.context, caller, id).await?;
        Ok(Secret::new(secret(&self.context, id).await?.file_key()))
    }

    /// Another key, with which everything that was signed so far ends.
    pub async fn rotate(&self, caller: &Caller, id: SandboxId) -> Result<Secret> {
        caller.need(Scope::SandboxesWrite)?;
        find_current(&self.context, caller, id).await?;
        secret(&self.context, id).await?;
        let renewed = self.context.ports.store.rotate_file_key(id).await?;
        Ok(Secret::new(renewed.file_key()))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a proof that holds, else as [`Files::read`].
    pub async fn read(&self, id: SandboxId, proof: &FileProof, path: &FilePath) -> Result<(FileEntry, Body)> {
        let caller = self.check(id, proof, Scope::SandboxesRead).await?;
        self.files.read(&caller, id, None, path, ReadRange::default()).await
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a proof that holds, else as [`Files::write`].
    pub async fn write(
        &self,
        id: SandboxId,
        proof: &FileProof,
        path: &FilePath,
        options: &WriteOptions,
        body: Body,
    ) -> Result<FileEntry> {
        let caller = self.check(id, proof, Scope::SandboxesWrite).await?;
        self.files.write(&caller, id, None, path, options, body).await
    }

    /// Where relative paths begin.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a proof that holds, else as [`Execs::directories`].
    pub async fn directories(&self, id: SandboxId, proof: &FileProof) -> Result<Directories> {
        let caller = self.check(id, proof, Scope::SandboxesRead).await?;
        self.execs.directories(&caller, id).await
    }

    /// Succeeds if the proof holds.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], also where there is no such sandbox.
    pub async fn prove(&self, id: SandboxId, proof: &FileProof) -> Result<()> {
        self.check(id, proof, Scope::SandboxesRead).await.map(drop)
    }

    /// Who acts for one request; nobody outside of this file ever has such a caller.
    async fn check(&self, id: SandboxId, proof: &FileProof, scope: Scope) -> Result<Caller> {
        let entry = self.context.table.find(id).ok_or(Error::Unauthenticated)?;
        let secret = self.context.ports.store.find_sandbox_secret(id).await?;
        let is_genuine =
            secret.is_some_and(|secret| secret.is_file_signature(&proof.message, &proof.signature));
        if !is_genuine || proof.ends_at.is_some_and(|end| end <= self.context.now()) {
            return Err(Error::Unauthenticated);
        }
        let mut scopes = vec![Scope::SandboxesRead];
        if scope != Scope::SandboxesRead {
            scopes.push(scope);
        }
        Ok(Caller {
            account: entry.account,
            key: KeyId::from_bytes([0; 16]),
            tier: String::new(),
            scopes,
            activity: Activity::Counts,
        })
    }
}
