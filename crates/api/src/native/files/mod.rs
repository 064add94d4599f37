//! Files of a sandbox, by path. The path in the URL is the absolute path without its first slash, percent-encoded; it
//! need not be UTF-8. Contents are streamed both ways.

mod convert;
pub(super) mod wire;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use lazaret_core::Links;

use self::convert::Act;
use super::error::ErrorBody;
use super::target::Target;
use crate::body::Upload;
use crate::context::RequestContext;
use crate::download::{Wanted, respond};
use crate::extract::Json;
use crate::failure::{Failure, Rejection};
use crate::settings::App;

/// A file's content, or what a path is (`stat`), or what a directory holds (`list`), or which lines have a text (`find`).
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/files/{path}", operation_id = "read_file", tag = "files",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("path" = String, Path, description = "Absolute path without its first slash, percent-encoded"),
        wire::ReadQuery),
    responses(
        (status = 200, description = "The content; or the entry; or the directory",
            content((String = "application/octet-stream"), (wire::FileEntry = "application/json"))),
        (status = 206, description = "The range that was asked for"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn read(
    State(app): State<App>,
    target: Target<wire::ReadQuery>,
    context: RequestContext,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let path = convert::path(&target.params)?;
    let Target { caller, id, query, .. } = &target;
    let (files, user, id) = (&app.core.files, &query.user, *id);
    query.check()?;
    if query.stat {
        let entry = bounded(&app, files.stat(caller, id, user.clone(), &path, Links::Kept)).await?;
        return Ok(Json(wire::FileEntry::from(entry)).into_response());
    }
    if let Some(text) = &query.find {
        let found = bounded(&app, files.find_text(caller, id, user.clone(), &path, text)).await?;
        return Ok(Json(wire::Matches::from(found)).into_response());
    }
    if query.list {
        let listing = match query.tree() {
            None => bounded(&app, files.list(caller, id, user.clone(), &path)).await?,
            Some(tree) => bounded(&app, files.tree(caller, id, user.clone(), &path, &tree)).await?,
        };
        return Ok(Json(wire::Directory::from(listing)).into_response());
    }
    let read = |range| bounded(&app, files.read(caller, id, user.clone(), &path, range));
    let (name, is_head) = (path.file_name(), context.method == Method::HEAD);
    if is_head || Wanted::is_asked(&headers) {
        let (entry, nothing) = read(Wanted::NOTHING).await?;
        // RFC 9110 section 14.2 defines ranges for GET alone.
        if is_head {
            return Ok(respond(name, entry.bytes, Wanted::Whole, nothing));
        }
        let wanted = Wanted::of(&headers, entry.bytes)?;
        let (entry, body) = read(wanted.range()).await?;
        return Ok(respond(name, entry.bytes, wanted, body));
    }
    let (entry, body) = read(Wanted::Whole.range()).await?;
    Ok(respond(name, entry.bytes, Wanted::Whole, body))
}

/// Write a whole file. A body that breaks off leaves what was there before.
#[utoipa::path(put, path = "/lazaret/v1/sandboxes/{id}/files/{path}", operation_id = "write_file", tag = "files",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("path" = String, Path, description = "Absolute path without its first slash, percent-encoded"),
        wire::WriteQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, body = wire::FileEntry), (status = "default", body = ErrorBody)))]
pub(crate) async fn write(
    State(app): State<App>,
    target: Target<wire::WriteQuery>,
    upload: Upload,
) -> Result<Json<wire::FileEntry>, Failure> {
    let path = convert::path(&target.params)?;
    let Target { caller, id, query, .. } = &target;
    let options = query.options()?;
    let (files, user) = (&app.core.files, query.user.clone());
    let write = |body| files.write(caller, *id, user, &path, &options, body);
    let entry = upload.given_to(app.settings.request_timeout, write).await?;
    Ok(Json(entry.into()))
}

/// Remove a file, a link or a directory.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/files/{path}", operation_id = "remove_file",
    tag = "files",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("path" = String, Path, description = "Absolute path without its first slash, percent-encoded"),
        wire::RemoveQuery),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn remove(
    State(app): State<App>,
    target: Target<wire::RemoveQuery>,
) -> Result<StatusCode, Failure> {
    let path = convert::path(&target.params)?;
    let Target { caller, id, query, .. } = target;
    app.core.files.remove(&caller, id, query.user, &path, query.recursive).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a directory, move a path, set its permission bits or owner, or replace a text in a file.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/files/{path}", operation_id = "change_file",
    tag = "files",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("path" = String, Path, description = "Absolute path without its first slash, percent-encoded"),
        wire::ActQuery),
    request_body = wire::Operation,
    responses((status = 204), (status = 200, description = "A text was replaced", body = wire::Replaced),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn change(
    State(app): State<App>,
    target: Target<wire::ActQuery>,
    Json(operation): Json<wire::Operation>,
) -> Result<Response, Failure> {
    let path = convert::path(&target.params)?;
    let (files, caller, id, user) = (&app.core.files, &target.caller, target.id, target.query.user);
    match Act::try_from(operation)? {
        Act::MakeDirectory { mode, parents } => files.mkdir(caller, id, user, &path, mode, parents).await?,
        Act::Rename { to, existing } => files.rename(caller, id, user, &path, &to, existing).await?,
        Act::SetMode { mode } => files.chmod(caller, id, user, &path, mode).await?,
        Act::SetOwner(owner) => files.chown(caller, id, user, &path, &owner).await?,
        Act::ReplaceText { text, with } => {
            let count = files.replace_text(caller, id, user, &path, &text, &with).await?;
            return Ok(Json(wire::Replaced { count }).into_response());
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A short answer of a route that has no time limit for the sake of its long ones.
async fn bounded<T>(app: &App, work: impl Future<Output = lazaret_core::Result<T>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(app.settings.request_timeout, work).await;
    Ok(done.map_err(|_| Rejection::TimedOut)??)
}
