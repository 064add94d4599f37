//! Files of a sandbox, as clients of the toolbox know them.
//!
//! | File | Subject |
//! | --- | --- |
//! | `listing.rs` | list, info, find, search |
//! | `change.rs` | folder, delete, move, permissions, replace |
//! | `content.rs` | one file down or up, by a key or by a signature |
//! | `bulk_upload.rs`, `bulk_download.rs` | many files in one multipart body, either way |
//! | `paths.rs`, `wire.rs` | relative paths and back; the shapes |
//!
//! Oddities that stay here: an answer of `find`, `search` or a list that was cut has the header `x-lazaret-truncated`, since
//! the contract has no word for it; deleting a directory asks for `recursive`, even if it is empty; symbolic links are
//! followed wherever something is looked at.

mod bulk_download;
mod bulk_upload;
mod change;
mod content;
mod listing;
mod paths;
mod signature;
mod wire;

use axum::http::Method;
use utoipa::OpenApi;

use super::error::Toolbox;
use crate::routing::Routes;

/// The routes.
pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    routes
        .on(Method::GET, "/files", listing::list)
        .on(Method::DELETE, "/files", change::delete)
        .on(Method::GET, "/files/info", listing::info)
        .on(Method::GET, "/files/find", listing::find)
        .on(Method::GET, "/files/search", listing::search)
        .on(Method::POST, "/files/folder", change::folder)
        .on(Method::POST, "/files/move", change::rename)
        .on(Method::POST, "/files/permissions", change::permissions)
        .stream(Method::POST, "/files/replace", change::replace)
        .own_stream(Method::GET, "/files/download", content::download)
        .stream(Method::POST, "/files/upload", content::upload)
        .own_stream(Method::POST, "/files/upload-v2", content::upload_v2)
        .stream(Method::POST, "/files/bulk-upload", bulk_upload::upload)
        .stream(Method::POST, "/files/bulk-download", bulk_download::download)
}

/// Their part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(
    listing::list,
    listing::info,
    listing::find,
    listing::search,
    change::delete,
    change::folder,
    change::rename,
    change::permissions,
    change::replace,
    content::download,
    content::upload,
    content::upload_v2,
    bulk_upload::upload,
    bulk_download::download
))]
pub(super) struct Document;
