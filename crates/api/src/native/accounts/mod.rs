//! Accounts and their keys: operators' chores.

pub(super) mod wire;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use lazaret_core::services::NewKey;
use lazaret_core::{AccountId, Error, KeyId, Kind, Scope};

use super::error::ErrorBody;
use super::target::Asked;
use super::time::rfc3339;
use crate::extract::Json;
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// The word for the caller's own account in a path.
const SELF: &str = "self";
/// Tier of an account whose maker names none.
const TIER_DEFAULT: &str = "default";

/// Make an account.
#[utoipa::path(post, path = "/lazaret/v1/accounts", operation_id = "create_account", tag = "accounts",
    request_body = wire::NewAccount,
    responses((status = 201, body = wire::Account), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Json(new): Json<wire::NewAccount>,
) -> Result<(StatusCode, Json<wire::Account>), Failure> {
    let tier = new.tier.as_deref().unwrap_or(TIER_DEFAULT);
    let account = app.core.accounts.create(&asked.caller, &new.name, tier).await?;
    Ok((StatusCode::CREATED, Json(account.into())))
}

/// Every account.
#[utoipa::path(get, path = "/lazaret/v1/accounts", operation_id = "list_accounts", tag = "accounts",
    responses((status = 200, body = wire::AccountList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, asked: Asked) -> Result<Json<wire::AccountList>, Failure> {
    let accounts = app.core.accounts.list(&asked.caller).await?;
    Ok(Json(wire::AccountList { accounts: accounts.into_iter().map(wire::Account::from).collect() }))
}

/// Remove an account that owns nothing any more, and its keys.
#[utoipa::path(delete, path = "/lazaret/v1/accounts/{id}", operation_id = "delete_account", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, or self")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, asked: Asked) -> Result<StatusCode, Failure> {
    app.core.accounts.delete(&asked.caller, account(&asked)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a key. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/lazaret/v1/accounts/{id}/keys", operation_id = "create_key", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, or self")),
    request_body = wire::NewKey,
    responses((status = 201, body = wire::Key), (status = "default", body = ErrorBody)))]
pub(crate) async fn create_key(
    State(app): State<App>,
    asked: Asked,
    Json(new): Json<wire::NewKey>,
) -> Result<Response, Failure> {
    let new = NewKey {
        name: new.name,
        scopes: match new.scopes {
            Some(names) => names.iter().map(|name| name.parse()).collect::<Result<_, Error>>()?,
            None => Scope::DEFAULT.to_vec(),
        },
        expires_in: new.expires_in_s.map(Duration::from_secs),
    };
    let (key, secret) = app.core.accounts.create_key(&asked.caller, account(&asked)?, new).await?;
    let mut key = wire::Key::from(key);
    key.secret = Some(secret.expose().to_owned());
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(key)).into_response())
}

/// The keys of an account, without their secrets.
#[utoipa::path(get, path = "/lazaret/v1/accounts/{id}/keys", operation_id = "list_keys", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, or self")),
    responses((status = 200, body = wire::KeyList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_keys(State(app): State<App>, asked: Asked) -> Result<Json<wire::KeyList>, Failure> {
    let keys = app.core.accounts.list_keys(&asked.caller, account(&asked)?).await?;
    Ok(Json(wire::KeyList { keys: keys.into_iter().map(wire::Key::from).collect() }))
}

/// Revoke a key: requests with it fail from now on.
#[utoipa::path(delete, path = "/lazaret/v1/accounts/{id}/keys/{key}", operation_id = "delete_key",
    tag = "accounts",
    params(("id" = String, Path, description = "The account's id, or self"),
        ("key" = String, Path, description = "The key's id")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_key(State(app): State<App>, asked: Asked) -> Result<StatusCode, Failure> {
    let text = asked.params.text("key", Kind::Key)?;
    let key =
        ids::parse_uuid(text).map(KeyId::from_bytes).ok_or_else(|| Error::not_found(Kind::Key, text))?;
    app.core.accounts.delete_key(&asked.caller, account(&asked)?, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn account(asked: &Asked) -> Result<AccountId, Error> {
    let text = asked.params.text("id", Kind::Account)?;
    if text == SELF {
        return Ok(asked.caller.account);
    }
    ids::parse_uuid(text).map(AccountId::from_bytes).ok_or_else(|| Error::not_found(Kind::Account, text))
}

impl From<lazaret_core::Account> for wire::Account {
    fn from(account: lazaret_core::Account) -> Self {
        Self {
            id: ids::uuid(account.id.as_bytes()),
            name: account.name,
            tier: account.tier,
            created_at: rfc3339(account.created_at),
        }
    }
}

impl From<lazaret_core::Key> for wire::Key {
    fn from(key: lazaret_core::Key) -> Self {
        Self {
            id: ids::uuid(key.id.as_bytes()),
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.into_iter().map(Scope::name).collect(),
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            secret: None,
        }
    }
}
