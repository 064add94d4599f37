//! Keys of the account, by name, and permissions for scopes.

use axum::extract::State as AppState;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use lazaret_core::services::NewKey;
use lazaret_core::{Caller, Error, Key, Kind, Scope, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::convert::organization;
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
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewApiKey {
    name: String,
    permissions: Vec<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

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
    let body = json!({
        "name": key.name,
        "value": secret.expose(),
        "createdAt": iso8601(key.created_at),
        "permissions": permissions(&key),
        "expiresAt": key.expires_at.map(iso8601),
    });
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

fn unknown(permission: &str) -> Rejection {
    let supported = PERMISSIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let problem = FieldProblem::NotOneOf { got: permission.to_owned(), supported };
    Rejection::Field { part: Part::Body, field: "permissions".to_owned(), problem }
}

pub(super) async fn list(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    let keys = app.core.accounts.list_keys(&asked.caller, asked.caller.account).await?;
    let shown: Vec<_> = keys.iter().map(|key| shown(&asked.caller, key)).collect();
    Ok(Json(shown.into()))
}

/// The key that asks, and any other by its name.
pub(super) async fn show(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
    let name = name(&asked.params)?;
    let key = if name == "current" {
        let keys = app.core.accounts.list_keys(&asked.caller, asked.caller.account).await?;
        keys.into_iter().find(|key| key.id == asked.caller.key)
    } else {
        find(&app, &asked.caller, name).await?
    };
    let key = key.ok_or_else(|| Error::not_found(Kind::Key, name))?;
    Ok(Json(shown(&asked.caller, &key)))
}

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

fn shown(caller: &Caller, key: &Key) -> Value {
    json!({
        "name": key.name,
        // Its beginning: the rest was shown once.
        "value": format!("{}...", key.hint),
        "createdAt": iso8601(key.created_at),
        "permissions": permissions(key),
        "lastUsedAt": null,
        "expiresAt": key.expires_at.map(iso8601),
        "userId": organization(caller),
    })
}
