//! The places of deleted things, for cursors that name them.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::Error;
use crate::row::to_sequence;

/// Tombstones kept of one owner and kind.
///
/// A cursor needs one only between two pages of a listing; this many deletions in between are the largest page there
/// is (of uploads), deleted item by item.
const TOMBSTONES_MAX: i64 = 10_000;

/// Who lies where.
#[derive(Clone, Copy)]
pub(crate) struct Grave<'a> {
    /// The account of a sandbox, upload or volume, the sandbox of a catalogue entry.
    pub(crate) owner: &'a [u8; 16],
    /// What it was: `sandbox`, `catalogue`, `upload` or `volume`.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: &'a [u8; 16],
}

/// Keeps the place of a deleted thing, and drops the oldest beyond [`TOMBSTONES_MAX`] of its owner.
pub(crate) fn bury(connection: &Connection, grave: Grave<'_>, sequence: i64) -> Result<(), Error> {
    let Grave { owner, kind, id } = grave;
    let ordinal: i64 = connection
        .prepare_cached(
            "INSERT INTO tombstones (owner, kind, ordinal, id, sequence) VALUES (:owner, :kind, \
             1 + COALESCE((SELECT MAX(ordinal) FROM tombstones WHERE owner = :owner AND kind = :kind), 0), \
             :id, :sequence) RETURNING ordinal",
        )?
        .query_row(
            named_params! { ":owner": owner, ":kind": kind, ":id": id, ":sequence": sequence },
            |row| row.get("ordinal"),
        )?;
    connection
        .prepare_cached("DELETE FROM tombstones WHERE owner = :owner AND kind = :kind AND ordinal <= :last")?
        .execute(named_params! { ":owner": owner, ":kind": kind, ":last": ordinal - TOMBSTONES_MAX })?;
    Ok(())
}

/// The place of a deleted thing.
pub(crate) fn find(connection: &Connection, grave: Grave<'_>) -> Result<Option<u64>, Error> {
    let Grave { owner, kind, id } = grave;
    let sequence: Option<i64> = connection
        .prepare_cached("SELECT sequence FROM tombstones WHERE owner = :owner AND kind = :kind AND id = :id")?
        .query_row(named_params! { ":owner": owner, ":kind": kind, ":id": id }, |row| row.get("sequence"))
        .optional()?;
    sequence.map(|sequence| to_sequence("sequence", sequence)).transpose()
}

/// Drops every tombstone of an owner that is gone itself.
pub(crate) fn forget(connection: &Connection, owner: &[u8; 16]) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM tombstones WHERE owner = :owner")?
        .execute(named_params! { ":owner": owner })?;
    Ok(())
}
