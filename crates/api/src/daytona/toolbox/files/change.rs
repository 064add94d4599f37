//! Changing files: folder, delete, move, permissions, replace.

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{Error, Existing, FileKind, FileProblem, Links, Owner, limits};

use super::super::error::ErrorBody;
use super::super::target::Target;
use super::listing::given;
use super::paths::Paths;
use super::wire::{DeleteQuery, FolderQuery, MoveQuery, PermissionsQuery, ReplaceRequest, ReplaceResult};
use crate::extract::Json;
use crate::failure::{Failure, FieldProblem, Part, Rejection, Sequence};
use crate::settings::App;

/// Permission bits of a folder whose maker names none.
const FOLDER_MODE: u32 = 0o755;
/// Permission bits that a path can have.
const MODE_MAX: u32 = 0o7777;

/// Makes a folder and what is missing above it.
#[utoipa::path(post, path = "/files/folder", operation_id = "CreateFolder", tag = "files",
    params(FolderQuery),
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn folder(
    State(app): State<App>,
    target: Target<FolderQuery>,
) -> Result<StatusCode, Failure> {
    let path = Paths::of(&app, &target).resolve(given(&target.query.path, "path")?).await?;
    let bits = target.query.mode.as_deref().filter(|text| !text.is_empty());
    let bits = bits.map_or(Ok(FOLDER_MODE), mode)?;
    app.core.files.mkdir(&target.caller, target.id, None, &path, bits, true).await?;
    Ok(StatusCode::CREATED)
}

/// Removes a file, or a directory if that is said.
#[utoipa::path(delete, path = "/files", operation_id = "DeleteFile", tag = "files",
    params(DeleteQuery),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(
    State(app): State<App>,
    target: Target<DeleteQuery>,
) -> Result<StatusCode, Failure> {
    let path = Paths::of(&app, &target).resolve(given(&target.query.path, "path")?).await?;
    let (files, caller, id) = (&app.core.files, &target.caller, target.id);
    if !target.query.recursive {
        let entry = files.stat(caller, id, None, &path, Links::Kept).await?;
        if entry.kind == FileKind::Directory {
            return Err(Error::File { path: path.to_text(), problem: FileProblem::IsADirectory }.into());
        }
    }
    files.remove(caller, id, None, &path, target.query.recursive).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a file or directory another name, which must be free.
#[utoipa::path(post, path = "/files/move", operation_id = "MoveFile", tag = "files",
    params(MoveQuery),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn rename(State(app): State<App>, target: Target<MoveQuery>) -> Result<StatusCode, Failure> {
    let mut paths = Paths::of(&app, &target);
    let from = paths.resolve(given(&target.query.source, "source")?).await?;
    let to = paths.resolve(given(&target.query.destination, "destination")?).await?;
    app.core.files.rename(&target.caller, target.id, None, &from, &to, Existing::Kept).await?;
    Ok(StatusCode::OK)
}

/// Sets permission bits, owner and group, as far as they are given.
#[utoipa::path(post, path = "/files/permissions", operation_id = "SetFilePermissions", tag = "files",
    params(PermissionsQuery),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn permissions(
    State(app): State<App>,
    target: Target<PermissionsQuery>,
) -> Result<StatusCode, Failure> {
    let path = Paths::of(&app, &target).resolve(given(&target.query.path, "path")?).await?;
    let (files, caller, id, query) = (&app.core.files, &target.caller, target.id, &target.query);
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let bits = some(&query.mode).as_deref().map(mode).transpose()?;
    let owner = Owner { user: some(&query.owner), group: some(&query.group) };
    if owner != Owner::default() {
        files.chown(caller, id, None, &path, &owner).await?;
    }
    // After the owner, because a change of owner clears set-user-id.
    match bits {
        Some(bits) => files.chmod(caller, id, None, &path, bits).await?,
        None => files.stat(caller, id, None, &path, Links::Followed).await.map(drop)?,
    }
    Ok(StatusCode::OK)
}

/// Puts one text in the place of another in each of some files.
#[utoipa::path(post, path = "/files/replace", operation_id = "ReplaceInFiles", tag = "files",
    request_body = ReplaceRequest,
    responses((status = 200, body = Vec<ReplaceResult>), (status = "default", body = ErrorBody)))]
pub(super) async fn replace(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ReplaceRequest>,
) -> Result<Json<Vec<ReplaceResult>>, Failure> {
    let ReplaceRequest { files: names, pattern, new_value } = request;
    check_count("files", names.len())?;
    let mut paths = Paths::of(&app, &target);
    let mut results = Vec::with_capacity(names.len());
    for file in names {
        let replaced = async {
            let path = paths.resolve(&file).await?;
            app.core.files.replace_text(&target.caller, target.id, None, &path, &pattern, &new_value).await
        };
        match replaced.await {
            Ok(_) => results.push(ReplaceResult { file, success: true, error: None }),
            Err(error @ (Error::File { .. } | Error::Invalid { field: "path", .. })) => {
                results.push(ReplaceResult { file, success: false, error: Some(error.to_string()) });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(results))
}

/// Refuses a list that one request should not have.
pub(super) fn check_count(field: &str, got: usize) -> Result<(), Rejection> {
    let max = limits::FILES_MAX;
    if got <= max {
        return Ok(());
    }
    let problem = FieldProblem::TooLong { of: Sequence::Array, got, max };
    Err(Rejection::Field { part: Part::Body, field: field.to_owned(), problem })
}

fn mode(text: &str) -> Result<u32, Rejection> {
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| is_octal && *bits <= MODE_MAX);
    bits.ok_or_else(|| Rejection::query("mode", "must be octal digits up to 7777"))
}
