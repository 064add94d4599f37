//! Roles: what can be applied to new sandboxes.

pub(super) mod wire;

use axum::extract::State;

use super::error::ErrorBody;
use super::target::Asked;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// The roles that a sandbox can be made with; all accounts share them.
#[utoipa::path(get, path = "/lazaret/v1/roles", operation_id = "list_roles", tag = "roles",
    responses((status = 200, body = wire::RoleList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, asked: Asked) -> Result<Json<wire::RoleList>, Failure> {
    let roles = app.core.roles.list(&asked.caller)?;
    Ok(Json(wire::RoleList { roles: roles.into_iter().map(wire::Role::from).collect() }))
}
