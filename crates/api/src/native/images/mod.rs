//! Images: what is here, what comes in, what goes.

mod build;
mod convert;
mod pull;
pub(super) mod wire;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{Error, ImportProgress, Kind, Limit};
use tokio::sync::watch;

pub(crate) use self::build::{__path_build, build};
pub(crate) use self::pull::{__path_pull, pull};
use super::error::ErrorBody;
use super::target::Asked;
use crate::body::{Upload, limited};
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// Every image that the key's account has, and the names that can be had. Those with a name, and those from a registry or an
/// archive, are all accounts'.
#[utoipa::path(get, path = "/lazaret/v1/images", operation_id = "list_images", tag = "images",
    responses((status = 200, body = wire::ImageList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, asked: Asked) -> Result<Json<wire::ImageList>, Failure> {
    let images = app.core.images.list(&asked.caller).await?;
    let offered = app.core.images.offered(&asked.caller).await?;
    Ok(Json(wire::ImageList {
        images: images.into_iter().map(wire::Image::from).collect(),
        catalogue: offered.into_iter().map(wire::OfferedImage::from).collect(),
    }))
}

/// Read an image from the body: what `docker save` writes, a tar of an OCI layout, or a tar of a root file system.
#[utoipa::path(post, path = "/lazaret/v1/images/import", operation_id = "import_image", tag = "images",
    params(wire::ImportQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 201, body = wire::Image), (status = "default", body = ErrorBody)))]
pub(crate) async fn import(
    State(app): State<App>,
    asked: Asked<wire::ImportQuery>,
    upload: Upload,
) -> Result<(StatusCode, Json<wire::Image>), Failure> {
    let body = limited(upload.into_body(), app.settings.image_max_bytes, Limit::ImageSize);
    let Asked { caller, query, .. } = asked;
    let source = query.source.unwrap_or_default().into();
    // The client knows how much it has sent; nobody else asks.
    let progress = watch::Sender::new(ImportProgress { bytes_read: 0, entries: 0 });
    let image = app.core.images.import(&caller, body, source, query.name.as_deref(), progress).await?;
    Ok((StatusCode::CREATED, Json(image.into())))
}

/// Remove a name, and the image behind it once nothing points at it.
#[utoipa::path(delete, path = "/lazaret/v1/images/{name}", operation_id = "delete_image", tag = "images",
    params(("name" = String, Path, description = "A name or digest")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, asked: Asked) -> Result<StatusCode, Failure> {
    let name = asked.params.text("name", Kind::Image)?;
    if name.is_empty() {
        return Err(Error::not_found(Kind::Image, name).into());
    }
    app.core.images.remove(&asked.caller, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
