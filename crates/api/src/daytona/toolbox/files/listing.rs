//! Looking at files: list, info, find, search.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use lazaret_core::{Links, TreeQuery};
use serde::Serialize;

use super::super::error::ErrorBody;
use super::super::target::Target;
use super::paths::{Paths, as_given};
use super::wire::{FileInfo, Found, ListQuery, Match, PathQuery, SearchQuery};
use crate::extract::Json;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::settings::App;

/// Says that there is more than the answer holds.
const TRUNCATED: HeaderName = HeaderName::from_static("x-lazaret-truncated");

/// The entries of a directory, or of its tree to a depth.
#[utoipa::path(get, path = "/files", operation_id = "ListFiles", tag = "files",
    params(ListQuery),
    responses((status = 200, body = Vec<FileInfo>), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, target: Target<ListQuery>) -> Result<Response, Failure> {
    let path = Paths::of(&app, &target).resolve(&target.query.path).await?;
    let depth = Some(target.query.depth.unwrap_or(1));
    let query = TreeQuery { depth, name: None, links: Links::Followed };
    let listing = app.core.files.tree(&target.caller, target.id, None, &path, &query).await?;
    let mut entries = listing.entries;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let infos: Vec<FileInfo> = entries.into_iter().map(FileInfo::from).collect();
    Ok(answer(&infos, listing.truncated))
}

/// What a path is.
#[utoipa::path(get, path = "/files/info", operation_id = "GetFileInfo", tag = "files",
    params(PathQuery),
    responses((status = 200, body = FileInfo), (status = "default", body = ErrorBody)))]
pub(super) async fn info(
    State(app): State<App>,
    target: Target<PathQuery>,
) -> Result<Json<FileInfo>, Failure> {
    let path = Paths::of(&app, &target).resolve(given(&target.query.path, "path")?).await?;
    let entry = app.core.files.stat(&target.caller, target.id, None, &path, Links::Followed).await?;
    Ok(Json(entry.into()))
}

/// The lines with a text.
#[utoipa::path(get, path = "/files/find", operation_id = "FindInFiles", tag = "files",
    params(SearchQuery),
    responses((status = 200, body = Vec<Match>), (status = "default", body = ErrorBody)))]
pub(super) async fn find(State(app): State<App>, target: Target<SearchQuery>) -> Result<Response, Failure> {
    let asked = given(&target.query.path, "path")?;
    let path = Paths::of(&app, &target).resolve(asked).await?;
    let text = &target.query.pattern;
    let found = app.core.files.find_text(&target.caller, target.id, None, &path, text).await?;
    let matches = found.lines.into_iter().map(|line| Match {
        file: as_given(&line.path, &path, asked),
        line: line.line,
        content: String::from_utf8_lossy(&line.text).into_owned(),
    });
    Ok(answer(&matches.collect::<Vec<_>>(), found.truncated))
}

/// The paths whose last name matches a glob.
#[utoipa::path(get, path = "/files/search", operation_id = "SearchFiles", tag = "files",
    params(SearchQuery),
    responses((status = 200, body = Found), (status = "default", body = ErrorBody)))]
pub(super) async fn search(State(app): State<App>, target: Target<SearchQuery>) -> Result<Response, Failure> {
    let asked = given(&target.query.path, "path")?;
    let path = Paths::of(&app, &target).resolve(asked).await?;
    let query = TreeQuery { depth: None, name: Some(target.query.pattern.clone()), links: Links::Kept };
    let listing = app.core.files.tree(&target.caller, target.id, None, &path, &query).await?;
    let mut files: Vec<String> =
        listing.entries.iter().map(|entry| as_given(&entry.path, &path, asked)).collect();
    files.sort();
    Ok(answer(&Found { files }, listing.truncated))
}

/// The value of a parameter, which must be one.
pub(super) fn given<'a>(text: &'a str, field: &str) -> Result<&'a str, Failure> {
    if text.is_empty() {
        let (part, field) = (Part::Query, field.to_owned());
        return Err(Rejection::Field { part, field, problem: FieldProblem::Missing }.into());
    }
    Ok(text)
}

fn answer<T: Serialize>(body: &T, truncated: bool) -> Response {
    let mut response = axum::Json(body).into_response();
    if truncated {
        response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    response
}
