//! Volumes, and the quotas of their accounts. Their names are unique within an account, by an index.

use lazaret_core::{
    AccountId, Error as CoreError, Kind, Limit, MountPath, Order, PageRequest, Subpath, Timestamp, Volume,
    VolumeId, VolumeMount, VolumeState,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::{Record, to_bound, to_integer, to_sequence};
use crate::row_types::UnknownWord;
use crate::tombstones::{self, Grave};

const COLUMNS: &str = "sequence, id, account, name, size_bytes, state, created_at, last_used_at";

/// [`VolumeMount`], in the row of its sandbox.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountRow {
    volume: String,
    path: String,
    subpath: Option<String>,
}

impl From<&VolumeMount> for MountRow {
    fn from(mount: &VolumeMount) -> Self {
        let VolumeMount { volume, path, subpath } = mount;
        Self {
            volume: volume.to_string(),
            path: path.as_str().to_owned(),
            subpath: subpath.as_ref().map(|subpath| subpath.as_str().to_owned()),
        }
    }
}

impl TryFrom<MountRow> for VolumeMount {
    type Error = UnknownWord;

    fn try_from(row: MountRow) -> Result<Self, UnknownWord> {
        let MountRow { volume, path, subpath } = row;
        let subpath = match subpath {
            Some(subpath) => Some(Subpath::new(&subpath).map_err(|_| UnknownWord(subpath))?),
            None => None,
        };
        Ok(Self {
            path: MountPath::new(&path).map_err(|_| UnknownWord(path))?,
            subpath,
            volume: volume.parse().map_err(|_| UnknownWord(volume))?,
        })
    }
}

/// All of one sandbox.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Mounts(Vec<MountRow>);

impl TryFrom<Mounts> for Vec<VolumeMount> {
    type Error = UnknownWord;

    fn try_from(Mounts(rows): Mounts) -> Result<Self, UnknownWord> {
        rows.into_iter().map(VolumeMount::try_from).collect()
    }
}

/// Adds a volume if its account then has at most `max` of at most `max_bytes` together, and returns its place: check and
/// spending are one statement.
///
/// # Errors
/// [`CoreError::LimitReached`] with [`Limit::Volumes`] or [`Limit::VolumeBytes`]; [`CoreError::AlreadyExists`] if the account
/// has one of that name; [`CoreError::NotFound`] if the account is gone.
pub(crate) fn create(
    connection: &Connection,
    volume: &Volume,
    max: usize,
    max_bytes: u64,
) -> Result<u64, Error> {
    let size_bytes = to_integer("size_bytes", volume.size_bytes)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO volumes (id, account, name, size_bytes, state, created_at, last_used_at) \
             SELECT :id, :account, :name, :size_bytes, :state, :created_at, :last_used_at \
             WHERE (SELECT count(*) < :max AND COALESCE(sum(size_bytes), 0) + :size_bytes <= :max_bytes \
                    FROM volumes WHERE account = :account) \
             RETURNING sequence",
        )?
        .query_row(
            named_params! {
                ":id": volume.id.as_bytes(),
                ":account": volume.account.as_bytes(),
                ":name": volume.name,
                ":size_bytes": size_bytes,
                ":state": volume.state.name(),
                ":created_at": volume.created_at.unix_micros(),
                ":last_used_at": volume.last_used_at.map(Timestamp::unix_micros),
                ":max": max,
                ":max_bytes": to_bound(max_bytes),
            },
            |row| row.get::<_, i64>("sequence"),
        )
        .optional();
    match inserted {
        Ok(Some(sequence)) => to_sequence("sequence", sequence),
        Ok(None) => {
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM volumes WHERE account = :account")?
                .query_row(named_params! { ":account": volume.account.as_bytes() }, |row| row.get(0))?;
            let over = if count >= max { Limit::Volumes } else { Limit::VolumeBytes };
            Err(CoreError::LimitReached(over).into())
        }
        Err(error) if violates_foreign_key(&error) => {
            Err(CoreError::not_found(Kind::Account, volume.account).into())
        }
        Err(error) if violates_unique(&error, "volumes.account, volumes.name") => {
            Err(CoreError::AlreadyExists { kind: Kind::Volume, id: volume.name.clone() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// A volume of this account.
pub(crate) fn find(
    connection: &Connection,
    account: AccountId,
    id: VolumeId,
) -> Result<Option<Volume>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM volumes WHERE id = :id AND account = :account"))?;
    let params = named_params! { ":id": id.as_bytes(), ":account": account.as_bytes() };
    let mut rows = statement.query_and_then(params, from_row)?;
    rows.next().transpose()
}

/// The volume of this account with this name.
pub(crate) fn find_by_name(
    connection: &Connection,
    account: AccountId,
    name: &str,
) -> Result<Option<Volume>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM volumes WHERE account = :account AND name = :name"
    ))?;
    let params = named_params! { ":account": account.as_bytes(), ":name": name };
    let mut rows = statement.query_and_then(params, from_row)?;
    rows.next().transpose()
}

