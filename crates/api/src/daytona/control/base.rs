//! Where clients reach this server: the operator's word, or else what the request says.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;

use crate::settings::App;

/// The server's address as URL, without a slash at its end.
#[derive(Debug, Clone)]
pub(super) struct Base(String);

impl FromRequestParts<App> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

impl Base {
    /// The address that a request with this head came to.
    pub(super) fn of(parts: &Parts, app: &App) -> Self {
        if let Some(url) = &app.settings.daytona.public_url {
            return Self(url.trim_end_matches('/').to_owned());
        }
        // What a client says of itself is told to that client alone.
        let from_header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = from_header.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
        Self(format!("http://{}", host.unwrap_or("localhost")))
    }

    /// The address itself.
    pub(super) fn url(&self) -> &str {
        &self.0
    }

    /// What clients put the id and a path of the toolbox behind.
    pub(super) fn toolbox(&self) -> String {
        format!("{}/toolbox", self.0)
    }
}
