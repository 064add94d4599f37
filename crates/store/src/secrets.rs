//! Secrets of sandboxes, and previews that were withdrawn.

use lazaret_core::{Error as CoreError, Kind, Limit, SandboxId, SandboxSecret, Timestamp, Withdrawal};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::error::violates_foreign_key;
use crate::row::to_sequence;

/// The secret of a sandbox.
pub(crate) fn find(connection: &Connection, id: SandboxId) -> Result<Option<SandboxSecret>, Error> {
    connection
        .prepare_cached("SELECT secret, starts, rotations FROM sandbox_secrets WHERE sandbox = :sandbox")?
        .query_row(named_params! { ":sandbox": id.as_bytes() }, columns)
        .optional()?
        .map(from_columns)
        .transpose()
}

/// The secret of a sandbox, made of `fresh` if it has none.
///
/// # Errors
/// [`CoreError::NotFound`] if there is no such sandbox.
pub(crate) fn ensure(
    connection: &Connection,
    id: SandboxId,
    fresh: &[u8; 32],
) -> Result<SandboxSecret, Error> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO sandbox_secrets (sandbox, secret) VALUES (:sandbox, :secret) ON CONFLICT DO NOTHING",
        )?
        .execute(named_params! { ":sandbox": id.as_bytes(), ":secret": fresh });
    match inserted {
        Ok(_) => find(connection, id)?.ok_or_else(|| CoreError::not_found(Kind::Sandbox, id).into()),
        Err(error) if violates_foreign_key(&error) => Err(CoreError::not_found(Kind::Sandbox, id).into()),
        Err(error) => Err(error.into()),
    }
}

/// Counts a start. Nothing happens if there is no secret.
pub(crate) fn count_start(connection: &Connection, id: SandboxId) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE sandbox_secrets SET starts = starts + 1 WHERE sandbox = :sandbox")?
        .execute(named_params! { ":sandbox": id.as_bytes() })?;
    Ok(())
}

/// Counts a rotation of the key for files.
///
/// # Errors
/// [`CoreError::NotFound`] if there is no secret.
pub(crate) fn rotate(connection: &Connection, id: SandboxId) -> Result<SandboxSecret, Error> {
    let rotated = connection
        .prepare_cached(
            "UPDATE sandbox_secrets SET rotations = rotations + 1 WHERE sandbox = :sandbox \
             RETURNING secret, starts, rotations",
        )?
        .query_row(named_params! { ":sandbox": id.as_bytes() }, columns)
        .optional()?;
    from_columns(rotated.ok_or_else(|| CoreError::not_found(Kind::Sandbox, id))?)
}

/// Remembers a withdrawal until its preview's end, and forgets those that are past theirs.
///
/// # Errors
/// [`CoreError::LimitReached`], [`CoreError::NotFound`] if there is no such sandbox.
pub(crate) fn withdraw(
    connection: &Connection,
    id: SandboxId,
    withdrawal: Withdrawal,
    now: Timestamp,
    max: usize,
) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM withdrawn_previews WHERE sandbox = :sandbox AND ends_at <= :now")?
        .execute(named_params! { ":sandbox": id.as_bytes(), ":now": now.unix_micros() })?;
    let kept: i64 = connection
        .prepare_cached("SELECT count(*) FROM withdrawn_previews WHERE sandbox = :sandbox AND mark <> :mark")?
        .query_row(named_params! { ":sandbox": id.as_bytes(), ":mark": withdrawal.mark }, |row| row.get(0))?;
    if usize::try_from(kept).unwrap_or(usize::MAX) >= max {
        return Err(CoreError::LimitReached(Limit::Withdrawals).into());
    }
    let inserted = connection
        .prepare_cached(
            "INSERT INTO withdrawn_previews (sandbox, mark, ends_at) VALUES (:sandbox, :mark, :ends_at) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(named_params! {
            ":sandbox": id.as_bytes(),
            ":mark": withdrawal.mark,
            ":ends_at": withdrawal.ends_at.unix_micros(),
        });
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if violates_foreign_key(&error) => Err(CoreError::not_found(Kind::Sandbox, id).into()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a preview with this mark was withdrawn.
pub(crate) fn is_withdrawn(connection: &Connection, id: SandboxId, mark: &[u8; 15]) -> Result<bool, Error> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM withdrawn_previews WHERE sandbox = :sandbox AND mark = :mark")?
        .exists(named_params! { ":sandbox": id.as_bytes(), ":mark": mark })?)
}

type Columns = ([u8; 32], i64, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get("secret")?, row.get("starts")?, row.get("rotations")?))
}

fn from_columns((secret, starts, rotations): Columns) -> Result<SandboxSecret, Error> {
    let count = |column, value| to_sequence(column, value);
    Ok(SandboxSecret { secret, starts: count("starts", starts)?, rotations: count("rotations", rotations)? })
}
