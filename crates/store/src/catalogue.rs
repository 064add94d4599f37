//! The catalogues of sandboxes: which path has which id.

use lazaret_core::{CatalogueEntry, CatalogueEntryId, Error as CoreError, FilePath, Kind, SandboxId, Source};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::{Record, to_integer, to_sequence};
use crate::row_types::UnknownWord;
use crate::tombstones::{self, Grave};

/// Adds an entry, or replaces the one with its id; returns its place. Only an entry whose sequence is 0 is added.
///
/// An entry that was deleted meanwhile stays deleted: replacing it then changes nothing, as if the replacement had come
/// before the deletion.
///
/// # Errors
/// [`CoreError::NotFound`] if the sandbox is gone, [`CoreError::AlreadyExists`] if its path has another entry.
pub(crate) fn put(connection: &Connection, entry: &CatalogueEntry) -> Result<u64, Error> {
    let written = if entry.sequence == 0 { insert(connection, entry) } else { replace(connection, entry) };
    match written {
        Err(Error::Sqlite(error)) if violates_foreign_key(&error) => {
            Err(CoreError::not_found(Kind::Sandbox, entry.sandbox).into())
        }
        Err(Error::Sqlite(error)) if violates_unique(&error, "catalogue.sandbox, catalogue.path") => {
            Err(CoreError::AlreadyExists { kind: Kind::CatalogueEntry, id: entry.path.to_text() }.into())
        }
        written => written,
    }
}

fn insert(connection: &Connection, entry: &CatalogueEntry) -> Result<u64, Error> {
    let sequence: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO catalogue (id, sandbox, path, bytes, source, created_at) \
             VALUES (:id, :sandbox, :path, :bytes, :source, :created_at) \
             ON CONFLICT (id) DO UPDATE SET path = excluded.path, bytes = excluded.bytes, \
             source = excluded.source, created_at = excluded.created_at WHERE sandbox = excluded.sandbox \
             RETURNING sequence",
        )?
        .query_row(
            named_params! {
                ":id": entry.id.as_bytes(),
                ":sandbox": entry.sandbox.as_bytes(),
                ":path": entry.path.as_bytes(),
                ":bytes": to_integer("bytes", entry.bytes)?,
                ":source": source_name(entry.source),
                ":created_at": entry.created_at.unix_micros(),
            },
            |row| row.get("sequence"),
        )
        .optional()?;
    match sequence {
        Some(sequence) => to_sequence("sequence", sequence),
        // The id is another sandbox's.
        None => Err(CoreError::AlreadyExists { kind: Kind::CatalogueEntry, id: entry.id.to_string() }.into()),
    }
}

fn replace(connection: &Connection, entry: &CatalogueEntry) -> Result<u64, Error> {
    connection
        .prepare_cached(
            "UPDATE catalogue SET path = :path, bytes = :bytes, source = :source, created_at = :created_at \
             WHERE id = :id AND sandbox = :sandbox",
        )?
        .execute(named_params! {
            ":id": entry.id.as_bytes(),
            ":sandbox": entry.sandbox.as_bytes(),
            ":path": entry.path.as_bytes(),
            ":bytes": to_integer("bytes", entry.bytes)?,
            ":source": source_name(entry.source),
            ":created_at": entry.created_at.unix_micros(),
        })?;
    Ok(entry.sequence)
}

/// The catalogue of a sandbox, in creation order.
pub(crate) fn list(connection: &Connection, sandbox: SandboxId) -> Result<Vec<CatalogueEntry>, Error> {
    connection
        .prepare_cached(
            "SELECT sequence, id, sandbox, path, bytes, source, created_at FROM catalogue \
             WHERE sandbox = :sandbox ORDER BY sequence",
        )?
        .query_and_then(named_params! { ":sandbox": sandbox.as_bytes() }, from_row)?
        .collect()
}

/// Removes an entry and buries its place; `false` if there was none.
pub(crate) fn delete(
    connection: &Connection,
    sandbox: SandboxId,
    id: CatalogueEntryId,
) -> Result<bool, Error> {
    let sequence: Option<i64> = connection
        .prepare_cached("DELETE FROM catalogue WHERE id = :id AND sandbox = :sandbox RETURNING sequence")?
        .query_row(named_params! { ":id": id.as_bytes(), ":sandbox": sandbox.as_bytes() }, |row| {
            row.get("sequence")
        })
        .optional()?;
    let Some(sequence) = sequence else { return Ok(false) };
    tombstones::bury(connection, grave(&sandbox, &id), sequence)?;
    Ok(true)
}

/// The place of a deleted entry of this sandbox.
pub(crate) fn find_deleted(
    connection: &Connection,
    sandbox: SandboxId,
    id: CatalogueEntryId,
) -> Result<Option<u64>, Error> {
    tombstones::find(connection, grave(&sandbox, &id))
}

fn grave<'a>(sandbox: &'a SandboxId, id: &'a CatalogueEntryId) -> Grave<'a> {
    Grave { owner: sandbox.as_bytes(), kind: "catalogue", id: id.as_bytes() }
}

const fn source_name(source: Source) -> &'static str {
    match source {
        Source::User => "user",
        Source::Assistant => "assistant",
    }
}

fn from_row(row: &Row<'_>) -> Result<CatalogueEntry, Error> {
    let record = Record { table: "catalogue", key: "id", row };
    let path: Vec<u8> = record.get("path")?;
    let source = match record.get::<String>("source")?.as_str() {
        "user" => Source::User,
        "assistant" => Source::Assistant,
        other => return Err(record.corrupt("source", UnknownWord(other.to_owned()))),
    };
    Ok(CatalogueEntry {
        id: record.id("id", CatalogueEntryId::from_bytes)?,
        sandbox: record.id("sandbox", SandboxId::from_bytes)?,
        path: FilePath::new(path).map_err(|error| record.corrupt("path", error))?,
        bytes: record.unsigned("bytes")?,
        source,
        created_at: record.time("created_at")?,
        sequence: record.unsigned("sequence")?,
    })
}
