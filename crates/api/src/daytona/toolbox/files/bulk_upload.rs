//! Many files up, in one form: `files[i].path` and `files[i].file`, in any order of `i`, each path before its file.
//!
//! Every file goes to its place as it comes. One that fails does not end the others, and the body is read to its end, so that
//! a client that sends all before it listens hears the answer.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lazaret_core::{Error, WriteOptions, limits};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error::{ErrorBody, worded};
use super::super::target::{Anything, Target};
use super::paths::Paths;
use crate::context::RequestContext;
use crate::extract::Json;
use crate::failure::Failure;
use crate::form::{Form, FormBounds, Part};
use crate::settings::App;

/// A path and a file for each.
const FORM: FormBounds = FormBounds { parts_max: 2 * limits::FILES_MAX, file_max_bytes: None };

/// A file that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Written {
    path: String,
    bytes: u64,
}

/// The files that were written: all of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WrittenFiles)]
pub(super) struct Answer {
    files: Vec<Written>,
}

/// Some of them: the failure as any other, and which files are there.
#[derive(Debug, Serialize)]
struct Partly<B> {
    #[serde(flatten)]
    failure: B,
    errors: Vec<String>,
    files: Vec<Written>,
}

/// Writes many files from the parts `files[0].path`, `files[0].file` and so on of one form. One that fails does not end the others.
#[utoipa::path(post, path = "/files/bulk-upload", operation_id = "UploadFiles", tag = "files",
    request_body(content = Object, content_type = "multipart/form-data"),
    responses((status = 200, body = Answer), (status = "default", body = ErrorBody)))]
pub(super) async fn upload(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut head, body) = request.into_parts();
    let context = RequestContext::of(&head);
    let target = Target::<Anything>::from_request_parts(&mut head, &app).await?;
    let mut form = Form::of(Request::from_parts(head, body), app.settings.body_idle_timeout, FORM)?;
    let mut paths = Paths::of(&app, &target);
    let mut destinations = HashMap::new();
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    while let Some(part) = form.next().await? {
        match part {
            Part::Text { name, value } => {
                if let Some(index) = index(&name, "path") {
                    destinations.insert(index, value.trim().to_owned());
                }
            }
            Part::File { name, body, .. } => {
                let Some(index) = index(&name, "file") else { continue };
                let Some(path) = destinations.remove(&index).filter(|path| !path.is_empty()) else {
                    errors.push(format!("file[{index}]: missing .path metadata"));
                    continue;
                };
                let written = async {
                    let place = paths.resolve(&path).await?;
                    let options = WriteOptions::default();
                    let (caller, id) = (&target.caller, target.id);
                    app.core.files.write(caller, id, None, &place, &options, body).await
                };
                match written.await {
                    Ok(entry) => files.push(Written { path, bytes: entry.bytes }),
                    // What is wrong with the body itself is wrong with all that follows.
                    Err(error @ (Error::File { .. } | Error::Invalid { field: "path", .. })) => {
                        errors.push(format!("{path}: {error}"));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    if errors.is_empty() {
        return Ok(Json(Answer { files }).into_response());
    }
    let failure = worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", errors.join(", "));
    let (status, failure) = ErrorBody::of(&failure, &context);
    Ok((status, axum::Json(Partly { failure, errors, files })).into_response())
}

/// The number in `files[12].path`, for a part of this kind.
fn index(name: &str, kind: &str) -> Option<u32> {
    let (number, rest) = name.strip_prefix("files[")?.split_once("].")?;
    (rest == kind).then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_belongs_to_the_file_of_its_number() {
        for (name, kind, want) in [
            ("files[0].path", "path", Some(0)),
            ("files[12].file", "file", Some(12)),
            ("files[12].file", "path", None),
            ("files[].file", "file", None),
            ("files[-1].file", "file", None),
            ("files[99999999999].file", "file", None),
            ("file", "file", None),
        ] {
            assert_eq!(index(name, kind), want, "{name}");
        }
    }
}
