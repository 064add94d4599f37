//! Accounts.

use lazaret_core::{Account, AccountId, Error as CoreError, Kind};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::Record;

const COLUMNS: &str = "id, name, tier, created_at";

/// Adds an account.
pub(crate) fn create(connection: &Connection, account: &Account) -> Result<(), Error> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO accounts (id, name, tier, created_at) VALUES (:id, :name, :tier, :created_at)",
        )?
        .execute(named_params! {
            ":id": account.id.as_bytes(),
            ":name": account.name,
            ":tier": account.tier,
            ":created_at": account.created_at.unix_micros(),
        });
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if violates_unique(&error, "accounts.name") => {
            Err(CoreError::AlreadyExists { kind: Kind::Account, id: account.name.clone() }.into())
        }
        Err(error) if violates_unique(&error, "accounts.id") => {
            Err(CoreError::AlreadyExists { kind: Kind::Account, id: account.id.to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The account with this id.
pub(crate) fn find(connection: &Connection, id: AccountId) -> Result<Option<Account>, Error> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = :id"))?;
    let mut rows = statement.query_and_then(named_params! { ":id": id.as_bytes() }, from_row)?;
    rows.next().transpose()
}

/// Every account, in creation order.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Account>, Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts ORDER BY sequence"))?
        .query_and_then([], from_row)?
        .collect()
}

/// Removes an account, and with it its keys and tombstones; `false` if there was none.
///
/// # Errors
/// [`CoreError::InUse`] if it still owns a sandbox, a template, a volume or an upload.
pub(crate) fn delete(connection: &Connection, id: AccountId) -> Result<bool, Error> {
    let deleted = connection
        .prepare_cached("DELETE FROM accounts WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes() });
    let deleted = match deleted {
        Ok(deleted) => deleted,
        Err(error) if violates_foreign_key(&error) => {
            let by = "its sandboxes, templates, volumes or files".to_owned();
            return Err(CoreError::InUse { kind: Kind::Account, id: id.to_string(), by }.into());
        }
        Err(error) => return Err(error.into()),
    };
    crate::tombstones::forget(connection, id.as_bytes())?;
    Ok(deleted != 0)
}

/// Adds `bytes` to what the account stores if it then stores at most `max_bytes`: check and spending are one statement.
///
/// # Errors
/// `over` if it would store more; [`CoreError::NotFound`] if there is no such account.
pub(crate) fn spend_stored_bytes(
    connection: &Connection,
    id: AccountId,
    bytes: i64,
    max_bytes: i64,
    over: lazaret_core::Limit,
) -> Result<(), Error> {
    let spent = connection
        .prepare_cached(
            "UPDATE accounts SET stored_bytes = stored_bytes + :bytes \
             WHERE id = :id AND stored_bytes + :bytes <= :max_bytes",
        )?
        .execute(named_params! { ":id": id.as_bytes(), ":bytes": bytes, ":max_bytes": max_bytes })?;
    if spent == 1 {
        return Ok(());
    }
    let exists = connection
        .prepare_cached("SELECT 1 FROM accounts WHERE id = :id")?
        .query_row(named_params! { ":id": id.as_bytes() }, |_| Ok(()))
        .optional()?
        .is_some();
    Err(if exists { CoreError::LimitReached(over) } else { CoreError::not_found(Kind::Account, id) }.into())
}

/// Takes `bytes` off what the account stores.
pub(crate) fn free_stored_bytes(connection: &Connection, id: AccountId, bytes: i64) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE accounts SET stored_bytes = stored_bytes - :bytes WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes(), ":bytes": bytes })?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<Account, Error> {
    let record = Record { table: "accounts", key: "id", row };
    Ok(Account {
        id: record.id("id", AccountId::from_bytes)?,
        name: record.get("name")?,
        tier: record.get("tier")?,
        created_at: record.time("created_at")?,
    })
}
