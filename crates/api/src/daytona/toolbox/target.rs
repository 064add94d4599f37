//! Who asks, about which sandbox: by id alone, and it must run.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lazaret_core::{Caller, Error, Kind, SandboxId};
use serde::de::DeserializeOwned;

use crate::auth::Authenticated;
use crate::daytona::activity::activity;
use crate::extract::{PathParams, Query};
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// The query string of a route that looks at none; whatever it says is ignored.
#[derive(serde::Deserialize)]
pub(super) struct Anything {}

/// Who asks, about which sandbox, and the rest of the path and query. The sandbox ran when the request came, so that a
/// client hears of that before it hears of its body.
pub(super) struct Target<Q = Anything> {
    pub(super) caller: Caller,
    pub(super) id: SandboxId,
    pub(super) params: PathParams,
    pub(super) query: Q,
}

impl<Q: DeserializeOwned> FromRequestParts<App> for Target<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Authenticated(mut caller) = Authenticated::from_request_parts(parts, app).await?;
        caller.activity = activity(&parts.headers);
        let params = PathParams::from_request_parts(parts, app).await?;
        let text = params.text("id", Kind::Sandbox)?;
        let bytes = ids::parse_uuid(text).ok_or_else(|| Error::not_found(Kind::Sandbox, text))?;
        let id = SandboxId::from_bytes(bytes);
        tracing::Span::current().record("sandbox.id", tracing::field::display(id));
        app.core.sandboxes.check_usable(&caller, id).await?;
        let Query(query) = Query::from_request_parts(parts, app).await?;
        Ok(Self { caller, id, params, query })
    }
}

impl<Q> Target<Q> {
    /// Where relative paths begin: the sandbox's working directory, or its image's, or else its user's home.
    pub(super) async fn work_dir(&self, app: &App) -> Result<String, Error> {
        let found = app.core.execs.directories(&self.caller, self.id).await?;
        Ok(found.cwd.unwrap_or(found.home))
    }
}
