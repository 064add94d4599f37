//! `/containers/{id}/files`: convert, call, convert.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use lazaret_core::{Caller, CatalogueEntry, CatalogueEntryId, Error, FilePath, Kind, Links, SandboxId};

use super::FORM;
use super::containers::container_id;
use super::exchange::{Answer, Exchange};
use super::listing::{CONTAINER_LIMITS, ListQuery, envelope};
use super::paths;
use super::problem;
use super::wire::{ContainerFile, Deleted, List, NamedProvider, NewContainerFile};
use crate::auth::Authenticated;
use crate::download::{Wanted, respond};
use crate::extract::{Json, PathParams, parse, read_json};
use crate::failure::{Failure, Rejection};
use crate::form::{Form, Part};
use crate::ids;
use crate::settings::App;

/// What `POST` and `GET` of one answer.
type One = Result<Json<Answer<ContainerFile>>, Failure>;

/// The media types of a creation, for the refusal of others.
const CREATE_TYPES: &str = "multipart/form-data or application/json";

pub(super) async fn create(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
    request: Request,
) -> One {
    let id = usable_container(&app, &caller, &params).await?;
    let entry = match media_type(request.headers()).as_deref() {
        Some("multipart/form-data") => from_form(&app, &exchange, &caller, id, request).await?,
        None | Some("application/json") => from_upload(&app, &exchange, &caller, id, request).await?,
        Some(_) => return Err(Rejection::WrongMediaType { expected: CREATE_TYPES }.into()),
    };
    Ok(exchange.answer(entry.into()))
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A file in the body itself. Its parts come in any order, so it waits inside the sandbox until its path is known.
async fn from_form(
    app: &App,
    exchange: &Exchange,
    caller: &Caller,
    id: SandboxId,
    request: Request,
) -> Result<CatalogueEntry, Failure> {
    let catalogue = &app.core.catalogue;
    let mut form = Form::of(request, app.settings.body_idle_timeout, FORM)?;
    let (mut staged, mut filename) = (None, String::new());
    let (mut file_id, mut file_path) = (None, None);
    while let Some(part) = form.next().await? {
        match part {
            Part::File { name, filename: given, body } if name == "file" => {
                if staged.is_some() {
                    return Err(problem::repeated("file").into());
                }
                filename = paths::base_name(&given);
                staged = Some(catalogue.stage(caller, id, body).await?);
            }
            Part::File { name, .. } => return Err(problem::unexpected_file(&name).into()),
            Part::Text { name, value } => match name.as_str() {
                "file_id" => file_id = Some(value),
                "file_path" => file_path = Some(value),
                "provider" => exchange.note.set_provider(&value),
                _ => {}
            },
        }
    }
    exchange.check_provider("provider query parameter is required")?;
    let path = file_path.as_deref().map(paths::exact).transpose()?;
    match (staged, file_id) {
        (Some(staged), _) => {
            let path = match path {
                Some(path) => path,
                None => free_path(app, caller, id, &filename).await?,
            };
            Ok(catalogue.place(caller, staged, &path).await?)
        }
        (None, Some(file_id)) => copy(app, caller, id, &file_id, path).await,
        (None, None) => Err(problem::missing("file").into()),
    }
}

/// A copy of an uploaded file.
async fn from_upload(
    app: &App,
    exchange: &Exchange,
    caller: &Caller,
    id: SandboxId,
    request: Request,
) -> Result<CatalogueEntry, Failure> {
    let bytes = read_json(request, app).await?;
    let bytes = if bytes.is_empty() { "{}".into() } else { bytes };
    if let NamedProvider { provider: Some(provider) } = parse(&bytes)? {
        exchange.note.set_provider(&provider);
    }
    exchange.check_provider("provider query parameter is required")?;
    let new: NewContainerFile = parse(&bytes)?;
    let path = new.file_path.as_deref().map(paths::exact).transpose()?;
    match new.file_id {
        Some(file_id) => copy(app, caller, id, &file_id, path).await,
        None => Err(problem::missing("file").into()),
    }
}

async fn copy(
    app: &App,
    caller: &Caller,
    id: SandboxId,
    file_id: &str,
    path: Option<FilePath>,
) -> Result<CatalogueEntry, Failure> {
    let upload = ids::parse_file(file_id).ok_or_else(|| Error::not_found(Kind::Upload, file_id))?;
    let path = match path {
        Some(path) => path,
        None => {
            let filename = app.core.uploads.get(caller, upload).await?.filename;
            free_path(app, caller, id, &filename).await?
        }
    };
    Ok(app.core.catalogue.copy_upload(caller, id, upload, &path).await?)
}

/// Where a file goes whose client named no path.
async fn free_path(app: &App, caller: &Caller, id: SandboxId, filename: &str) -> Result<FilePath, Failure> {
    if app.settings.openai.plain_names {
        let plain = paths::plain(filename)?;
        match app.core.files.stat(caller, id, None, &plain, Links::Kept).await {
            Err(Error::File { problem: lazaret_core::FileProblem::NotFound, .. }) => return Ok(plain),
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. })) => return Err(error.into()),
            // Something is there, or cannot be looked at: the prefix makes the name free.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(paths::unique(filename)?)
}

pub(super) async fn list(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> Result<Json<Answer<List<ContainerFile>>>, Failure> {
    let id = usable_container(&app, &caller, &params).await?;
    let page = ListQuery::of(&exchange).page(&exchange, &CONTAINER_LIMITS, ids::parse_container_file)?;
    let found = app.core.catalogue.list(&caller, id, page).await?;
    Ok(exchange.answer(envelope(&exchange, found, |file: &ContainerFile| &file.id)))
}

pub(super) async fn retrieve(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> One {
    let (id, file) = container_file(&app, &caller, &params).await?;
    Ok(exchange.answer(app.core.catalogue.get(&caller, id, file).await?.into()))
}

pub(super) async fn delete(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> Result<Json<Answer<Deleted>>, Failure> {
    let (id, file) = container_file(&app, &caller, &params).await?;
    app.core.catalogue.delete(&caller, id, file).await?;
    let id = ids::container_file(file);
    Ok(exchange.answer(Deleted { id, object: "container.file.deleted", deleted: true }))
}

pub(super) async fn content(
    State(app): State<App>,
    _exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (id, file) = container_file(&app, &caller, &params).await?;
    let wanted = if Wanted::is_asked(&headers) {
        Wanted::of(&headers, app.core.catalogue.get(&caller, id, file).await?.bytes)?
    } else {
        Wanted::Whole
    };
    let (entry, body) = app.core.catalogue.read(&caller, id, file, wanted.range()).await?;
    Ok(respond(entry.path.file_name(), entry.bytes, wanted, body))
}

/// The container that the path names. One that is gone or expired is told of before anything else that is wrong.
async fn usable_container(app: &App, caller: &Caller, params: &PathParams) -> Result<SandboxId, Failure> {
    let id = container_id(params)?;
    app.core.sandboxes.check_usable(caller, id).await?;
    Ok(id)
}

/// The file that the path names, and its container.
async fn container_file(
    app: &App,
    caller: &Caller,
    params: &PathParams,
) -> Result<(SandboxId, CatalogueEntryId), Failure> {
    let id = usable_container(app, caller, params).await?;
    let text = params.text("file_id", Kind::CatalogueEntry)?;
    let file = ids::parse_container_file(text).ok_or_else(|| Error::not_found(Kind::CatalogueEntry, text))?;
    Ok((id, file))
}
