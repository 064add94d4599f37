//! What the server says of itself.

use axum::extract::State as AppState;
use lazaret_core::limits;
use serde::Serialize;
use utoipa::ToSchema;

use super::base::Base;
use super::error::ErrorBody;
use super::lease::minutes;
use super::wire::Nothing;
use crate::daytona::preview::address;
use crate::extract::Json;
use crate::settings::App;

/// The one region of a server.
pub(super) const REGION: &str = "local";

/// That the server is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
}

/// What clients and tools want to know before they have a key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    /// None, ever.
    #[schema(value_type = Object)]
    announcements: Nothing,
    dashboard_url: String,
    /// The image of a sandbox whose maker names none.
    default_snapshot: String,
    environment: &'static str,
    linked_accounts_enabled: bool,
    /// Spelled so by the contract.
    maintanance_mode: bool,
    /// In minutes.
    max_auto_archive_interval: u64,
    /// Empty: keys are all there is.
    oidc: Oidc,
    /// Where previews are, with `{{PORT}}` and `{{sandboxId}}` to be filled in.
    proxy_template_url: String,
    /// Where toolboxes are; a sandbox's id goes behind it.
    proxy_toolbox_url: String,
    version: String,
}

/// Where people log in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Oidc {
    audience: &'static str,
    client_id: &'static str,
    issuer: &'static str,
    provider: &'static str,
}

/// Says that the server is there.
#[utoipa::path(get, path = "/health", operation_id = "HealthController_live", tag = "server",
    security(()),
    responses((status = 200, body = Health), (status = "default", body = ErrorBody)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The same, by the name that is asked for before work is given.
#[utoipa::path(get, path = "/health/ready", operation_id = "HealthController_check", tag = "server",
    security(()),
    responses((status = 200, body = Health), (status = "default", body = ErrorBody)))]
pub(super) async fn ready() -> Json<Health> {
    health().await
}

/// What clients and tools want to know before they have a key.
#[utoipa::path(get, path = "/config", operation_id = "ConfigController_getConfig", tag = "server",
    security(()),
    responses((status = 200, body = Configuration), (status = "default", body = ErrorBody)))]
pub(super) async fn config(AppState(app): AppState<App>, base: Base) -> Json<Configuration> {
    let domain = app.settings.daytona.preview_domain.as_deref();
    Json(Configuration {
        announcements: Nothing {},
        dashboard_url: base.url().to_owned(),
        default_snapshot: app.core.images.default_name().to_owned(),
        environment: "lazaret",
        linked_accounts_enabled: false,
        maintanance_mode: false,
        max_auto_archive_interval: minutes(limits::ARCHIVE_AFTER_MAX),
        oidc: Oidc { audience: "", client_id: "", issuer: "", provider: "" },
        proxy_template_url: address(base.url(), domain, "{{PORT}}", "{{sandboxId}}"),
        proxy_toolbox_url: base.toolbox(),
        version: app.settings.version.clone(),
    })
}
