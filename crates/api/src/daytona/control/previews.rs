//! Previews and signed file requests, as they are handed out.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{Error, Kind, SignedPreview};
use serde::Deserialize;
use serde_json::{Value, json};

use super::target::Target;
use crate::daytona::preview::{Label, address};
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// Life of a signed preview whose maker names none, in seconds.
const EXPIRES_DEFAULT_S: i64 = 60;

/// How long a signed preview is to live.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignQuery {
    expires_in_seconds: Option<i64>,
}

/// The address of a port, and the token that opens it.
pub(super) async fn preview(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    let port = port(&target.params)?;
    let id = target.sandbox.id;
    let token = app.core.previews.token(&target.caller, id).await?;
    let url = url(&app, &target, port, &Label::Sandbox(id));
    Ok(Json(json!({"sandboxId": ids::uuid(id.as_bytes()), "url": url, "token": token.expose()})))
}

/// The address of a port that opens by itself, for a while.
pub(super) async fn sign(State(app): State<App>, target: Target<SignQuery>) -> Result<Json<Value>, Failure> {
    let port = port(&target.params)?;
    let id = target.sandbox.id;
    let seconds = target.query.expires_in_seconds.unwrap_or(EXPIRES_DEFAULT_S);
    // A negative one is as far out of range as none.
    let expires_in = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let preview = app.core.previews.sign(&target.caller, id, port, expires_in).await?;
    let label = Label::Signed(preview);
    let url = url(&app, &target, port, &label);
    let body =
        json!({"sandboxId": ids::uuid(id.as_bytes()), "port": port, "token": label.text(), "url": url});
    Ok(Json(body))
}

/// Ends such an address before its time.
pub(super) async fn expire(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let port = port(&target.params)?;
    let preview = signed(&target.params)?;
    app.core.previews.withdraw(&target.caller, target.sandbox.id, port, &preview).await?;
    Ok(StatusCode::OK)
}

/// The key that signs requests for files.
pub(super) async fn signing_key(State(app): State<App>, target: Target) -> Result<Json<String>, Failure> {
    let key = app.core.signed_files.key(&target.caller, target.sandbox.id).await?;
    Ok(Json(key.expose().to_owned()))
}

/// Another such key.
pub(super) async fn rotate_signing_key(
    State(app): State<App>,
    target: Target,
) -> Result<Json<String>, Failure> {
    let key = app.core.signed_files.rotate(&target.caller, target.sandbox.id).await?;
    Ok(Json(key.expose().to_owned()))
}

fn url<Q>(app: &App, target: &Target<Q>, port: u16, label: &Label) -> String {
    address(target.base.url(), app.settings.daytona.preview_domain.as_deref(), port, &label.text())
}

fn port(params: &PathParams) -> Result<u16, Failure> {
    let port = params.text("port", Kind::Sandbox)?.parse().ok().filter(|port: &u16| *port != 0);
    let (status, message) = (StatusCode::BAD_REQUEST, "Invalid port".to_owned());
    Ok(port.ok_or(Rejection::Worded { status, code: "", message })?)
}

fn signed(params: &PathParams) -> Result<SignedPreview, Failure> {
    match Label::parse(&params.text("token", Kind::Sandbox)?.to_ascii_lowercase()) {
        Some(Label::Signed(preview)) => Ok(preview),
        _ => Err(Error::invalid("token", "is not a signed preview").into()),
    }
}
