//! API keys, by the hash of their secret.

use lazaret_core::{AccountId, Error as CoreError, Key, KeyHash, KeyId, Kind, Timestamp};
use rusqlite::{Connection, Row, named_params};

use crate::Error;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::{Record, to_json};
use crate::row_types::{Scopes, ScopesRow};

const COLUMNS: &str = "id, account, name, hint, hash, scopes, created_at, expires_at";

/// Adds a key.
///
/// # Errors
/// [`CoreError::NotFound`] if its account is gone, [`CoreError::AlreadyExists`] if its id or its secret is there.
pub(crate) fn create(connection: &Connection, key: &Key) -> Result<(), Error> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO keys (id, account, name, hint, hash, scopes, created_at, expires_at) \
             VALUES (:id, :account, :name, :hint, :hash, :scopes, :created_at, :expires_at)",
        )?
        .execute(named_params! {
            ":id": key.id.as_bytes(),
            ":account": key.account.as_bytes(),
            ":name": key.name,
            ":hint": key.hint,
            ":hash": key.hash.0,
            ":scopes": to_json("scopes", &ScopesRow::from(key.scopes.as_slice()))?,
            ":created_at": key.created_at.unix_micros(),
            ":expires_at": key.expires_at.map(Timestamp::unix_micros),
        });
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if violates_foreign_key(&error) => {
            Err(CoreError::not_found(Kind::Account, key.account).into())
        }
        Err(error) if violates_unique(&error, "keys.id") || violates_unique(&error, "keys.hash") => {
            Err(CoreError::AlreadyExists { kind: Kind::Key, id: key.id.to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The key whose secret has this hash.
///
/// The lookup takes a time that depends on the hash, not on the secret: who times it learns nothing of a 160-bit secret.
pub(crate) fn find_by_hash(connection: &Connection, hash: &KeyHash) -> Result<Option<Key>, Error> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE hash = :hash"))?;
    let mut rows = statement.query_and_then(named_params! { ":hash": hash.0 }, from_row)?;
    rows.next().transpose()
}

/// The keys of an account, in creation order.
pub(crate) fn list(connection: &Connection, account: AccountId) -> Result<Vec<Key>, Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE account = :account ORDER BY sequence"))?
        .query_and_then(named_params! { ":account": account.as_bytes() }, from_row)?
        .collect()
}

/// Removes a key of this account; `false` if there was none.
pub(crate) fn delete(connection: &Connection, account: AccountId, id: KeyId) -> Result<bool, Error> {
    let deleted = connection
        .prepare_cached("DELETE FROM keys WHERE id = :id AND account = :account")?
        .execute(named_params! { ":id": id.as_bytes(), ":account": account.as_bytes() })?;
    Ok(deleted != 0)
}

fn from_row(row: &Row<'_>) -> Result<Key, Error> {
    let record = Record { table: "keys", key: "id", row };
    Ok(Key {
        id: record.id("id", KeyId::from_bytes)?,
        account: record.id("account", AccountId::from_bytes)?,
        name: record.get("name")?,
        hint: record.get("hint")?,
        hash: KeyHash(record.get("hash")?),
        scopes: record.json::<ScopesRow, Scopes>("scopes")?.0,
        created_at: record.time("created_at")?,
        expires_at: record.optional_time("expires_at")?,
    })
}
