//! Records and blobs that outlive the server.
//!
//! Durability: what a method returned `Ok` for survives a kill of the server. Accounts, keys, uploads and blobs survive
//! power loss as well.

use async_trait::async_trait;

use crate::{
    Account, AccountId, Body, CatalogueEntry, CatalogueEntryId, Digest, DomainSecrets, Event, Key, KeyHash,
    KeyId, PageRequest, Result, Sandbox, SandboxId, SandboxSecret, Template, TemplateId, Upload, UploadId,
    Volume, VolumeId, VolumeState, Withdrawal,
};

/// Records. `find` answers `None` for what is not there; affected rows are checked.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds an account.
    ///
    /// # Errors
    /// [`crate::Error::AlreadyExists`] if the name is taken.
    async fn create_account(&self, account: &Account) -> Result<()>;

    /// The account with this id.
    async fn find_account(&self, id: AccountId) -> Result<Option<Account>>;

    /// Every account, oldest first.
    async fn list_accounts(&self) -> Result<Vec<Account>>;

    /// Removes an account and its keys; `false` if there was none. The service has removed what it owned.
    async fn delete_account(&self, id: AccountId) -> Result<bool>;

    /// Adds a key.
    async fn create_key(&self, key: &Key) -> Result<()>;

    /// The key whose secret has this hash.
    async fn find_key_by_hash(&self, hash: &KeyHash) -> Result<Option<Key>>;

    /// The keys of an account, oldest first.
    async fn list_keys(&self, account: AccountId) -> Result<Vec<Key>>;

    /// Removes a key of this account; `false` if there was none.
    async fn delete_key(&self, account: AccountId, id: KeyId) -> Result<bool>;

    /// Adds a sandbox and returns its place in creation order.
    async fn create_sandbox(&self, sandbox: &Sandbox) -> Result<u64>;

    /// Replaces the record of a sandbox.
    async fn update_sandbox(&self, sandbox: &Sandbox) -> Result<()>;

    /// Sets `last_active_at` alone, since the rest of the record may be changing under its driver. Success also if
    /// the sandbox is gone.
    async fn touch_sandbox(&self, id: SandboxId, last_active_at: crate::Timestamp) -> Result<()>;

    /// Every sandbox that is not deleted, in creation order.
    async fn list_sandboxes(&self) -> Result<Vec<Sandbox>>;

    /// Removes the record and its catalogue, and keeps its id and place as a tombstone for cursors.
    /// `false` if there was none.
    async fn delete_sandbox(&self, id: SandboxId) -> Result<bool>;

    /// The place in creation order of a deleted sandbox of this account.
    async fn find_deleted_sandbox(&self, account: AccountId, id: SandboxId) -> Result<Option<u64>>;

    /// The secret of a sandbox, if it has one.
    async fn find_sandbox_secret(&self, id: SandboxId) -> Result<Option<SandboxSecret>>;

    /// The secret of a sandbox, which is `fresh` from now on if it had none.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if the sandbox is gone.
    async fn ensure_sandbox_secret(&self, id: SandboxId, fresh: [u8; 32]) -> Result<SandboxSecret>;

    /// Counts a start of a sandbox, if it has a secret.
    async fn count_start(&self, id: SandboxId) -> Result<()>;

    /// Counts a rotation of the key for files, and returns what is then.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if the sandbox has no secret.
    async fn rotate_file_key(&self, id: SandboxId) -> Result<SandboxSecret>;

    /// Remembers a withdrawal, and forgets those of this sandbox that ended before `now`. Success also if it is there.
    ///
    /// # Errors
    /// [`crate::Error::LimitReached`] with [`crate::Limit::Withdrawals`] if there would be more than `max`.
    async fn withdraw_preview(
        &self,
        id: SandboxId,
        withdrawal: Withdrawal,
        now: crate::Timestamp,
        max: usize,
    ) -> Result<()>;

    /// Whether a preview with this mark was withdrawn.
    async fn is_preview_withdrawn(&self, id: SandboxId, mark: [u8; 15]) -> Result<bool>;

    /// Adds a template.
    ///
    /// # Errors
    /// [`crate::Error::AlreadyExists`] if the account has one of that name.
    async fn create_template(&self, template: &Template) -> Result<()>;

    /// Replaces what changes of a template: image, state and times.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if it is gone.
    async fn update_template(&self, template: &Template) -> Result<()>;

    /// Every template, in creation order.
    async fn list_templates(&self) -> Result<Vec<Template>>;

    /// Removes a template; `false` if there was none.
    async fn delete_template(&self, id: TemplateId) -> Result<bool>;

    /// Adds a volume if the account then has at most `max` of at most `max_bytes` together, in one step, and returns its place.
    ///
    /// # Errors
    /// [`crate::Error::AlreadyExists`] if the account has one of that name; [`crate::Error::LimitReached`] with
    /// [`crate::Limit::Volumes`] or [`crate::Limit::VolumeBytes`].
    async fn create_volume(&self, volume: &Volume, max: usize, max_bytes: u64) -> Result<u64>;

    /// A volume of this account.
    async fn find_volume(&self, account: AccountId, id: VolumeId) -> Result<Option<Volume>>;

    /// The volume of this account with this name.
    async fn find_volume_by_name(&self, account: AccountId, name: &str) -> Result<Option<Volume>>;

    /// One more than `page.limit` volumes of this account if there are that many, behind the cursor, which is a place in
    /// creation order.
    async fn list_volumes(&self, account: AccountId, page: PageRequest<u64>) -> Result<Vec<Volume>>;

    /// Every volume of every account, in creation order.
    async fn list_all_volumes(&self) -> Result<Vec<Volume>>;

    /// Sets the state of a volume; `false` if there is none.
    async fn set_volume_state(&self, id: VolumeId, state: VolumeState) -> Result<bool>;

    /// Sets `last_used_at` of a volume. Success also if it is gone.
    async fn touch_volume(&self, id: VolumeId, last_used_at: crate::Timestamp) -> Result<()>;

    /// Removes the record of a volume and keeps its place as a tombstone; `false` if there was none.
    async fn delete_volume(&self, id: VolumeId) -> Result<bool>;

    /// The place of a deleted volume of this account.
    async fn find_deleted_volume(&self, account: AccountId, id: VolumeId) -> Result<Option<u64>>;

    /// Keeps the secrets of a sandbox that has none yet, whose record may come later; nobody who reads the records alone
    /// can read them. Without a record they are gone at the next start.
    async fn put_domain_secrets(&self, sandbox: SandboxId, secrets: &DomainSecrets) -> Result<()>;

    /// The secrets of a sandbox.
    async fn find_domain_secrets(&self, sandbox: SandboxId) -> Result<Option<DomainSecrets>>;

    /// Removes the secrets of a sandbox, if it has any; [`Store::delete_sandbox`] does so as well.
    async fn delete_domain_secrets(&self, sandbox: SandboxId) -> Result<()>;

    /// Adds or replaces a catalogue entry by its id. A new one (sequence 0) gets its place, which is returned.
    async fn put_catalogue_entry(&self, entry: &CatalogueEntry) -> Result<u64>;

    /// The catalogue of a sandbox, in creation order.
    async fn list_catalogue(&self, sandbox: SandboxId) -> Result<Vec<CatalogueEntry>>;

    /// Removes an entry and keeps its place as a tombstone; `false` if there was none.
    async fn delete_catalogue_entry(&self, sandbox: SandboxId, id: CatalogueEntryId) -> Result<bool>;

    /// The place of a deleted entry of this sandbox.
    async fn find_deleted_catalogue_entry(
        &self,
        sandbox: SandboxId,
        id: CatalogueEntryId,
    ) -> Result<Option<u64>>;

    /// Adds an upload if the account's uploads then hold at most `max_bytes`, in one step, and returns its place.
    ///
    /// # Errors
    /// [`crate::Error::LimitReached`] with [`crate::Limit::StoredBytes`].
    async fn create_upload(&self, upload: &Upload, max_bytes: u64) -> Result<u64>;

    /// An upload of this account.
    async fn find_upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>>;

    /// One more than `page.limit` uploads of this account if there are that many, behind the cursor, which is a
    /// place in creation order; with the given purpose only, if one is given.
    async fn list_uploads(
        &self,
        account: AccountId,
        purpose: Option<&str>,
        page: PageRequest<u64>,
    ) -> Result<Vec<Upload>>;

    /// Removes an upload and keeps its place as a tombstone. Returns what was removed.
    async fn delete_upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>>;

    /// The place of a deleted upload of this account.
    async fn find_deleted_upload(&self, account: AccountId, id: UploadId) -> Result<Option<u64>>;

    /// Uploads of any account whose time ended before `now`.
    async fn list_expired_uploads(&self, now: crate::Timestamp) -> Result<Vec<Upload>>;

    /// Whether any upload has this content.
    async fn is_blob_used(&self, digest: &Digest) -> Result<bool>;

    /// Adds an event, drops the oldest beyond [`crate::limits::EVENTS_MAX`], and returns its place.
    async fn append_event(&self, event: &Event) -> Result<u64>;

    /// Events of an account behind `after`, oldest first, at most `limit`.
    async fn list_events(&self, account: AccountId, after: u64, limit: usize) -> Result<Vec<Event>>;
}

/// A stored blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Size.
    pub bytes: u64,
}

/// Content of uploads, by digest.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores a body. Returns when it is on disk; an error of the body, or one byte more than `max_bytes`
    /// ([`crate::Error::LimitReached`] with [`crate::Limit::UploadBytes`]), leaves nothing.
    async fn put(&self, body: Body, max_bytes: u64) -> Result<BlobStat>;

    /// The content, from `offset` on, at most `length` bytes; `None` if there is no such blob.
    async fn get(&self, digest: &Digest, offset: u64, length: Option<u64>) -> Result<Option<Body>>;

    /// Removes a blob; `false` if there was none.
    async fn remove(&self, digest: &Digest) -> Result<bool>;

    /// Every blob, for the collector of what a crash left without a record.
    async fn list(&self) -> Result<Vec<Digest>>;
}
