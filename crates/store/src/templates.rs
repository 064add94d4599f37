//! Templates. Their names are unique within an account, by an index.

use std::collections::BTreeMap;

use lazaret_core::{
    AccountId, Digest, Error as CoreError, Kind, Recipe, SandboxId, Template, TemplateId, TemplateSource,
};
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::{violates_foreign_key, violates_unique};
use crate::row::{Record, to_integer, to_json};
use crate::row_types::{ResourcesRow, UnknownWord};

/// [`TemplateSource`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
enum SourceRow {
    Image { name: String },
    Sandbox { id: String },
    Build {},
}

/// [`Recipe`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeRow {
    resources: ResourcesRow,
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    user: Option<String>,
    start_command: Vec<String>,
}

impl From<&TemplateSource> for SourceRow {
    fn from(source: &TemplateSource) -> Self {
        match source {
            TemplateSource::Image(name) => Self::Image { name: name.clone() },
            TemplateSource::Sandbox(id) => Self::Sandbox { id: id.to_string() },
            TemplateSource::Build => Self::Build {},
        }
    }
}

impl TryFrom<SourceRow> for TemplateSource {
    type Error = UnknownWord;

    fn try_from(row: SourceRow) -> Result<Self, UnknownWord> {
        Ok(match row {
            SourceRow::Image { name } => Self::Image(name),
            SourceRow::Sandbox { id } => {
                let known: Result<SandboxId, _> = id.parse();
                Self::Sandbox(known.map_err(|_| UnknownWord(id))?)
            }
            SourceRow::Build {} => Self::Build,
        })
    }
}

impl From<&Recipe> for RecipeRow {
    fn from(recipe: &Recipe) -> Self {
        let Recipe { resources, env, cwd, user, start_command } = recipe.clone();
        Self { resources: resources.into(), env, cwd, user, start_command }
    }
}

impl From<RecipeRow> for Recipe {
    fn from(row: RecipeRow) -> Self {
        let RecipeRow { resources, env, cwd, user, start_command } = row;
        Self { resources: resources.into(), env, cwd, user, start_command }
    }
}

/// Adds a template.
///
/// # Errors
/// [`CoreError::AlreadyExists`] if the account has one of that name; [`CoreError::NotFound`] if the account is gone.
pub(crate) fn create(connection: &Connection, template: &Template) -> Result<(), Error> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO templates (id, account, name, source, recipe, image, bytes, state, reason, created_at, \
             updated_at, last_used_at) VALUES (:id, :account, :name, :source, :recipe, :image, :bytes, :state, \
             :reason, :created_at, :updated_at, :last_used_at)",
        )?
        .execute(named_params! {
            ":id": template.id.as_bytes(),
            ":account": template.account.as_bytes(),
            ":name": template.name,
            ":source": to_json("source", &SourceRow::from(&template.source))?,
            ":recipe": to_json("recipe", &RecipeRow::from(&template.recipe))?,
            ":image": template.image.as_ref().map(Digest::as_bytes),
            ":bytes": template.bytes.map(|bytes| to_integer("bytes", bytes)).transpose()?,
            ":state": template.state.name(),
            ":reason": template.reason,
            ":created_at": template.created_at.unix_micros(),
            ":updated_at": template.updated_at.unix_micros(),
            ":last_used_at": template.last_used_at.map(lazaret_core::Timestamp::unix_micros),
        });
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if violates_foreign_key(&error) => {
            Err(CoreError::not_found(Kind::Account, template.account).into())
        }
        Err(error) if violates_unique(&error, "templates.account, templates.name") => {
            Err(CoreError::AlreadyExists { kind: Kind::Template, id: template.name.clone() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Replaces what changes of a template: its image, its state, its times.
///
/// # Errors
/// [`CoreError::NotFound`] if it is gone.
pub(crate) fn update(connection: &Connection, template: &Template) -> Result<(), Error> {
    let updated = connection
        .prepare_cached(
            "UPDATE templates SET image = :image, bytes = :bytes, state = :state, reason = :reason, \
             updated_at = :updated_at, last_used_at = :last_used_at WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": template.id.as_bytes(),
            ":image": template.image.as_ref().map(Digest::as_bytes),
            ":bytes": template.bytes.map(|bytes| to_integer("bytes", bytes)).transpose()?,
            ":state": template.state.name(),
            ":reason": template.reason,
            ":updated_at": template.updated_at.unix_micros(),
            ":last_used_at": template.last_used_at.map(lazaret_core::Timestamp::unix_micros),
        })?;
    if updated == 0 {
        return Err(CoreError::not_found(Kind::Template, template.id).into());
    }
    Ok(())
}

/// Every template, in creation order.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Template>, Error> {
    connection
        .prepare_cached(
            "SELECT id, account, name, source, recipe, image, bytes, state, reason, created_at, updated_at, \
             last_used_at FROM templates ORDER BY sequence",
        )?
        .query_and_then([], from_row)?
        .collect()
}

/// Removes a template; `false` if there was none.
pub(crate) fn delete(connection: &Connection, id: TemplateId) -> Result<bool, Error> {
    let deleted = connection
        .prepare_cached("DELETE FROM templates WHERE id = :id")?
        .execute(named_params! { ":id": id.as_bytes() })?;
    Ok(deleted != 0)
}

fn from_row(row: &Row<'_>) -> Result<Template, Error> {
    let record = Record { table: "templates", key: "id", row };
    let state: String = record.get("state")?;
    let image: Option<[u8; 32]> = record.get("image")?;
    let bytes: Option<i64> = record.get("bytes")?;
    Ok(Template {
        id: record.id("id", TemplateId::from_bytes)?,
        account: record.id("account", AccountId::from_bytes)?,
        name: record.get("name")?,
        source: record.json::<SourceRow, _>("source")?,
        recipe: record.json::<RecipeRow, Recipe>("recipe")?,
        image: image.map(Digest::from_bytes),
        bytes: bytes.map(u64::try_from).transpose().map_err(|error| record.corrupt("bytes", error))?,
        state: state.parse().map_err(|error| record.corrupt("state", error))?,
        reason: record.get("reason")?,
        created_at: record.time("created_at")?,
        updated_at: record.time("updated_at")?,
        last_used_at: record.optional_time("last_used_at")?,
    })
}
