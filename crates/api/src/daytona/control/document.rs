//! The OpenAPI documents of this API and of the toolbox, as this server speaks them.
//!
//! Both are served here, since a path beneath the toolbox's own prefix is about one sandbox. They are checked in as
//! `openapi/daytona-control.json` and `openapi/daytona-toolbox.json`.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::{
    api_keys, changes, events, listing, organizations, previews, sandboxes, server, snapshots, unsupported,
    volumes,
};
use crate::daytona::document::{Key, text};
use crate::daytona::toolbox;

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "server", security(()),
    responses((status = 200, description = "This document", content_type = "application/json")))]
pub(super) async fn control() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(open_api);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The toolbox's document, which is the same for every sandbox.
#[utoipa::path(get, path = "/toolbox/openapi.json", operation_id = "getToolboxOpenApi", tag = "server",
    security(()),
    responses((status = 200, description = "The document", content_type = "application/json")))]
pub(super) async fn toolbox() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(toolbox::open_api);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The control API's contract as an OpenAPI document, in JSON.
pub fn open_api() -> String {
    text(&Contract::openapi())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lazaret: Daytona's control API",
        description = "Sandboxes as Daytona's clients make, use and end them. Paths, names and shapes are those of \
            Daytona's contract, as far as this server goes; what it does not do answers with 501. Unknown keys are \
            ignored. Every answer carries x-request-id.",
        version = "1"
    ),
    servers((url = "/api")),
    security(("key" = [])),
    modifiers(&Key),
    paths(
        sandboxes::create, sandboxes::show, sandboxes::delete, sandboxes::start, sandboxes::stop, sandboxes::pause,
        sandboxes::recover, sandboxes::archive, sandboxes::fork, sandboxes::forks, sandboxes::ancestors,
        sandboxes::parent, sandboxes::touch, sandboxes::toolbox,
        listing::list, listing::paginated,
        changes::labels, changes::public, changes::auto_stop, changes::auto_pause, changes::auto_archive,
        changes::auto_delete, changes::ttl, changes::resize, changes::network_settings,
        previews::preview, previews::sign, previews::expire, previews::signing_key, previews::rotate_signing_key,
        snapshots::of_sandbox, snapshots::list, snapshots::create, snapshots::show, snapshots::delete,
        snapshots::activate, snapshots::deactivate,
        volumes::list, volumes::create, volumes::show, volumes::show_by_name, volumes::delete,
        organizations::list, organizations::show, organizations::usage, organizations::me, organizations::regions,
        organizations::show_region, organizations::shared_regions,
        api_keys::list, api_keys::create, api_keys::show, api_keys::delete,
        unsupported::secrets, unsupported::warm_pools, unsupported::registries,
        server::health, server::ready, server::config, events::connect,
        control, toolbox
    )
)]
struct Contract;
