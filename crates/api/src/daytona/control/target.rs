//! Who asks, about which sandbox: by its id, or else by its name.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lazaret_core::{Caller, Error, Kind, Sandbox, SandboxId, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::base::Base;
use crate::auth::Authenticated;
use crate::extract::{PathParams, Query};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// The query string of a route that looks at none; whatever it says is ignored.
#[derive(Deserialize)]
pub(super) struct Anything {}

/// Who asks, with which query and path.
pub(super) struct Asked<Q = Anything> {
    pub(super) caller: Caller,
    pub(super) params: PathParams,
    pub(super) query: Q,
    pub(super) base: Base,
}

/// Who asks, about which sandbox, and the rest of the path and query.
pub(super) struct Target<Q = Anything> {
    pub(super) caller: Caller,
    /// As it was when the request came.
    pub(super) sandbox: Sandbox,
    pub(super) params: PathParams,
    pub(super) query: Q,
    pub(super) base: Base,
}

impl<Q: DeserializeOwned> FromRequestParts<App> for Asked<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        let params = PathParams::from_request_parts(parts, app).await?;
        let Query(query) = Query::from_request_parts(parts, app).await?;
        let base = Base::of(parts, app);
        Ok(Self { caller, params, query, base })
    }
}

impl<Q: DeserializeOwned> FromRequestParts<App> for Target<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        let params = PathParams::from_request_parts(parts, app).await?;
        let sandbox = find(app, &caller, params.text("id", Kind::Sandbox)?).await?;
        tracing::Span::current().record("sandbox.id", tracing::field::display(sandbox.id));
        let Query(query) = Query::from_request_parts(parts, app).await?;
        let base = Base::of(parts, app);
        Ok(Self { caller, sandbox, params, query, base })
    }
}

async fn find(app: &App, caller: &Caller, text: &str) -> Result<Sandbox, Failure> {
    let not_found = || Failure::from(Error::not_found(Kind::Sandbox, text));
    if let Some(bytes) = ids::parse_uuid(text) {
        match app.core.sandboxes.get(caller, SandboxId::from_bytes(bytes)).await {
            Ok(sandbox) if sandbox.state == State::Expired => return Err(not_found()),
            Ok(sandbox) => return Ok(sandbox),
            // It may be a name that looks like an id.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match app.core.sandboxes.find_by_name(caller, text)?.as_slice() {
        [id] => Ok(app.core.sandboxes.get(caller, *id).await?),
        [] => Err(not_found()),
        several => Err(Rejection::Ambiguous { name: text.to_owned(), count: several.len() }.into()),
    }
}
