//! Sandboxes. Creating and updating one is on the path of every creation, so each is one prepared statement.

use std::collections::BTreeMap;

use lazaret_core::{
    AccountId, EgressPolicy, Error as CoreError, Kind, LeasePolicy, Reason, Sandbox, SandboxId, SandboxRole,
    Timestamp, VolumeMount,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::domain_secrets;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::{Record, to_json, to_sequence};
use crate::row_types::{LeaseRow, NetworkRow, ReasonRow, ResourcesRow, SandboxRoleRow};
use crate::tombstones::{self, Grave};
use crate::volumes::{MountRow, Mounts};

const COLUMNS: &str = "sequence, id, account, name, image, image_digest, resources, env, cwd, user, network, template, \
                       start_command, role, volumes, labels, public, lease, state, reason, created_at, last_active_at, \
                       state_since";

/// Adds a sandbox and returns its place.
///
/// # Errors
/// [`CoreError::NotFound`] if its account is gone, [`CoreError::AlreadyExists`] if its id is there.
pub(crate) fn create(connection: &Connection, sandbox: &Sandbox) -> Result<u64, Error> {
    let Encoded { resources, env, network, start_command, role, volumes, labels, lease, reason } =
        Encoded::new(sandbox)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO sandboxes (id, account, name, image, image_digest, resources, env, cwd, user, network, \
             template, start_command, role, volumes, labels, public, lease, state, reason, created_at, last_active_at, \
             state_since) \
             VALUES (:id, :account, :name, :image, :image_digest, :resources, :env, :cwd, :user, :network, \
             :template, :start_command, :role, :volumes, :labels, :public, :lease, :state, :reason, :created_at, \
             :last_active_at, \
             :state_since)",
        )?
        .insert(named_params! {
            ":id": sandbox.id.as_bytes(),
            ":account": sandbox.account.as_bytes(),
            ":name": sandbox.name,
            ":image": sandbox.image,
            ":image_digest": sandbox.image_digest.as_bytes(),
            ":resources": resources,
            ":env": env,
            ":cwd": sandbox.cwd,
            ":user": sandbox.user,
            ":network": network,
            ":template": sandbox.template,
            ":start_command": start_command,
            ":role": role,
            ":volumes": volumes,
            ":labels": labels,
            ":public": sandbox.public,
            ":lease": lease,
            ":state": sandbox.state.name(),
            ":reason": reason,
            ":created_at": sandbox.created_at.unix_micros(),
            ":last_active_at": sandbox.last_active_at.unix_micros(),
            ":state_since": sandbox.state_since.unix_micros(),
        });
    match inserted {
        Ok(sequence) => to_sequence("sequence", sequence),
        Err(error) if violates_foreign_key(&error) => {
            Err(CoreError::not_found(Kind::Account, sandbox.account).into())
        }
        Err(error) if violates_unique(&error, "sandboxes.id") => {
            Err(CoreError::AlreadyExists { kind: Kind::Sandbox, id: sandbox.id.to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Replaces everything but the identity of a sandbox: its id, account, creation time and place never change, which
/// spares the indexes.
///
/// # Errors
/// [`CoreError::NotFound`] if the account has no such sandbox.
pub(crate) fn update(connection: &Connection, sandbox: &Sandbox) -> Result<(), Error> {
    let Encoded { resources, env, network, start_command, role, volumes, labels, lease, reason } =
        Encoded::new(sandbox)?;
    let updated = connection
        .prepare_cached(
            "UPDATE sandboxes SET name = :name, image = :image, image_digest = :image_digest, \
             resources = :resources, env = :env, cwd = :cwd, user = :user, network = :network, \
             template = :template, start_command = :start_command, role = :role, volumes = :volumes, labels = :labels, \
             public = :public, lease = :lease, state = :state, reason = :reason, last_active_at = :last_active_at, \
             state_since = :state_since \
             WHERE id = :id AND account = :account",
        )?
        .execute(named_params! {
            ":id": sandbox.id.as_bytes(),
            ":account": sandbox.account.as_bytes(),
            ":name": sandbox.name,
            ":image": sandbox.image,
            ":image_digest": sandbox.image_digest.as_bytes(),
            ":resources": resources,
            ":env": env,
            ":cwd": sandbox.cwd,
            ":user": sandbox.user,
            ":network": network,
            ":template": sandbox.template,
            ":start_command": start_command,
            ":role": role,
            ":volumes": volumes,
            ":labels": labels,
            ":public": sandbox.public,
            ":lease": lease,
            ":state": sandbox.state.name(),
            ":reason": reason,
            ":last_active_at": sandbox.last_active_at.unix_micros(),
            ":state_since": sandbox.state_since.unix_micros(),
        })?;
    if updated == 0 {
        return Err(CoreError::not_found(Kind::Sandbox, sandbox.id).into());
    }
    Ok(())
}

/// Sets `last_active_at` alone. Nothing happens if the sandbox is gone.
pub(crate) fn touch(connection: &Connection, id: SandboxId, last_active_at: Timestamp) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE sandboxes SET last_active_at = :last_active_at WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes(), ":last_active_at": last_active_at.unix_micros() })?;
    Ok(())
}

/// Every sandbox, in creation order.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Sandbox>, Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM sandboxes ORDER BY sequence"))?
        .query_and_then([], from_row)?
        .collect()
}

/// Removes a sandbox with its catalogue and its secrets, which may be there before it, and buries its place; `false` if
/// there was none.
pub(crate) fn delete(connection: &Connection, id: SandboxId) -> Result<bool, Error> {
    domain_secrets::delete(connection, id)?;
    let deleted = connection
        .prepare_cached("DELETE FROM sandboxes WHERE id = :id RETURNING account, sequence")?
        .query_row(named_params! { ":id": id.as_bytes() }, |row| {
            Ok((row.get::<_, [u8; 16]>("account")?, row.get::<_, i64>("sequence")?))
        })
        .optional()?;
    let Some((account, sequence)) = deleted else { return Ok(false) };
    // The catalogue's rows went with the sandbox; what was buried from it has no reader any more.
    tombstones::forget(connection, id.as_bytes())?;
    tombstones::bury(connection, Grave { owner: &account, kind: "sandbox", id: id.as_bytes() }, sequence)?;
    Ok(true)
}

/// The place of a deleted sandbox of this account.
pub(crate) fn find_deleted(
    connection: &Connection,
    account: AccountId,
    id: SandboxId,
) -> Result<Option<u64>, Error> {
    tombstones::find(connection, Grave { owner: account.as_bytes(), kind: "sandbox", id: id.as_bytes() })
}

/// The structured parts of a sandbox, as their columns hold them.
struct Encoded {
    resources: String,
    env: String,
    network: Option<String>,
    start_command: String,
    role: Option<String>,
    volumes: String,
    labels: String,
    lease: String,
    reason: Option<String>,
}

impl Encoded {
    fn new(sandbox: &Sandbox) -> Result<Self, Error> {
        let lease = LeaseRow::try_from(sandbox.lease)
            .map_err(|error| Error::Unstorable { column: "lease", source: Box::new(error) })?;
        let network = sandbox.network.clone().map(NetworkRow::from);
        let reason = sandbox.reason.clone().map(ReasonRow::from);
        let role = sandbox.role.clone().map(SandboxRoleRow::from);
        let volumes: Vec<MountRow> = sandbox.volumes.iter().map(MountRow::from).collect();
        Ok(Self {
            resources: to_json("resources", &ResourcesRow::from(sandbox.resources))?,
            env: to_json("env", &sandbox.env)?,
            network: network.map(|row| to_json("network", &row)).transpose()?,
            start_command: to_json("start_command", &sandbox.start_command)?,
            role: role.map(|row| to_json("role", &row)).transpose()?,
            volumes: to_json("volumes", &volumes)?,
            labels: to_json("labels", &sandbox.labels)?,
            lease: to_json("lease", &lease)?,
            reason: reason.map(|row| to_json("reason", &row)).transpose()?,
        })
    }
}

fn from_row(row: &Row<'_>) -> Result<Sandbox, Error> {
    let record = Record { table: "sandboxes", key: "id", row };
    let state: String = record.get("state")?;
    Ok(Sandbox {
        id: record.id("id", SandboxId::from_bytes)?,
        account: record.id("account", AccountId::from_bytes)?,
        name: record.get("name")?,
        image: record.get("image")?,
        image_digest: record.digest("image_digest")?,
        resources: record.json::<ResourcesRow, _>("resources")?,
        env: record.json::<BTreeMap<_, _>, _>("env")?,
        cwd: record.get("cwd")?,
        user: record.get("user")?,
        network: record.optional_json::<NetworkRow, EgressPolicy>("network")?,
        template: record.get("template")?,
        start_command: record.json::<Vec<String>, _>("start_command")?,
        role: record.optional_json::<SandboxRoleRow, SandboxRole>("role")?,
        volumes: record.json::<Mounts, Vec<VolumeMount>>("volumes")?,
        labels: record.json::<BTreeMap<_, _>, _>("labels")?,
        public: record.get("public")?,
        lease: record.json::<LeaseRow, LeasePolicy>("lease")?,
        state: state.parse().map_err(|error| record.corrupt("state", error))?,
        reason: record.optional_json::<ReasonRow, Reason>("reason")?,
        created_at: record.time("created_at")?,
        last_active_at: record.time("last_active_at")?,
        state_since: record.time("state_since")?,
        sequence: record.unsigned("sequence")?,
    })
}
