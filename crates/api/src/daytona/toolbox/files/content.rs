//! One file, down or up: with a key, or with a signature instead.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use lazaret_core::{Body, Error, FileEntry, FilePath, ReadRange, WriteOptions};

use super::super::error::ErrorBody;
use super::super::target::Target;
use super::listing::given;
use super::paths::Paths;
use super::signature::Signed;
use super::wire::{FileForm, PathQuery, Uploaded};
use crate::auth::authenticate;
use crate::body::Upload;
use crate::context::RequestContext;
use crate::download::{Wanted, respond};
use crate::extract::Json;
use crate::failure::{Failure, FieldProblem, Part as RequestPart, Rejection};
use crate::form::{Form, FormBounds, Part};
use crate::settings::App;

/// A form with one file, and what else a client puts beside it.
const FORM: FormBounds = FormBounds { parts_max: 16, file_max_bytes: None };

/// Who asks for one file.
enum Asker {
    Caller(Target<PathQuery>),
    Signed(Signed),
}

impl Asker {
    /// Takes the signature if the query has one, else the key.
    async fn of(app: &App, request: Request) -> Result<(Self, Request), Failure> {
        let (mut head, body) = request.into_parts();
        let asker = match Signed::of(&head, app).await? {
            Some(signed) => Self::Signed(signed),
            None => {
                let context = RequestContext::of(&head);
                let caller = authenticate(app, &head.headers, &context).await?;
                head.extensions.insert(caller);
                Self::Caller(Target::from_request_parts(&mut head, app).await?)
            }
        };
        Ok((asker, Request::from_parts(head, body)))
    }

    async fn path(&self, app: &App) -> Result<FilePath, Failure> {
        match self {
            Self::Caller(target) => {
                Ok(Paths::of(app, target).resolve(given(&target.query.path, "path")?).await?)
            }
            Self::Signed(signed) => signed.path(app).await,
        }
    }

    fn given(&self) -> &str {
        match self {
            Self::Caller(target) => &target.query.path,
            Self::Signed(signed) => signed.given(),
        }
    }

    async fn read(&self, app: &App, path: &FilePath) -> Result<(FileEntry, Body), Error> {
        match self {
            Self::Caller(Target { caller, id, .. }) => {
                app.core.files.read(caller, *id, None, path, ReadRange::default()).await
            }
            Self::Signed(signed) => app.core.signed_files.read(signed.id, &signed.proof, path).await,
        }
    }

    async fn write(&self, app: &App, path: &FilePath, body: Body) -> Result<FileEntry, Error> {
        let options = WriteOptions::default();
        match self {
            Self::Caller(Target { caller, id, .. }) => {
                app.core.files.write(caller, *id, None, path, &options, body).await
            }
            Self::Signed(signed) => {
                app.core.signed_files.write(signed.id, &signed.proof, path, &options, body).await
            }
        }
    }
}

/// A file's content.
#[utoipa::path(get, path = "/files/download", operation_id = "DownloadFile", tag = "files",
    security(("key" = []), ()),
    params(PathQuery,
        ("expires" = Option<i64>, Query, description = "With a signature: when it ends, in seconds; 0 for never"),
        ("signature" = Option<String>, Query, description = "In place of a key")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn download(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (asker, _) = Asker::of(&app, request).await?;
    let path = asker.path(&app).await?;
    let read = tokio::time::timeout(app.settings.request_timeout, asker.read(&app, &path));
    let (entry, body) = read.await.map_err(|_| Rejection::TimedOut)??;
    let mut response = respond(path.file_name(), entry.bytes, Wanted::Whole, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

/// Writes a file from the part `file` of a form.
#[utoipa::path(post, path = "/files/upload", operation_id = "UploadFileForm", tag = "files",
    params(PathQuery),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn upload(State(app): State<App>, request: Request) -> Result<StatusCode, Failure> {
    let (asker, request) = Asker::of(&app, request).await?;
    store(&app, &asker, request).await?;
    Ok(StatusCode::OK)
}

/// Writes a file from a form or from the body itself.
#[utoipa::path(post, path = "/files/upload-v2", operation_id = "UploadFile", tag = "files",
    security(("key" = []), ()),
    params(PathQuery,
        ("expires" = Option<i64>, Query, description = "With a signature: when it ends, in seconds; 0 for never"),
        ("signature" = Option<String>, Query, description = "In place of a key")),
    request_body(content((FileForm = "multipart/form-data"), (String = "application/octet-stream"))),
    responses((status = 200, body = Uploaded), (status = "default", body = ErrorBody)))]
pub(super) async fn upload_v2(State(app): State<App>, request: Request) -> Result<Json<Uploaded>, Failure> {
    let (asker, request) = Asker::of(&app, request).await?;
    let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        kind.to_str().is_ok_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"))
    });
    let entry = if is_form {
        store(&app, &asker, request).await?
    } else {
        let path = asker.path(&app).await?;
        let upload = Upload::from_request(request, &app).await?;
        upload.given_to(app.settings.request_timeout, |body| asker.write(&app, &path, body)).await?
    };
    let name = String::from_utf8_lossy(entry.path.file_name()).into_owned();
    Ok(Json(Uploaded { name, path: asker.given().to_owned(), kind: "file" }))
}

async fn store(app: &App, asker: &Asker, request: Request) -> Result<FileEntry, Failure> {
    let path = asker.path(app).await?;
    let mut form = Form::of(request, app.settings.body_idle_timeout, FORM)?;
    let mut written = None;
    while let Some(part) = form.next().await? {
        match part {
            Part::File { body, .. } if written.is_none() => {
                written = Some(asker.write(app, &path, body).await?);
            }
            Part::File { name, .. } => {
                let (part, problem) = (RequestPart::Body, FieldProblem::Duplicate);
                return Err(Rejection::Field { part, field: name, problem }.into());
            }
            Part::Text { .. } => {}
        }
    }
    let missing = Rejection::Field {
        part: RequestPart::Body,
        field: "file".to_owned(),
        problem: FieldProblem::Missing,
    };
    Ok(written.ok_or(missing)?)
}
