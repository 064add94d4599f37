//! Uploaded files, and the storage quota that they count against.

use lazaret_core::{
    AccountId, Digest, Error as CoreError, Kind, Limit, Order, PageRequest, Timestamp, Upload, UploadId,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::accounts;
use crate::error::violates_unique;
use crate::row::{Record, to_bound, to_integer, to_sequence};
use crate::tombstones::{self, Grave};

const COLUMNS: &str = "sequence, id, account, filename, bytes, digest, purpose, created_at, expires_at";

/// Adds an upload if its account then stores at most `max_bytes`, and returns its place.
///
/// # Errors
/// [`CoreError::LimitReached`] with [`Limit::StoredBytes`]; [`CoreError::NotFound`] if the account is gone;
/// [`CoreError::AlreadyExists`] if the id is there. None of them spends anything.
pub(crate) fn create(connection: &Connection, upload: &Upload, max_bytes: u64) -> Result<u64, Error> {
    let bytes = to_integer("bytes", upload.bytes)?;
    accounts::spend_stored_bytes(connection, upload.account, bytes, to_bound(max_bytes), Limit::StoredBytes)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO uploads (id, account, filename, bytes, digest, purpose, created_at, expires_at) \
             VALUES (:id, :account, :filename, :bytes, :digest, :purpose, :created_at, :expires_at)",
        )?
        .insert(named_params! {
            ":id": upload.id.as_bytes(),
            ":account": upload.account.as_bytes(),
            ":filename": upload.filename,
            ":bytes": bytes,
            ":digest": upload.digest.as_bytes(),
            ":purpose": upload.purpose,
            ":created_at": upload.created_at.unix_micros(),
            ":expires_at": upload.expires_at.map(Timestamp::unix_micros),
        });
    match inserted {
        Ok(sequence) => to_sequence("sequence", sequence),
        Err(error) if violates_unique(&error, "uploads.id") => {
            Err(CoreError::AlreadyExists { kind: Kind::Upload, id: upload.id.to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// An upload of this account.
pub(crate) fn find(
    connection: &Connection,
    account: AccountId,
    id: UploadId,
) -> Result<Option<Upload>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM uploads WHERE id = :id AND account = :account"))?;
    let params = named_params! { ":id": id.as_bytes(), ":account": account.as_bytes() };
    let mut rows = statement.query_and_then(params, from_row)?;
    rows.next().transpose()
}

/// One more than `page.limit` uploads behind the cursor, if there are that many.
pub(crate) fn list(
    connection: &Connection,
    account: AccountId,
    purpose: Option<&str>,
    page: PageRequest<u64>,
) -> Result<Vec<Upload>, Error> {
    let (beyond, direction, start) = match page.order {
        Order::Ascending => (">", "ASC", 0),
        Order::Descending => ("<", "DESC", i64::MAX),
    };
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM uploads \
             WHERE account = :account AND sequence {beyond} :after AND (:purpose IS NULL OR purpose = :purpose) \
             ORDER BY sequence {direction} LIMIT :limit"
        ))?
        .query_and_then(
            named_params! {
                ":account": account.as_bytes(),
                ":after": page.after.map_or(start, to_bound),
                ":purpose": purpose,
                ":limit": limit,
            },
            from_row,
        )?
        .collect()
}

/// Removes an upload, gives its bytes back to the quota and buries its place; returns what was removed.
pub(crate) fn delete(
    connection: &Connection,
    account: AccountId,
    id: UploadId,
) -> Result<Option<Upload>, Error> {
    let Some(upload) = find(connection, account, id)? else { return Ok(None) };
    let deleted = connection
        .prepare_cached("DELETE FROM uploads WHERE id = :id AND account = :account")?
        .execute(named_params! { ":id": id.as_bytes(), ":account": account.as_bytes() })?;
    if deleted == 0 {
        return Ok(None);
    }
    accounts::free_stored_bytes(connection, account, to_integer("bytes", upload.bytes)?)?;
    let sequence = to_integer("sequence", upload.sequence)?;
    tombstones::bury(connection, grave(&account, &id), sequence)?;
    Ok(Some(upload))
}

/// The place of a deleted upload of this account.
pub(crate) fn find_deleted(
    connection: &Connection,
    account: AccountId,
    id: UploadId,
) -> Result<Option<u64>, Error> {
    tombstones::find(connection, grave(&account, &id))
}

/// Uploads of any account whose time ended before `now`, in the order of their ends: a reconciler asks every second, and
/// any other order would make SQLite read all uploads instead of the index of those that end.
pub(crate) fn list_expired(connection: &Connection, now: Timestamp) -> Result<Vec<Upload>, Error> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM uploads WHERE expires_at < :now ORDER BY expires_at, sequence"
        ))?
        .query_and_then(named_params! { ":now": now.unix_micros() }, from_row)?
        .collect()
}

/// Whether any upload has this content.
pub(crate) fn is_blob_used(connection: &Connection, digest: &Digest) -> Result<bool, Error> {
    let found = connection
        .prepare_cached("SELECT 1 FROM uploads WHERE digest = :digest LIMIT 1")?
        .query_row(named_params! { ":digest": digest.as_bytes() }, |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

fn grave<'a>(account: &'a AccountId, id: &'a UploadId) -> Grave<'a> {
    Grave { owner: account.as_bytes(), kind: "upload", id: id.as_bytes() }
}

fn from_row(row: &Row<'_>) -> Result<Upload, Error> {
    let record = Record { table: "uploads", key: "id", row };
    Ok(Upload {
        id: record.id("id", UploadId::from_bytes)?,
        account: record.id("account", AccountId::from_bytes)?,
        filename: record.get("filename")?,
        bytes: record.unsigned("bytes")?,
        digest: record.digest("digest")?,
        purpose: record.get("purpose")?,
        created_at: record.time("created_at")?,
        expires_at: record.optional_time("expires_at")?,
        sequence: record.unsigned("sequence")?,
    })
}
