//! Every route of the native dialect, on one page.

use axum::http::Method;

use super::error::Native;
use super::{
    accounts, contexts, events, execs, files, git, images, operations, ports, roles, sandboxes, server,
    sessions, templates, terminals, volumes,
};
use crate::routing::Routes;

/// The routes.
pub(crate) fn routes() -> Routes<Native> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const PATCH: Method = Method::PATCH;
    const HEAD: Method = Method::HEAD;
    const DELETE: Method = Method::DELETE;
    /// What a server inside a sandbox may be asked with.
    const ANY: [Method; 7] = [GET, HEAD, POST, PUT, PATCH, DELETE, Method::OPTIONS];
    let routes = Routes::<Native>::under([""])
        .owns("/lazaret/v1")
        .open(GET, "/healthz", operations::health)
        .open(GET, "/readyz", operations::readiness)
        .open(GET, "/metrics", operations::metrics)
        .on(GET, "/lazaret/v1/server", server::show)
        .open(GET, "/lazaret/v1/openapi.json", server::contract)
        .stream(POST, "/lazaret/v1/sandboxes", sandboxes::create)
        .on(GET, "/lazaret/v1/sandboxes", sandboxes::list)
        .on(GET, "/lazaret/v1/sandboxes/{id}", sandboxes::show)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}", sandboxes::delete)
        .on(PATCH, "/lazaret/v1/sandboxes/{id}", sandboxes::update)
        // Large disks take their time, to pack and to unpack.
        .stream(POST, "/lazaret/v1/sandboxes/{id}/archive", sandboxes::archive)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/fork", sandboxes::fork)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/start", sandboxes::start)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/stop", sandboxes::stop)
        .on(POST, "/lazaret/v1/sandboxes/{id}/pause", sandboxes::pause)
        .on(POST, "/lazaret/v1/sandboxes/{id}/resume", sandboxes::resume)
        .on(GET, "/lazaret/v1/sandboxes/{id}/stats", sandboxes::stats)
        .on(PUT, "/lazaret/v1/sandboxes/{id}/network", sandboxes::set_network)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/exec", execs::exec)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/exec/ws", execs::socket)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/run", execs::run)
        .on(POST, "/lazaret/v1/sandboxes/{id}/contexts", contexts::create)
        .on(GET, "/lazaret/v1/sandboxes/{id}/contexts", contexts::list)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}/contexts/{context}", contexts::delete)
        .on(POST, "/lazaret/v1/sandboxes/{id}/contexts/{context}/interrupt", contexts::interrupt)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/contexts/{context}/execute", contexts::execute)
        .on(POST, "/lazaret/v1/sandboxes/{id}/sessions", sessions::create)
        .on(GET, "/lazaret/v1/sandboxes/{id}/sessions", sessions::list)
        .on(GET, "/lazaret/v1/sandboxes/{id}/sessions/{session}", sessions::show)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}/sessions/{session}", sessions::delete)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands", sessions::run)
        .on(GET, "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}", sessions::command)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}/log", sessions::log)
        .on(POST, "/lazaret/v1/sandboxes/{id}/sessions/{session}/commands/{command}/input", sessions::input)
        .on(POST, "/lazaret/v1/sandboxes/{id}/terminals", terminals::create)
        .on(GET, "/lazaret/v1/sandboxes/{id}/terminals", terminals::list)
        .on(GET, "/lazaret/v1/sandboxes/{id}/terminals/{terminal}", terminals::show)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}/terminals/{terminal}", terminals::delete)
        .on(PUT, "/lazaret/v1/sandboxes/{id}/terminals/{terminal}/size", terminals::resize)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/terminals/{terminal}/ws", terminals::attach)
        .on(GET, "/lazaret/v1/sandboxes/{id}/execs", execs::list)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}/execs/{exec}", execs::delete)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/execs/{exec}/output", execs::output)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/files", files::read)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/files/", files::read)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/files/{*path}", files::read)
        .stream(HEAD, "/lazaret/v1/sandboxes/{id}/files/{*path}", files::read)
        .stream(PUT, "/lazaret/v1/sandboxes/{id}/files/{*path}", files::write)
        .on(DELETE, "/lazaret/v1/sandboxes/{id}/files/{*path}", files::remove)
        .on(POST, "/lazaret/v1/sandboxes/{id}/files/{*path}", files::change)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/clone", git::clone)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/init", git::init)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/git/status", git::status)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/git/branches", git::branches)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/branches", git::create_branch)
        .stream(DELETE, "/lazaret/v1/sandboxes/{id}/git/branches", git::delete_branch)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/checkout", git::checkout)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/add", git::add)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/commit", git::commit)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/push", git::push)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/pull", git::pull)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/git/history", git::history)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/git/remotes", git::remotes)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/remotes", git::add_remote)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/reset", git::reset)
        .stream(POST, "/lazaret/v1/sandboxes/{id}/git/restore", git::restore)
        .stream(GET, "/lazaret/v1/sandboxes/{id}/git/config", git::config)
        .stream(PUT, "/lazaret/v1/sandboxes/{id}/git/config", git::set_config)
        .on(POST, "/lazaret/v1/templates", templates::create)
        .on(GET, "/lazaret/v1/templates", templates::list)
        .on(GET, "/lazaret/v1/templates/{template}", templates::show)
        .on(DELETE, "/lazaret/v1/templates/{template}", templates::delete)
        .on(POST, "/lazaret/v1/templates/{template}/activate", templates::activate)
        .on(POST, "/lazaret/v1/templates/{template}/deactivate", templates::deactivate)
        .on(GET, "/lazaret/v1/roles", roles::list)
        .on(POST, "/lazaret/v1/volumes", volumes::create)
        .on(GET, "/lazaret/v1/volumes", volumes::list)
        .on(GET, "/lazaret/v1/volumes/{volume}", volumes::show)
        .on(DELETE, "/lazaret/v1/volumes/{volume}", volumes::delete)
        .on(GET, "/lazaret/v1/images", images::list)
        .stream(POST, "/lazaret/v1/images/import", images::import)
        .stream(POST, "/lazaret/v1/images/pull", images::pull)
        .stream(POST, "/lazaret/v1/images/build", images::build)
        .on(DELETE, "/lazaret/v1/images/{*name}", images::delete)
        .stream(GET, "/lazaret/v1/events", events::list)
        .on(GET, "/lazaret/v1/audit", events::audit)
        .on(POST, "/lazaret/v1/accounts", accounts::create)
        .on(GET, "/lazaret/v1/accounts", accounts::list)
        .on(DELETE, "/lazaret/v1/accounts/{id}", accounts::delete)
        .on(POST, "/lazaret/v1/accounts/{id}/keys", accounts::create_key)
        .on(GET, "/lazaret/v1/accounts/{id}/keys", accounts::list_keys)
        .on(DELETE, "/lazaret/v1/accounts/{id}/keys/{key}", accounts::delete_key);
    ANY.into_iter().fold(routes, |routes, method| {
        routes.stream(method.clone(), "/lazaret/v1/sandboxes/{id}/ports/{port}/", ports::ask).stream(
            method,
            "/lazaret/v1/sandboxes/{id}/ports/{port}/{*path}",
            ports::ask,
        )
    })
}
