//! What the server says of itself.

use axum::extract::State as AppState;
use lazaret_core::limits;
use serde_json::{Value, json};

use super::base::Base;
use super::lease::minutes;
use crate::daytona::preview::address;
use crate::extract::Json;
use crate::settings::App;

/// The one region of a server.
pub(super) const REGION: &str = "local";

/// That it is there.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// What clients and tools want to know before they have a key.
pub(super) async fn config(AppState(app): AppState<App>, base: Base) -> Json<Value> {
    let domain = app.settings.daytona.preview_domain.as_deref();
    Json(json!({
        "version": app.settings.version,
        "oidc": {"issuer": "", "clientId": "", "audience": "", "provider": ""},
        "linkedAccountsEnabled": false,
        "announcements": {},
        "proxyTemplateUrl": address(base.url(), domain, "{{PORT}}", "{{sandboxId}}"),
        "proxyToolboxUrl": base.toolbox(),
        "defaultSnapshot": app.core.images.default_name(),
        "dashboardUrl": base.url(),
        "maxAutoArchiveInterval": minutes(limits::ARCHIVE_AFTER_MAX),
        // Spelled so by the contract.
        "maintananceMode": false,
        "environment": "lazaret",
    }))
}
