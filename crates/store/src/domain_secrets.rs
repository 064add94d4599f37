//! Secrets of sandboxes: one sealed value a sandbox. They refer to it without a foreign key, because they are there before it.

use lazaret_core::{Authority, DomainSecret, DomainSecrets, SandboxId, Secret};
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::seal::Seal;

/// Keeps the secrets of a sandbox.
pub(crate) fn put(
    connection: &Connection,
    seal: &Seal,
    id: SandboxId,
    secrets: &DomainSecrets,
) -> Result<(), Error> {
    let unstorable = |source: lazaret_core::BoxError| Error::Unstorable { column: "sealed", source };
    let content = serde_json::to_vec(&SecretsRow::from(secrets)).map_err(|error| unstorable(error.into()))?;
    let sealed =
        seal.seal(&owner(id), &content).map_err(|_| unstorable("the system has no random numbers".into()))?;
    connection
        .prepare_cached("INSERT INTO domain_secrets (sandbox, sealed) VALUES (:sandbox, :sealed)")?
        .execute(named_params! { ":sandbox": id.as_bytes(), ":sealed": sealed })?;
    Ok(())
}

/// The secrets of a sandbox.
pub(crate) fn find(
    connection: &Connection,
    seal: &Seal,
    id: SandboxId,
) -> Result<Option<DomainSecrets>, Error> {
    let sealed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT sealed FROM domain_secrets WHERE sandbox = :sandbox")?
        .query_row(named_params! { ":sandbox": id.as_bytes() }, |row| row.get("sealed"))
        .optional()?;
    let Some(sealed) = sealed else { return Ok(None) };
    let corrupt = |source: lazaret_core::BoxError| Error::Corrupt {
        table: "domain_secrets",
        id: id.to_string(),
        column: "sealed",
        source,
    };
    let content = seal.unseal(&owner(id), &sealed).map_err(|error| corrupt(error.into()))?;
    // What serde says of wrong content may hold a part of it.
    let row: SecretsRow = serde_json::from_slice(&content)
        .map_err(|_| corrupt("the content is not what it should be".into()))?;
    row.into_noun().map(Some).map_err(|error| corrupt(error.into()))
}

/// Removes the secrets of a sandbox, if there are any.
pub(crate) fn delete(connection: &Connection, id: SandboxId) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM domain_secrets WHERE sandbox = :sandbox")?
        .execute(named_params! { ":sandbox": id.as_bytes() })?;
    Ok(())
}

/// Removes what a server left that was killed before it wrote the sandbox.
pub(crate) fn delete_orphans(connection: &Connection) -> Result<(), Error> {
    connection.execute("DELETE FROM domain_secrets WHERE sandbox NOT IN (SELECT id FROM sandboxes)", [])?;
    Ok(())
}

/// What the value is sealed for: a row that is moved to another sandbox cannot be read.
fn owner(id: SandboxId) -> Vec<u8> {
    [b"domain_secrets\0", &id.as_bytes()[..]].concat()
}

/// The content of the sealed column.
#[derive(Serialize, Deserialize)]
struct SecretsRow {
    certificate: String,
    key: String,
    token: String,
    secrets: Vec<SecretRow>,
}

#[derive(Serialize, Deserialize)]
struct SecretRow {
    domain: String,
    name: String,
    value: String,
}

impl From<&DomainSecrets> for SecretsRow {
    fn from(secrets: &DomainSecrets) -> Self {
        let row = |secret: &DomainSecret| SecretRow {
            domain: secret.domain.to_string(),
            name: secret.name.clone(),
            value: secret.value.expose().to_owned(),
        };
        Self {
            certificate: secrets.authority.certificate.clone(),
            key: secrets.authority.key.expose().to_owned(),
            token: secrets.token.clone(),
            secrets: secrets.secrets.iter().map(row).collect(),
        }
    }
}

impl SecretsRow {
    fn into_noun(self) -> Result<DomainSecrets, lazaret_core::InvalidDomain> {
        let noun = |row: SecretRow| {
            Ok(DomainSecret { domain: row.domain.parse()?, name: row.name, value: Secret::new(row.value) })
        };
        Ok(DomainSecrets {
            authority: Authority { certificate: self.certificate, key: Secret::new(self.key) },
            token: self.token,
            secrets: self.secrets.into_iter().map(noun).collect::<Result<_, _>>()?,
        })
    }
}
