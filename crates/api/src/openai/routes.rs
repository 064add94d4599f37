//! Every path of the contract, under every prefix that a client may have been configured with.

use axum::http::Method;

use super::{OpenAi, container_files, containers, files};
use crate::routing::Routes;

/// `/v1` is OpenAI's and Bifrost's own; the bare form is for a base URL without `/v1`; the others are those of clients
/// that were written for Bifrost's OpenAI integration.
const PREFIXES: [&str; 4] = ["/v1", "", "/openai/v1", "/openai"];

/// The routes of the dialect.
pub(crate) fn routes() -> Routes<OpenAi> {
    Routes::<OpenAi>::under(PREFIXES)
        .owns("/v1")
        .owns("/openai")
        .with_trailing_slash()
        .on(Method::GET, "/containers", containers::list)
        .stream(Method::POST, "/containers", containers::create)
        .on(Method::GET, "/containers/{container_id}", containers::retrieve)
        .on(Method::DELETE, "/containers/{container_id}", containers::delete)
        .on(Method::GET, "/containers/{container_id}/files", container_files::list)
        .stream(Method::POST, "/containers/{container_id}/files", container_files::create)
        .on(Method::GET, "/containers/{container_id}/files/{file_id}", container_files::retrieve)
        .on(Method::DELETE, "/containers/{container_id}/files/{file_id}", container_files::delete)
        .stream(Method::GET, "/containers/{container_id}/files/{file_id}/content", container_files::content)
        .on(Method::GET, "/files", files::list)
        .stream(Method::POST, "/files", files::create)
        .on(Method::GET, "/files/{file_id}", files::retrieve)
        .on(Method::DELETE, "/files/{file_id}", files::delete)
        .stream(Method::GET, "/files/{file_id}/content", files::content)
}
