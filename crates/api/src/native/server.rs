//! What this server is, and its contract.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::error::ErrorBody;
use super::target::Asked;
use super::{
    accounts, contexts, events, execs, files, git, images, ports, roles, sandboxes, sessions, templates,
    terminals, volumes,
};
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerDescription {
    /// Its version.
    version: String,
    /// What makes its sandboxes.
    runtime: RuntimeDescription,
    /// Image of a sandbox whose maker names none.
    default_image: String,
}

/// What makes the sandboxes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuntimeDescription {
    /// Its name, such as `namespaces`.
    name: &'static str,
    /// It can freeze and thaw.
    pause: bool,
    /// It keeps a disk across stop and start.
    keeps_disk: bool,
    /// It packs disks away.
    archive: bool,
    /// It enforces network policies other than `disabled`.
    egress: bool,
}

/// What this server is and can do.
#[utoipa::path(get, path = "/lazaret/v1/server", operation_id = "get_server", tag = "server",
    responses((status = 200, body = ServerDescription), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(app): State<App>, _asked: Asked) -> Result<Json<ServerDescription>, Failure> {
    let able = app.core.runtime_capabilities();
    Ok(Json(ServerDescription {
        version: app.settings.version.clone(),
        runtime: RuntimeDescription {
            name: able.name,
            pause: able.pause,
            keeps_disk: able.keeps_disk,
            archive: able.archive,
            egress: able.egress,
        },
        default_image: app.core.images.default_name().to_owned(),
    }))
}

/// This document.
#[utoipa::path(get, path = "/lazaret/v1/openapi.json", operation_id = "get_openapi", tag = "server",
    security(()), responses((status = 200, description = "This document", content_type = "application/json")))]
pub(crate) async fn contract() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(open_api);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The native dialect's contract as an OpenAPI document, in JSON. It is checked in as `openapi/native.json`.
pub fn open_api() -> String {
    let mut text = Contract::openapi().to_pretty_json().expect("the document is JSON");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lazaret native API",
        description = "Sandboxed Linux containers: made, used and ended over HTTP. Unknown keys of bodies and query \
            strings are refused. Times are RFC 3339 in UTC. Every answer carries x-request-id.",
        version = "1"
    ),
    security(("key" = [])),
    modifiers(&Key),
    components(schemas(
        execs::wire::Started, execs::wire::Chunk, execs::wire::Skipped, execs::wire::Exited, execs::wire::Failed,
        execs::wire::Control, execs::wire::Told, events::wire::Event, files::wire::Directory, contexts::wire::Shown, contexts::wire::CodeError,
        contexts::wire::CellEnded, sessions::wire::LogEnd,
        // Of parameters, which do not bring theirs along.
        sandboxes::wire::Order, images::wire::Source
    )),
    paths(
        sandboxes::create, sandboxes::list, sandboxes::show, sandboxes::delete, sandboxes::start,
        sandboxes::fork, sandboxes::stop, sandboxes::pause, sandboxes::resume, sandboxes::stats, sandboxes::set_network,
        sandboxes::update, sandboxes::archive,
        ports::ask,
        execs::exec, execs::run, execs::list, execs::output, execs::delete, execs::socket,
        contexts::create, contexts::list, contexts::delete, contexts::interrupt, contexts::execute,
        sessions::create, sessions::list, sessions::show, sessions::delete, sessions::run, sessions::command,
        sessions::log, sessions::input,
        terminals::create, terminals::list, terminals::show, terminals::delete, terminals::resize,
        terminals::attach,
        files::read, files::write, files::remove, files::change,
        git::clone, git::init, git::status, git::branches, git::create_branch, git::delete_branch,
        git::checkout, git::add, git::commit, git::push, git::pull, git::history, git::remotes,
        git::add_remote, git::reset, git::restore, git::config, git::set_config,
        templates::create, templates::list, templates::show, templates::delete, templates::activate,
        templates::deactivate,
        roles::list,
        volumes::create, volumes::list, volumes::show, volumes::delete,
        images::list, images::import, images::pull, images::build, images::delete,
        events::list,
        events::audit,
        accounts::create, accounts::list, accounts::delete, accounts::create_key, accounts::list_keys,
        accounts::delete_key,
        show, contract
    )
)]
struct Contract;

/// How a request shows its key.
struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("All that follows `Bearer ` is the key; it may have spaces"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}
