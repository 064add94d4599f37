//! `/files`: convert, call, convert.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use lazaret_core::services::NewUpload;
use lazaret_core::{Error, Kind, UploadId};

use super::FORM;
use super::exchange::{Answer, Exchange};
use super::listing::{FILE_LIMITS, ListQuery, envelope};
use super::paths;
use super::problem;
use super::wire::{Deleted, File, List};
use crate::auth::Authenticated;
use crate::download::{Wanted, respond};
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Rejection};
use crate::form::{Form, Part};
use crate::ids;
use crate::settings::App;

/// What an uploaded file may be for.
const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
/// The one anchor of a file's expiry.
const ANCHOR: &str = "created_at";
/// Range of `expires_after[seconds]`: an hour to thirty days.
const EXPIRY_SECONDS: (i64, i64) = (3600, 2_592_000);
/// The purpose whose files expire without being told to, after the longest time.
const EXPIRING_PURPOSE: &str = "batch";

/// What `POST` and `GET` of one answer.
type One = Result<Json<Answer<File>>, Failure>;

pub(super) async fn create(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    request: Request,
) -> One {
    let mut form = Form::of(request, app.settings.body_idle_timeout, FORM)?;
    let (mut staged, mut filename) = (None, String::new());
    let (mut purpose, mut anchor, mut seconds) = (None, None, None);
    while let Some(part) = form.next().await? {
        match part {
            Part::File { name, filename: given, body } if name == "file" => {
                if staged.is_some() {
                    return Err(problem::repeated("file").into());
                }
                filename = paths::base_name(&given);
                staged = Some(app.core.uploads.stage(&caller, body).await?);
            }
            Part::File { name, .. } => return Err(problem::unexpected_file(&name).into()),
            Part::Text { name, value } => match name.as_str() {
                "purpose" => purpose = Some(value),
                "expires_after[anchor]" => anchor = Some(value),
                "expires_after[seconds]" => seconds = Some(value),
                "provider" => exchange.note.set_provider(&value),
                _ => {}
            },
        }
    }
    exchange.check_provider("provider is required")?;
    let staged = staged.ok_or_else(|| problem::missing("file"))?;
    let purpose = purpose.ok_or_else(|| problem::missing("purpose"))?;
    if !PURPOSES.contains(&purpose.as_str()) {
        return Err(problem::not_one_of("purpose", &purpose, &PURPOSES).into());
    }
    let expires_in = expiry(&purpose, anchor.as_deref(), seconds.as_deref())?;
    let new = NewUpload { filename, purpose, expires_in };
    let upload = app.core.uploads.create(&caller, new, staged).await?;
    Ok(exchange.answer(upload.into()))
}

/// How long to keep a file; `None` for ever.
fn expiry(purpose: &str, anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<Duration>, Rejection> {
    let (low, high) = EXPIRY_SECONDS;
    let longest = Duration::from_secs(u64::try_from(high).expect("a positive constant"));
    match (anchor, seconds) {
        (None, None) => Ok((purpose == EXPIRING_PURPOSE).then_some(longest)),
        (None, Some(_)) => Err(problem::missing("expires_after[anchor]")),
        (Some(_), None) => Err(problem::missing("expires_after[seconds]")),
        (Some(anchor), Some(_)) if anchor != ANCHOR => {
            Err(problem::not_one_of("expires_after[anchor]", anchor, &[ANCHOR]))
        }
        (Some(_), Some(seconds)) => {
            let field = "expires_after[seconds]";
            let number = seconds.parse().map_err(|_| problem::not_an_integer(field))?;
            Ok(Some(Duration::from_secs(problem::check_integer(field, number, low, high)?)))
        }
    }
}

pub(super) async fn list(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
) -> Result<Json<Answer<List<File>>>, Failure> {
    let query = ListQuery::of(&exchange);
    let page = query.page(&exchange, &FILE_LIMITS, ids::parse_file)?;
    let found = app.core.uploads.list(&caller, query.get("purpose"), page).await?;
    Ok(exchange.answer(envelope(&exchange, found, |file: &File| &file.id)))
}

pub(super) async fn retrieve(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> One {
    Ok(exchange.answer(app.core.uploads.get(&caller, file_id(&params)?).await?.into()))
}

pub(super) async fn delete(
    State(app): State<App>,
    exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
) -> Result<Json<Answer<Deleted>>, Failure> {
    let id = file_id(&params)?;
    app.core.uploads.delete(&caller, id).await?;
    Ok(exchange.answer(Deleted { id: ids::file(id), object: "file", deleted: true }))
}

pub(super) async fn content(
    State(app): State<App>,
    _exchange: Exchange,
    Authenticated(caller): Authenticated,
    params: PathParams,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = file_id(&params)?;
    let upload = app.core.uploads.get(&caller, id).await?;
    let wanted = Wanted::of(&headers, upload.bytes)?;
    let (upload, body) = app.core.uploads.read(&caller, id, wanted.range()).await?;
    Ok(respond(upload.filename.as_bytes(), upload.bytes, wanted, body))
}

fn file_id(params: &PathParams) -> Result<UploadId, Error> {
    let text = params.text("file_id", Kind::Upload)?;
    ids::parse_file(text).ok_or_else(|| Error::not_found(Kind::Upload, text))
}
