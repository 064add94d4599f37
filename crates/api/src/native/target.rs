//! The sandbox that a path means: by any form of its id, or by its name.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lazaret_core::{Caller, Error, Kind, SandboxId};

use crate::auth::Authenticated;
use crate::extract::PathParams;
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// Who asks, about which sandbox, and the rest of the path.
pub(super) struct Target {
    pub(super) caller: Caller,
    pub(super) id: SandboxId,
    pub(super) params: PathParams,
}

impl FromRequestParts<App> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        let params = PathParams::from_request_parts(parts, app).await?;
        let id = find(app, &caller, params.text("id", Kind::Sandbox)?)?;
        tracing::Span::current().record("sandbox.id", tracing::field::display(id));
        Ok(Self { caller, id, params })
    }
}

fn find(app: &App, caller: &Caller, text: &str) -> Result<SandboxId, Failure> {
    if let Some(id) = ids::parse_sandbox(text) {
        return Ok(id);
    }
    match app.core.sandboxes.find_by_name(caller, text)?.as_slice() {
        [id] => Ok(*id),
        [] => Err(Error::not_found(Kind::Sandbox, text).into()),
        several => Err(Rejection::Ambiguous { name: text.to_owned(), count: several.len() }.into()),
    }
}
