//! Previews and signed file requests, as they are handed out.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{Error, Kind, SignedPreview};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::target::Target;
use crate::daytona::preview::{Label, address};
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// Life of a signed preview whose maker names none, in seconds.
const EXPIRES_DEFAULT_S: i64 = 60;

/// How long a signed preview is to live.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct SignQuery {
    /// 60 without it.
    expires_in_seconds: Option<i64>,
}

/// The address of a port.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortPreview {
    sandbox_id: String,
    /// What opens the address, in the header `x-daytona-preview-token`.
    token: String,
    url: String,
}

/// An address that opens by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedPortPreview {
    port: u16,
    sandbox_id: String,
    /// What names it when it is to end early.
    token: String,
    url: String,
}

/// The address of a port, and the token that opens it.
#[utoipa::path(get, path = "/sandbox/{id}/ports/{port}/preview-url", operation_id = "getPortPreviewUrl", tag = "previews",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("port" = u16, Path, description = "The port inside")),
    responses((status = 200, body = PortPreview), (status = "default", body = ErrorBody)))]
pub(super) async fn preview(State(app): State<App>, target: Target) -> Result<Json<PortPreview>, Failure> {
    let port = port(&target.params)?;
    let id = target.sandbox.id;
    let token = app.core.previews.token(&target.caller, id).await?;
    let url = url(&app, &target, port, &Label::Sandbox(id));
    Ok(Json(PortPreview { sandbox_id: ids::uuid(id.as_bytes()), token: token.expose().to_owned(), url }))
}

/// The address of a port that opens by itself, for a while.
#[utoipa::path(get, path = "/sandbox/{id}/ports/{port}/signed-preview-url", operation_id = "getSignedPortPreviewUrl", tag = "previews",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("port" = u16, Path, description = "The port inside"),
        SignQuery),
    responses((status = 200, body = SignedPortPreview), (status = "default", body = ErrorBody)))]
pub(super) async fn sign(
    State(app): State<App>,
    target: Target<SignQuery>,
) -> Result<Json<SignedPortPreview>, Failure> {
    let port = port(&target.params)?;
    let id = target.sandbox.id;
    let seconds = target.query.expires_in_seconds.unwrap_or(EXPIRES_DEFAULT_S);
    // A negative one is as far out of range as none.
    let expires_in = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let preview = app.core.previews.sign(&target.caller, id, port, expires_in).await?;
    let label = Label::Signed(preview);
    let url = url(&app, &target, port, &label);
    Ok(Json(SignedPortPreview { port, sandbox_id: ids::uuid(id.as_bytes()), token: label.text(), url }))
}

/// Ends such an address before its time.
#[utoipa::path(post, path = "/sandbox/{id}/ports/{port}/signed-preview-url/{token}/expire", operation_id = "expireSignedPortPreviewUrl", tag = "previews",
    params(("id" = String, Path, description = "Id or name of the sandbox"),
        ("port" = u16, Path, description = "The port inside"),
        ("token" = String, Path, description = "The address's token")),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn expire(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let port = port(&target.params)?;
    let preview = signed(&target.params)?;
    app.core.previews.withdraw(&target.caller, target.sandbox.id, port, &preview).await?;
    Ok(StatusCode::OK)
}

/// The key that signs requests for files.
#[utoipa::path(get, path = "/sandbox/{id}/signing-key", operation_id = "getSandboxSigningKey", tag = "previews",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses(
        (status = 200, body = String, content_type = "application/json"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn signing_key(State(app): State<App>, target: Target) -> Result<Json<String>, Failure> {
    let key = app.core.signed_files.key(&target.caller, target.sandbox.id).await?;
    Ok(Json(key.expose().to_owned()))
}

/// Another such key; what the old one signed is refused from now on.
#[utoipa::path(post, path = "/sandbox/{id}/signing-key/rotate", operation_id = "rotateSigningKey", tag = "previews",
    params(("id" = String, Path, description = "Id or name of the sandbox")),
    responses(
        (status = 200, body = String, content_type = "application/json"),
        (status = "default", body = ErrorBody)))]
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