/// One more than `page.limit` volumes behind the cursor, if there are that many.
pub(crate) fn list(
    connection: &Connection,
    account: AccountId,
    page: PageRequest<u64>,
) -> Result<Vec<Volume>, Error> {
    let (beyond, direction, start) = match page.order {
        Order::Ascending => (">", "ASC", 0),
        Order::Descending => ("<", "DESC", i64::MAX),
    };
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM volumes WHERE account = :account AND sequence {beyond} :after \
             ORDER BY sequence {direction} LIMIT :limit"
        ))?
        .query_and_then(
            named_params! {
                ":account": account.as_bytes(),
                ":after": page.after.map_or(start, to_bound),
                ":limit": limit,
            },
            from_row,
        )?
        .collect()
}

/// Every volume, in creation order.
pub(crate) fn list_all(connection: &Connection) -> Result<Vec<Volume>, Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM volumes ORDER BY sequence"))?
        .query_and_then([], from_row)?
        .collect()
}

/// Sets the state of a volume; `false` if there is none.
pub(crate) fn set_state(connection: &Connection, id: VolumeId, state: VolumeState) -> Result<bool, Error> {
    let updated = connection
        .prepare_cached("UPDATE volumes SET state = :state WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes(), ":state": state.name() })?;
    Ok(updated != 0)
}

/// Sets `last_used_at` alone. Nothing happens if the volume is gone.
pub(crate) fn touch(connection: &Connection, id: VolumeId, last_used_at: Timestamp) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE volumes SET last_used_at = :last_used_at WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes(), ":last_used_at": last_used_at.unix_micros() })?;
    Ok(())
}

/// Removes a volume and buries its place; `false` if there was none.
pub(crate) fn delete(connection: &Connection, id: VolumeId) -> Result<bool, Error> {
    let deleted = connection
        .prepare_cached("DELETE FROM volumes WHERE id = :id RETURNING account, sequence")?
        .query_row(named_params! { ":id": id.as_bytes() }, |row| {
            Ok((row.get::<_, [u8; 16]>("account")?, row.get::<_, i64>("sequence")?))
        })
        .optional()?;
    let Some((account, sequence)) = deleted else { return Ok(false) };
    tombstones::bury(connection, grave(&account, &id), sequence)?;
    Ok(true)
}

/// The place of a deleted volume of this account.
pub(crate) fn find_deleted(
    connection: &Connection,
    account: AccountId,
    id: VolumeId,
) -> Result<Option<u64>, Error> {
    tombstones::find(connection, grave(account.as_bytes(), &id))
}

fn grave<'a>(account: &'a [u8; 16], id: &'a VolumeId) -> Grave<'a> {
    Grave { owner: account, kind: "volume", id: id.as_bytes() }
}

fn from_row(row: &Row<'_>) -> Result<Volume, Error> {
    let record = Record { table: "volumes", key: "id", row };
    let state: String = record.get("state")?;
    Ok(Volume {
        id: record.id("id", VolumeId::from_bytes)?,
        account: record.id("account", AccountId::from_bytes)?,
        name: record.get("name")?,
        size_bytes: record.unsigned("size_bytes")?,
        state: state.parse().map_err(|error| record.corrupt("state", error))?,
        created_at: record.time("created_at")?,
        last_used_at: record.optional_time("last_used_at")?,
        sequence: record.unsigned("sequence")?,
    })
}
