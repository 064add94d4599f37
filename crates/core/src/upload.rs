//! A file that a client uploaded, outside any sandbox.

use crate::{AccountId, Digest, Timestamp, UploadId};

/// An uploaded file. Its bytes are a blob, stored once however many uploads share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub account: AccountId,
    /// The name that the client gave.
    pub filename: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// The client's word for what it is for; opaque here.
    pub purpose: String,
    /// When it came.
    pub created_at: Timestamp,
    /// When it goes; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Position in creation order; breaks ties of `created_at`. Zero until the store has numbered it.
    pub sequence: u64,
}

impl Upload {
    /// Its time has not ended.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}
