//! `/containers`: convert, call, convert.

use axum::extract::{Request, State};
use lazaret_core::services::SandboxFilter;
use lazaret_core::{Error, FilePath, Kind, SandboxId, SeedFile};

use super::exchange::{Answer, Exchange};
use super::listing::{CONTAINER_LIMITS, ListQuery, envelope};
use super::problem;
use super::wire::{Container, Deleted, List, NamedProvider, NewContainer};
use super::{convert, paths};
use crate::auth::Authenticated;
use crate::extract::{Json, PathParams, parse, read_json};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// What `POST`, `GET` of one and the like answer.
type One = Result<Json<Answer<Container>>, Failure>;

pub(super) async fn create(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    request: Request,
) -> One {
    let bytes = read_json(request, &app).await?;
    // The answer to a body that is otherwise wrong depends on it.
    if let NamedProvider { provider: Some(provider) } = parse(&bytes)? {
        exchange.note.set_provider(&provider);
    }
    exchange.check_provider("provider is required")?;
    let new: NewContainer = parse(&bytes)?;
    let mut spec = convert::spec(&new, app.core.sandboxes.default_resources(), &app.settings.openai)?;
    let wanted = new.file_ids.unwrap_or_default();
    if wanted.len() > lazaret_core::limits::SEED_FILES_MAX {
        return Err(
            problem::array_too_long("file_ids", lazaret_core::limits::SEED_FILES_MAX, wanted.len()).into()
        );
    }
    for text in wanted {
        let id = ids::parse_file(&text).ok_or_else(|| Error::not_found(Kind::Upload, &text))?;
        let upload = app.core.uploads.get(&caller, id).await?;
        let path = free_path(&app, &spec.files, &upload.filename)?;
        spec.files.push(SeedFile { upload: id, path });
    }
    match app.core.sandboxes.create(&caller, spec).await {
        // The one thing of a creation that is asked for and may not be built.
        Err(Error::Unsupported { .. }) => Err(problem::unsupported("network_policy").into()),
        made => Ok(exchange.answer(made?.into())),
    }
}

/// Where the copy of a file goes: two may have the same name.
fn free_path(app: &App, others: &[SeedFile], filename: &str) -> Result<FilePath, Rejection> {
    if app.settings.openai.plain_names {
        let plain = paths::plain(filename)?;
        if others.iter().all(|other| other.path != plain) {
            return Ok(plain);
        }
    }
    paths::unique(filename)
}

pub(super) async fn list(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
) -> Result<Json<Answer<List<Container>>>, Failure> {
    let query = ListQuery::of(&exchange);
    let page = query.page(&exchange, &CONTAINER_LIMITS, ids::parse_container)?;
    let filter = SandboxFilter { name: query.get("name").map(str::to_owned), ..SandboxFilter::default() };
    let found = app.core.sandboxes.list(&caller, &filter, page).await?;
    Ok(exchange.answer(envelope(&exchange, found, |container: &Container| &container.id)))
}

pub(super) async fn retrieve(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> One {
    let sandbox = app.core.sandboxes.get_and_renew(&caller, container_id(&params)?).await?;
    Ok(exchange.answer(sandbox.into()))
}

pub(super) async fn delete(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> Result<Json<Answer<Deleted>>, Failure> {
    let id = container_id(&params)?;
    app.core.sandboxes.delete(&caller, id).await?;
    Ok(exchange.answer(Deleted { id: ids::container(id), object: "container.deleted", deleted: true }))
}

/// The sandbox that the path names; whatever is no id of ours is simply not found.
pub(super) fn container_id(params: &PathParams) -> Result<SandboxId, Error> {
    let text = params.text("container_id", Kind::Sandbox)?;
    ids::parse_container(text).ok_or_else(|| Error::not_found(Kind::Sandbox, text))
}
