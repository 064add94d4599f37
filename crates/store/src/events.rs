//! The event log: appended at one end, trimmed at the other.

use lazaret_core::{AccountId, Event, EventKind, SandboxId, limits};
use rusqlite::{Connection, Row, named_params};

use crate::Error;
use crate::row::{Record, to_bound, to_json, to_sequence};
use crate::row_types::EventKindRow;

/// Adds an event, drops the oldest beyond [`limits::EVENTS_MAX`], and returns its place.
pub(crate) fn append(connection: &Connection, event: &Event) -> Result<u64, Error> {
    let sequence = connection
        .prepare_cached(
            "INSERT INTO events (at, account, sandbox, kind) VALUES (:at, :account, :sandbox, :kind)",
        )?
        .insert(named_params! {
            ":at": event.at.unix_micros(),
            ":account": event.account.as_bytes(),
            ":sandbox": event.sandbox.as_ref().map(SandboxId::as_bytes),
            ":kind": to_json("kind", &EventKindRow::from(event.kind.clone()))?,
        })?;
    // Places are given without gaps, so the place tells how many events there are.
    connection
        .prepare_cached("DELETE FROM events WHERE sequence <= :last")?
        .execute(named_params! { ":last": sequence - to_bound(limits::EVENTS_MAX) })?;
    to_sequence("sequence", sequence)
}

/// Events of an account behind `after`, oldest first, at most `limit`.
pub(crate) fn list(
    connection: &Connection,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    connection
        .prepare_cached(
            "SELECT sequence, at, account, sandbox, kind FROM events \
             WHERE account = :account AND sequence > :after ORDER BY sequence LIMIT :limit",
        )?
        .query_and_then(
            named_params! {
                ":account": account.as_bytes(),
                ":after": to_bound(after),
                ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
            },
            from_row,
        )?
        .collect()
}

fn from_row(row: &Row<'_>) -> Result<Event, Error> {
    let record = Record { table: "events", key: "sequence", row };
    let sandbox: Option<[u8; 16]> = record.get("sandbox")?;
    Ok(Event {
        sequence: record.unsigned("sequence")?,
        at: record.time("at")?,
        account: record.id("account", AccountId::from_bytes)?,
        sandbox: sandbox.map(SandboxId::from_bytes),
        kind: record.json::<EventKindRow, EventKind>("kind")?,
    })
}
