//! Who asks, and about what: the caller, the query string, the path's parameters, and the sandbox that a path means.
//!
//! A handler takes one of these and so says which query keys its route has; any other is refused.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lazaret_core::{Caller, Error, Kind, SandboxId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::auth::Authenticated;
use crate::extract::{PathParams, Query};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// The query string of a route that has no query keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Who asks, with which query and path.
pub(super) struct Asked<Q = Nothing> {
    pub(super) caller: Caller,
    pub(super) params: PathParams,
    pub(super) query: Q,
}

/// Who asks, about which sandbox, and the rest of the query and path.
pub(super) struct Target<Q = Nothing> {
    pub(super) caller: Caller,
    /// By any form of its id, or by its name. It need not be there.
    pub(super) id: SandboxId,
    pub(super) params: PathParams,
    pub(super) query: Q,
}

impl<Q: DeserializeOwned> FromRequestParts<App> for Asked<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        let params = PathParams::from_request_parts(parts, app).await?;
        let Query(query) = Query::from_request_parts(parts, app).await?;
        Ok(Self { caller, params, query })
    }
}

impl<Q: DeserializeOwned> FromRequestParts<App> for Target<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Asked { caller, params, query } = Asked::from_request_parts(parts, app).await?;
        let id = find(app, &caller, params.text("id", Kind::Sandbox)?)?;
        tracing::Span::current().record("sandbox.id", tracing::field::display(id));
        Ok(Self { caller, id, params, query })
    }
}

/// The sandbox that a text means: any form of its id, or its name.
pub(super) fn find(app: &App, caller: &Caller, text: &str) -> Result<SandboxId, Failure> {
    if let Some(id) = ids::parse_sandbox(text) {
        return Ok(id);
    }
    match app.core.sandboxes.find_by_name(caller, text)?.as_slice() {
        [id] => Ok(*id),
        [] => Err(Error::not_found(Kind::Sandbox, text).into()),
        several => Err(Rejection::Ambiguous { name: text.to_owned(), count: several.len() }.into()),
    }
}
