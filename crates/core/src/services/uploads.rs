//! Uploaded files: content by digest, records by account.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedRwLockReadGuard;

use super::context::Context;
use crate::ports::BlobStat;
use crate::{
    Body, Caller, Error, Kind, Page, PageRequest, ReadRange, Result, Scope, Upload, UploadId, limits,
};

/// A file to store.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The name that the client gave.
    pub filename: String,
    /// The client's word for what it is for.
    pub purpose: String,
    /// How long to keep it; `None` for ever.
    pub expires_in: Option<Duration>,
}

/// Content that is stored and has no record yet.
pub struct StagedUpload {
    blob: BlobStat,
    /// A record names it, so that there is nothing to collect.
    is_recorded: bool,
    context: Arc<Context>,
    _collector_waits: OwnedRwLockReadGuard<()>,
}

impl StagedUpload {
    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.blob.bytes
    }
}

impl Drop for StagedUpload {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.context.collect_blobs_soon();
        }
    }
}

/// Uploads of the caller's account.
#[derive(Clone)]
pub struct Uploads {
    pub(super) context: Arc<Context>,
}

impl Uploads {
    /// Stores the content of a file whose name and purpose are yet to come, as in a multipart body. Without
    /// [`Uploads::create`] it is collected again.
    ///
    /// # Errors
    /// [`Error::LimitReached`] for the file's size or the host's disk; the body's own error. Nothing is kept then.
    pub async fn stage(&self, caller: &Caller, body: Body) -> Result<StagedUpload> {
        caller.need(Scope::FilesWrite)?;
        let collector_waits = Arc::clone(&self.context.blobs_in_use).read_owned().await;
        let blob = self.context.ports.blobs.put(body, limits::UPLOAD_MAX_BYTES).await?;
        let context = Arc::clone(&self.context);
        Ok(StagedUpload { blob, is_recorded: false, context, _collector_waits: collector_waits })
    }

    /// Records a staged file; returns when content and record are on disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the file name; [`Error::LimitReached`] for the account's storage. Nothing is kept then.
    pub async fn create(&self, caller: &Caller, new: NewUpload, mut staged: StagedUpload) -> Result<Upload> {
        caller.need(Scope::FilesWrite)?;
        check_filename(&new.filename)?;
        let tier = self.context.settings.tier(&caller.tier);
        let blob = staged.blob;
        let now = self.context.now();
        let mut upload = Upload {
            id: UploadId::from_bytes(self.context.ports.ids.next(now)),
            account: caller.account,
            filename: new.filename,
            bytes: blob.bytes,
            digest: blob.digest,
            purpose: new.purpose,
            created_at: now,
            expires_at: new.expires_in.map(|span| now.after(span)),
            sequence: 0,
        };
        upload.sequence = self.context.ports.store.create_upload(&upload, tier.stored_max_bytes).await?;
        staged.is_recorded = true;
        Ok(upload)
    }

    /// An upload.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not this account's, or its time has ended.
    pub async fn get(&self, caller: &Caller, id: UploadId) -> Result<Upload> {
        find(&self.context, caller, id).await
    }

    /// A page of uploads in creation order, of one purpose if it is given.
    ///
    /// # Errors
    /// [`Error::NotFound`] for [`Kind::Cursor`] if `page.after` never was this account's.
    pub async fn list(
        &self,
        caller: &Caller,
        purpose: Option<&str>,
        page: PageRequest<UploadId>,
    ) -> Result<Page<Upload>> {
        caller.need(Scope::FilesRead)?;
        let after = match page.after {
            Some(id) => Some(self.place_of(caller, id).await?),
            None => None,
        };
        let now = self.context.now();
        let mut request = PageRequest { limit: page.limit, order: page.order, after };
        let mut items = Vec::new();
        // What has expired and was not yet removed leaves gaps, which the next uploads fill: a client takes an empty
        // page for the end.
        loop {
            let found = self.context.ports.store.list_uploads(caller.account, purpose, request).await?;
            let is_last = found.len() <= page.limit;
            request.after = found.last().map(|upload| upload.sequence);
            items.extend(found.into_iter().filter(|upload| upload.is_current(now)));
            if is_last || items.len() > page.limit {
                return Ok(Page::cut(items, page.limit));
            }
        }
    }

    async fn place_of(&self, caller: &Caller, id: UploadId) -> Result<u64> {
        let store = &self.context.ports.store;
        if let Some(upload) = store.find_upload(caller.account, id).await? {
            return Ok(upload.sequence);
        }
        let place = store.find_deleted_upload(caller.account, id).await?;
        place.ok_or_else(|| Error::not_found(Kind::Cursor, id))
    }

    /// An upload and its content.
    ///
    /// # Errors
    /// As [`Uploads::get`].
    pub async fn read(&self, caller: &Caller, id: UploadId, range: ReadRange) -> Result<(Upload, Body)> {
        let upload = self.get(caller, id).await?;
        let body = self.context.ports.blobs.get(&upload.digest, range.offset, range.length).await?;
        let body =
            body.ok_or_else(|| Error::internal(format!("blob {} of upload {id} is missing", upload.digest)))?;
        Ok((upload, body))
    }

    /// Removes an upload; copies in sandboxes stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the second delete.
    pub async fn delete(&self, caller: &Caller, id: UploadId) -> Result<()> {
        caller.need(Scope::FilesWrite)?;
        let removed = self.context.ports.store.delete_upload(caller.account, id).await?;
        removed.ok_or_else(|| Error::not_found(Kind::Upload, id))?;
        self.context.collect_blobs_soon();
        Ok(())
    }
}

/// The caller's upload, unless its time has ended.
pub(super) async fn find(context: &Context, caller: &Caller, id: UploadId) -> Result<Upload> {
    caller.need(Scope::FilesRead)?;
    let found = context.ports.store.find_upload(caller.account, id).await?;
    let now = context.now();
    found.filter(|upload| upload.is_current(now)).ok_or_else(|| Error::not_found(Kind::Upload, id))
}

fn check_filename(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > limits::FILENAME_MAX_BYTES {
        let reason = format!("must have from 1 to {} bytes", limits::FILENAME_MAX_BYTES);
        return Err(Error::invalid("filename", reason));
    }
    if name.contains('/') || name.chars().any(char::is_control) || name == "." || name == ".." {
        return Err(Error::invalid("filename", "is not a plain file name"));
    }
    Ok(())
}
