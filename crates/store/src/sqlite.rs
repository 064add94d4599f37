//! The `Store` port: opens the database, and sends each call to the thread that does it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lazaret_core::ports::Store;
use lazaret_core::{
    Account, AccountId, CatalogueEntry, CatalogueEntryId, Digest, DomainSecrets, Event, Key, KeyHash, KeyId,
    PageRequest, Result, Sandbox, SandboxId, SandboxSecret, Template, TemplateId, Timestamp, Upload,
    UploadId, Volume, VolumeId, VolumeState, Withdrawal,
};
use rusqlite::{Connection, OpenFlags, Transaction};

use crate::migrate::migrate;
use crate::seal::Seal;
use crate::thread::OwnerThread;
use crate::writer::{Durability, Writer};
use crate::{
    Error, accounts, catalogue, domain_secrets, events, keys, sandboxes, secrets, templates, uploads, volumes,
};

/// How long a statement waits for another process, an operator's `sqlite3` for instance, to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long folding the log waits for readers. Ours are done in milliseconds; whoever reads for longer is an operator,
/// for whom no request should wait.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(250);

/// The file beside the database with the key of what is sealed in it.
const SEALING_KEY: &str = "sealing-key";

/// Prepared statements kept by a connection: more than there are in this crate.
const STATEMENTS_MAX: usize = 64;

/// Records in an SQLite database.
///
/// Dropping it waits for queued writes and closes the database.
pub struct Sqlite {
    // In this order, because the writer sends to the checkpoint thread: who sends is joined first.
    writer: OwnerThread<Writer>,
    lookups: OwnerThread<Connection>,
    listings: OwnerThread<Connection>,
    _checkpoints: Arc<OwnerThread<Connection>>,
    seal: Arc<Seal>,
}

impl Sqlite {
    /// Opens the database at `path`, making it (mode 0600) and its directory (mode 0700) if they are missing, and
    /// migrates it.
    ///
    /// It blocks; a large migration takes its time.
    ///
    /// # Errors
    /// [`Error::Newer`] and [`Error::Foreign`] for a database that is not this build's to touch, else what failed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        make_private(path)?;
        let mut connection = connect(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        migrate(&mut connection, path)?;
        domain_secrets::delete_orphans(&connection)?;
        let seal = Arc::new(Seal::open(&path.with_file_name(SEALING_KEY))?);

        let thread = |error| Error::io("start a thread for", path)(error);
        let checkpoints = connect(path)?;
        checkpoints.busy_timeout(CHECKPOINT_PATIENCE)?;
        let checkpoints = Arc::new(OwnerThread::spawn("store-fold", checkpoints).map_err(thread)?);
        let reader = |name| {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true)?;
            OwnerThread::spawn(name, connection).map_err(thread)
        };
        let (lookups, listings) = (reader("store-find")?, reader("store-list")?);
        let writer = Writer::new(connection, Arc::clone(&checkpoints));
        let writer = OwnerThread::spawn("store-write", writer).map_err(thread)?;
        Ok(Self { writer, lookups, listings, _checkpoints: checkpoints, seal })
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T> {
        let done = self.writer.run(move |writer| writer.transact(durability, work)).await;
        done.map_err(|error| error.into_core(operation))
    }

    /// Reads by an index, in microseconds.
    async fn find<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T> {
        let found = self.lookups.run(move |connection| work(connection)).await;
        found.map_err(|error| error.into_core(operation))
    }

    /// Reads any number of rows, where nobody's lookup waits behind it: a caller who lists 10,000 files does not slow the
    /// check of the next caller's key.
    async fn list<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T> {
        let listed = self.listings.run(move |connection| work(connection)).await;
        listed.map_err(|error| error.into_core(operation))
    }
}

/// Makes the database file if it is missing, and takes from others what an earlier umask may have given them. SQLite
/// gives the log and its index the mode of the database.
fn make_private(path: &Path) -> Result<(), Error> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(Error::io("make", parent))?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(Error::io("open", path))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(Error::io("change the mode of", path))?;
    // The name must be as durable as what will be promised about the content.
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(Error::io("flush", parent))
}

