//! Every path of the control API.

use axum::http::Method;

use super::error::Control;
use super::{
    api_keys, changes, document, events, listing, organizations, previews, sandboxes, server, snapshots,
    unsupported, volumes,
};
use crate::routing::Routes;

/// Paths beneath which everything is this API's, known or not. The rest of `/api` belongs to others.
const OWNED: [&str; 10] = [
    "/api/sandbox/{id}",
    "/api/organizations/{organization}",
    "/api/regions/{region}",
    "/api/api-keys/{name}",
    "/api/users/me",
    "/api/snapshots/{snapshot}",
    "/api/volumes/{volume}",
    "/api/secret",
    "/api/warm-pools",
    "/api/object-storage",
];

/// The routes.
pub(crate) fn routes() -> Routes<Control> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const DELETE: Method = Method::DELETE;
    let routes = Routes::<Control>::under(["/api"]);
    let routes = OWNED.into_iter().fold(routes, |routes, prefix| routes.owns(prefix));
    let routes = routes
        .open(GET, "/health", server::health)
        .open(GET, "/health/ready", server::ready)
        .open(GET, "/config", server::config)
        .open(GET, "/openapi.json", document::control)
        .open(GET, "/toolbox/openapi.json", document::toolbox)
        // Its key comes in the first message.
        .open(GET, "/socket.io/", events::connect)
        .on(GET, "/sandbox", listing::list)
        .on(GET, "/sandbox/paginated", listing::paginated)
        .stream(POST, "/sandbox", sandboxes::create)
        .on(GET, "/sandbox/{id}", sandboxes::show)
        .stream(DELETE, "/sandbox/{id}", sandboxes::delete)
        .stream(POST, "/sandbox/{id}/start", sandboxes::start)
        .stream(POST, "/sandbox/{id}/stop", sandboxes::stop)
        .on(POST, "/sandbox/{id}/pause", sandboxes::pause)
        .stream(POST, "/sandbox/{id}/recover", sandboxes::recover)
        .stream(POST, "/sandbox/{id}/archive", sandboxes::archive)
        .stream(POST, "/sandbox/{id}/fork", sandboxes::fork)
        .on(GET, "/sandbox/{id}/forks", sandboxes::forks)
        .on(GET, "/sandbox/{id}/ancestors", sandboxes::ancestors)
        .on(GET, "/sandbox/{id}/parent", sandboxes::parent)
        .on(POST, "/sandbox/{id}/last-activity", sandboxes::touch)
        .on(GET, "/sandbox/{id}/toolbox-proxy-url", sandboxes::toolbox)
        .on(PUT, "/sandbox/{id}/labels", changes::labels)
        .on(POST, "/sandbox/{id}/public/{public}", changes::public)
        .on(POST, "/sandbox/{id}/autostop/{minutes}", changes::auto_stop)
        .on(POST, "/sandbox/{id}/autopause/{minutes}", changes::auto_pause)
        .on(POST, "/sandbox/{id}/autoarchive/{minutes}", changes::auto_archive)
        .on(POST, "/sandbox/{id}/autodelete/{minutes}", changes::auto_delete)
        .on(POST, "/sandbox/{id}/ttl/{minutes}", changes::ttl)
        .stream(POST, "/sandbox/{id}/resize", changes::resize)
        .on(POST, "/sandbox/{id}/network-settings", changes::network_settings)
        .on(GET, "/sandbox/{id}/ports/{port}/preview-url", previews::preview)
        .on(GET, "/sandbox/{id}/ports/{port}/signed-preview-url", previews::sign)
        .on(POST, "/sandbox/{id}/ports/{port}/signed-preview-url/{token}/expire", previews::expire)
        .on(GET, "/sandbox/{id}/signing-key", previews::signing_key)
        .on(POST, "/sandbox/{id}/signing-key/rotate", previews::rotate_signing_key)
        .stream(POST, "/sandbox/{id}/snapshot", snapshots::of_sandbox)
        .on(GET, "/snapshots", snapshots::list)
        .stream(POST, "/snapshots", snapshots::create)
        .on(GET, "/snapshots/{snapshot}", snapshots::show)
        .on(DELETE, "/snapshots/{snapshot}", snapshots::delete)
        .on(POST, "/snapshots/{snapshot}/activate", snapshots::activate)
        .on(POST, "/snapshots/{snapshot}/deactivate", snapshots::deactivate)
        .on(GET, "/volumes", volumes::list)
        .on(POST, "/volumes", volumes::create)
        .on(GET, "/volumes/{volume}", volumes::show)
        .on(DELETE, "/volumes/{volume}", volumes::delete)
        .on(GET, "/volumes/by-name/{volume}", volumes::show_by_name)
        .on(GET, "/organizations", organizations::list)
        .on(GET, "/organizations/{organization}", organizations::show)
        .on(GET, "/organizations/{organization}/usage", organizations::usage)
        .on(GET, "/users/me", organizations::me)
        .on(GET, "/regions", organizations::regions)
        .on(GET, "/regions/{region}", organizations::show_region)
        .on(GET, "/shared-regions", organizations::shared_regions)
        .on(GET, "/api-keys", api_keys::list)
        .on(POST, "/api-keys", api_keys::create)
        .on(GET, "/api-keys/{name}", api_keys::show)
        .on(DELETE, "/api-keys/{name}", api_keys::delete);
    unsupported::routes(routes)
}
