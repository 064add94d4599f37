//! Keys of the account, by name, and permissions for scopes.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use lazaret_core::services::NewKey;
use lazaret_core::{Caller, Error, Key, Kind, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::organization;
use super::error::ErrorBody;
use super::target::Asked;
use crate::daytona::bad_request;
use crate::daytona::time::iso8601;
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::settings::App;

/// Permissions that mean something here, and the scopes that they stand for. Every key may read besides.
const PERMISSIONS: [(&str, &[Scope]); 5] = [
    ("write:sandboxes", &[Scope::SandboxesWrite, Scope::FilesWrite]),
    ("delete:sandboxes", &[Scope::SandboxesWrite, Scope::FilesWrite]),
    ("write:snapshots", &[Scope::ImagesWrite]),
    ("delete:snapshots", &[Scope::ImagesWrite]),
    ("manage:api_keys", &[Scope::Admin]),
];
const ALWAYS: [Scope; 2] = [Scope::SandboxesRead, Scope::FilesRead];

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewApiKey {
    name: String,
    /// What it may do besides reading: `write:sandboxes`, `delete:sandboxes`, `write:snapshots`, `delete:snapshots`,
    /// `manage:api_keys`.
    permissions: Vec<String>,
    /// ISO 8601; no end without it.
    #[serde(default)]
    expires_at: Option<String>,
}

/// A key that was made, with its secret, which is told this once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeApiKey {
    created_at: String,
    #[schema(required)]
    expires_at: Option<String>,
    name: String,
    permissions: Vec<&'static str>,
    /// The key itself.
    value: String,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKey {
    created_at: String,
    #[schema(required)]
    expires_at: Option<String>,
    /// Always null: nobody keeps it.
    #[schema(required)]
    last_used_at: Option<String>,
    name: String,
    permissions: Vec<&'static str>,
    /// The account.
    user_id: String,
    /// The key's beginning: the rest was shown once.
    value: String,
}

/// Makes a key of the account.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = "account",
    request_body = NewApiKey,
    responses((status = 201, body = MadeApiKey), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    AppState(app): AppState<App>,
    asked: Asked,
    Json(new): Json<NewApiKey>,
) -> Result<Response, Failure> {
    let caller = asked.caller;
    let mut scopes = ALWAYS.to_vec();
    for permission in &new.permissions {
        let known = PERMISSIONS.iter().find(|(name, _)| name == permission);
        let (_, meant) = known.ok_or_else(|| unknown(permission))?;
        scopes.extend(meant.iter().filter(|scope| !scopes.contains(scope)).copied().collect::<Vec<_>>());
    }
    let expires_in = match new.expires_at.as_deref() {
        None => None,
        Some(text) => {
            let end: jiff::Timestamp =
                text.parse().map_err(|_| bad_request("expiresAt: is no moment in ISO 8601"))?;
            let (end, now) = (Timestamp::from_unix_micros(end.as_microsecond()), app.settings.clock.now());
            if end <= now {
                return Err(bad_request("expiresAt: is in the past"));
            }
            Some(end.since(now))
        }
    };
    if find(&app, &caller, &new.name).await?.is_some() {
        return Err(Error::AlreadyExists { kind: Kind::Key, id: new.name }.into());
    }
    let wanted = NewKey { name: new.name, scopes, expires_in };
    let (key, secret) = app.core.accounts.create_key(&caller, caller.account, wanted).await?;
    let body = MadeApiKey {
        created_at: iso8601(key.created_at),
        expires_at: key.expires_at.map(iso8601),
        permissions: permissions(&key),
        name: key.name,
        value: secret.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

fn unknown(permission: &str) -> Rejection {
    let supported = PERMISSIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let problem = FieldProblem::NotOneOf { got: permission.to_owned(), supported };
    Rejection::Field { part: Part::Body, field: "permissions".to_owned(), problem }
}

/// The keys of the account.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = "account",
    responses((status = 200, body = Vec<ApiKey>), (status = "default", body = ErrorBody)))]
pub(super) async fn list(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Vec<ApiKey>>, Failure> {
    let keys = app.core.accounts.list_keys(&asked.caller, asked.caller.account).await?;
    Ok(Json(keys.into_iter().map(|key| shown(&asked.caller, key)).collect()))
}

/// The key that asks, and any other by its name.
#[utoipa::path(get, path = "/api-keys/{name}", operation_id = "getApiKey", tag = "account",
    params(("name" = String, Path, description = "The key's name; `current` is the key that asks")),
    responses((status = 200, body = ApiKey), (status = "default", body = ErrorBody)))]
pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<ApiKey>, Failure> {
    let name = name(&asked.params)?;
    let key = if name == "current" {
        let keys = app.core.accounts.list_keys(&asked.caller, asked.caller.account).await?;
        keys.into_iter().find(|key| key.id == asked.caller.key)
    } else {
        find(&app, &asked.caller, name).await?
    };
    let key = key.ok_or_else(|| Error::not_found(Kind::Key, name))?;
    Ok(Json(shown(&asked.caller, key)))
}

/// Revokes a key.
#[utoipa::path(delete, path = "/api-keys/{name}", operation_id = "deleteApiKey", tag = "account",
    params(("name" = String, Path, description = "The key's name")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(AppState(app): AppState<App>, asked: Asked) -> Result<StatusCode, Failure> {
    let name = name(&asked.params)?;
    let key = find(&app, &asked.caller, name).await?.ok_or_else(|| Error::not_found(Kind::Key, name))?;
    app.core.accounts.delete_key(&asked.caller, asked.caller.account, key.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(params: &PathParams) -> Result<&str, Error> {
    params.text("name", Kind::Key)
}

/// The oldest key of this name; the native API lets several have one.
async fn find(app: &App, caller: &Caller, name: &str) -> Result<Option<Key>, Failure> {
    let keys = app.core.accounts.list_keys(caller, caller.account).await?;
    Ok(keys.into_iter().find(|key| key.name == name))
}

fn permissions(key: &Key) -> Vec<&'static str> {
    let has = |scope: &Scope| key.scopes.contains(scope) || key.scopes.contains(&Scope::Admin);
    PERMISSIONS.iter().filter(|(_, scopes)| scopes.iter().all(has)).map(|(name, _)| *name).collect()
}

fn shown(caller: &Caller, key: Key) -> ApiKey {
    ApiKey {
        created_at: iso8601(key.created_at),
        expires_at: key.expires_at.map(iso8601),
        last_used_at: None,
        permissions: permissions(&key),
        user_id: organization(caller),
        value: format!("{}...", key.hint),
        name: key.name,
    }
}