fn connect(path: &Path) -> Result<Connection, Error> {
    // One thread owns a connection, so SQLite need not lock it. The path is never taken for a URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "foreign_keys", true)?;
    // A schema in a file that somebody tampered with cannot call functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

#[async_trait]
impl Store for Sqlite {
    async fn create_account(&self, account: &Account) -> Result<()> {
        let account = account.clone();
        self.write("create_account", Durability::Power, move |db| accounts::create(db, &account)).await
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>> {
        self.find("find_account", move |db| accounts::find(db, id)).await
    }

    async fn list_accounts(&self) -> Result<Vec<Account>> {
        self.list("list_accounts", accounts::list).await
    }

    async fn delete_account(&self, id: AccountId) -> Result<bool> {
        self.write("delete_account", Durability::Power, move |db| accounts::delete(db, id)).await
    }

    async fn create_key(&self, key: &Key) -> Result<()> {
        let key = key.clone();
        self.write("create_key", Durability::Power, move |db| keys::create(db, &key)).await
    }

    async fn find_key_by_hash(&self, hash: &KeyHash) -> Result<Option<Key>> {
        let hash = *hash;
        self.find("find_key_by_hash", move |db| keys::find_by_hash(db, &hash)).await
    }

    async fn list_keys(&self, account: AccountId) -> Result<Vec<Key>> {
        self.list("list_keys", move |db| keys::list(db, account)).await
    }

    async fn delete_key(&self, account: AccountId, id: KeyId) -> Result<bool> {
        self.write("delete_key", Durability::Power, move |db| keys::delete(db, account, id)).await
    }

    async fn create_sandbox(&self, sandbox: &Sandbox) -> Result<u64> {
        let sandbox = sandbox.clone();
        self.write("create_sandbox", Durability::Kill, move |db| sandboxes::create(db, &sandbox)).await
    }

    async fn update_sandbox(&self, sandbox: &Sandbox) -> Result<()> {
        let sandbox = sandbox.clone();
        self.write("update_sandbox", Durability::Kill, move |db| sandboxes::update(db, &sandbox)).await
    }

    async fn touch_sandbox(&self, id: SandboxId, last_active_at: Timestamp) -> Result<()> {
        let touch = move |db: &Transaction<'_>| sandboxes::touch(db, id, last_active_at);
        self.write("touch_sandbox", Durability::Kill, touch).await
    }

    async fn list_sandboxes(&self) -> Result<Vec<Sandbox>> {
        self.list("list_sandboxes", sandboxes::list).await
    }

    async fn delete_sandbox(&self, id: SandboxId) -> Result<bool> {
        self.write("delete_sandbox", Durability::Kill, move |db| sandboxes::delete(db, id)).await
    }

    async fn find_deleted_sandbox(&self, account: AccountId, id: SandboxId) -> Result<Option<u64>> {
        self.find("find_deleted_sandbox", move |db| sandboxes::find_deleted(db, account, id)).await
    }

    async fn find_sandbox_secret(&self, id: SandboxId) -> Result<Option<SandboxSecret>> {
        self.find("find_sandbox_secret", move |db| secrets::find(db, id)).await
    }

    async fn ensure_sandbox_secret(&self, id: SandboxId, fresh: [u8; 32]) -> Result<SandboxSecret> {
        self.write("ensure_sandbox_secret", Durability::Kill, move |db| secrets::ensure(db, id, &fresh)).await
    }

    async fn count_start(&self, id: SandboxId) -> Result<()> {
        self.write("count_start", Durability::Kill, move |db| secrets::count_start(db, id)).await
    }

    async fn rotate_file_key(&self, id: SandboxId) -> Result<SandboxSecret> {
        self.write("rotate_file_key", Durability::Power, move |db| secrets::rotate(db, id)).await
    }

    async fn withdraw_preview(
        &self,
        id: SandboxId,
        withdrawal: Withdrawal,
        now: Timestamp,
        max: usize,
    ) -> Result<()> {
        let work = move |db: &Transaction<'_>| secrets::withdraw(db, id, withdrawal, now, max);
        self.write("withdraw_preview", Durability::Power, work).await
    }

    async fn is_preview_withdrawn(&self, id: SandboxId, mark: [u8; 15]) -> Result<bool> {
        self.find("is_preview_withdrawn", move |db| secrets::is_withdrawn(db, id, &mark)).await
    }

    async fn put_domain_secrets(&self, sandbox: SandboxId, secrets: &DomainSecrets) -> Result<()> {
        let (seal, secrets) = (Arc::clone(&self.seal), secrets.clone());
        let put = move |db: &Transaction<'_>| domain_secrets::put(db, &seal, sandbox, &secrets);
        self.write("put_domain_secrets", Durability::Kill, put).await
    }

    async fn find_domain_secrets(&self, sandbox: SandboxId) -> Result<Option<DomainSecrets>> {
        let seal = Arc::clone(&self.seal);
        self.find("find_domain_secrets", move |db| domain_secrets::find(db, &seal, sandbox)).await
    }

    async fn delete_domain_secrets(&self, sandbox: SandboxId) -> Result<()> {
        self.write("delete_domain_secrets", Durability::Kill, move |db| domain_secrets::delete(db, sandbox))
            .await
    }

    async fn put_catalogue_entry(&self, entry: &CatalogueEntry) -> Result<u64> {
        let entry = entry.clone();
        self.write("put_catalogue_entry", Durability::Kill, move |db| catalogue::put(db, &entry)).await
    }

    async fn list_catalogue(&self, sandbox: SandboxId) -> Result<Vec<CatalogueEntry>> {
        self.list("list_catalogue", move |db| catalogue::list(db, sandbox)).await
    }

    async fn delete_catalogue_entry(&self, sandbox: SandboxId, id: CatalogueEntryId) -> Result<bool> {
        let delete = move |db: &Transaction<'_>| catalogue::delete(db, sandbox, id);
        self.write("delete_catalogue_entry", Durability::Kill, delete).await
    }

    async fn find_deleted_catalogue_entry(
        &self,
        sandbox: SandboxId,
        id: CatalogueEntryId,
    ) -> Result<Option<u64>> {
        self.find("find_deleted_catalogue_entry", move |db| catalogue::find_deleted(db, sandbox, id)).await
    }

    async fn create_upload(&self, upload: &Upload, max_bytes: u64) -> Result<u64> {
        let upload = upload.clone();
        self.write("create_upload", Durability::Power, move |db| uploads::create(db, &upload, max_bytes))
            .await
    }

    async fn find_upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>> {
        self.find("find_upload", move |db| uploads::find(db, account, id)).await
    }

    async fn list_uploads(
        &self,
        account: AccountId,
        purpose: Option<&str>,
        page: PageRequest<u64>,
    ) -> Result<Vec<Upload>> {
        let purpose = purpose.map(str::to_owned);
        self.list("list_uploads", move |db| uploads::list(db, account, purpose.as_deref(), page)).await
    }

    async fn delete_upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>> {
        self.write("delete_upload", Durability::Power, move |db| uploads::delete(db, account, id)).await
    }

    async fn find_deleted_upload(&self, account: AccountId, id: UploadId) -> Result<Option<u64>> {
        self.find("find_deleted_upload", move |db| uploads::find_deleted(db, account, id)).await
    }

    async fn list_expired_uploads(&self, now: Timestamp) -> Result<Vec<Upload>> {
        self.list("list_expired_uploads", move |db| uploads::list_expired(db, now)).await
    }

    async fn is_blob_used(&self, digest: &Digest) -> Result<bool> {
        let digest = *digest;
        self.find("is_blob_used", move |db| uploads::is_blob_used(db, &digest)).await
    }

    async fn create_template(&self, template: &Template) -> Result<()> {
        let template = template.clone();
        self.write("create_template", Durability::Kill, move |db| templates::create(db, &template)).await
    }

    async fn update_template(&self, template: &Template) -> Result<()> {
        let template = template.clone();
        self.write("update_template", Durability::Kill, move |db| templates::update(db, &template)).await
    }

    async fn list_templates(&self) -> Result<Vec<Template>> {
        self.list("list_templates", templates::list).await
    }

    async fn delete_template(&self, id: TemplateId) -> Result<bool> {
        self.write("delete_template", Durability::Kill, move |db| templates::delete(db, id)).await
    }

    async fn create_volume(&self, volume: &Volume, max: usize, max_bytes: u64) -> Result<u64> {
        let volume = volume.clone();
        let create = move |db: &Transaction<'_>| volumes::create(db, &volume, max, max_bytes);
        self.write("create_volume", Durability::Power, create).await
    }

    async fn find_volume(&self, account: AccountId, id: VolumeId) -> Result<Option<Volume>> {
        self.find("find_volume", move |db| volumes::find(db, account, id)).await
    }

    async fn find_volume_by_name(&self, account: AccountId, name: &str) -> Result<Option<Volume>> {
        let name = name.to_owned();
        self.find("find_volume_by_name", move |db| volumes::find_by_name(db, account, &name)).await
    }

    async fn list_volumes(&self, account: AccountId, page: PageRequest<u64>) -> Result<Vec<Volume>> {
        self.list("list_volumes", move |db| volumes::list(db, account, page)).await
    }

    async fn list_all_volumes(&self) -> Result<Vec<Volume>> {
        self.list("list_all_volumes", volumes::list_all).await
    }

    async fn set_volume_state(&self, id: VolumeId, state: VolumeState) -> Result<bool> {
        self.write("set_volume_state", Durability::Power, move |db| volumes::set_state(db, id, state)).await
    }

    async fn touch_volume(&self, id: VolumeId, last_used_at: Timestamp) -> Result<()> {
        let touch = move |db: &Transaction<'_>| volumes::touch(db, id, last_used_at);
        self.write("touch_volume", Durability::Kill, touch).await
    }

    async fn delete_volume(&self, id: VolumeId) -> Result<bool> {
        self.write("delete_volume", Durability::Power, move |db| volumes::delete(db, id)).await
    }

    async fn find_deleted_volume(&self, account: AccountId, id: VolumeId) -> Result<Option<u64>> {
        self.find("find_deleted_volume", move |db| volumes::find_deleted(db, account, id)).await
    }

    async fn append_event(&self, event: &Event) -> Result<u64> {
        let event = event.clone();
        self.write("append_event", Durability::Kill, move |db| events::append(db, &event)).await
    }

    async fn list_events(&self, account: AccountId, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.list("list_events", move |db| events::list(db, account, after, limit)).await
    }
}
