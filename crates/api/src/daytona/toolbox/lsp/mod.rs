//! Language servers in a sandbox, as clients of the toolbox know them, over the core's.
//!
//! | File | Subject |
//! | --- | --- |
//! | `wire.rs` | the shapes, and which of a server's own answers become which |
//! | `place.rs` | the project and the document that a request means |
//!
//! Oddities that stay here: a document's `uri` is `file://` and a path as it is, nothing in it is an escape; stopping what does
//! not run is no failure.

mod place;
mod wire;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use lazaret_core::TextPosition;
use utoipa::OpenApi;

use self::place::{document, project};
use self::wire::{
    Completions, CompletionsRequest, DocumentQuery, DocumentRequest, ServerRequest, Symbol, SymbolQuery,
};
use super::error::{ErrorBody, Toolbox};
use super::target::Target;
use crate::extract::Json;
use crate::failure::Failure;
use crate::routing::Routes;
use crate::settings::App;

/// The routes. Each has the core's own limit on its time.
pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    routes
        .stream(Method::POST, "/lsp/start", start)
        .stream(Method::POST, "/lsp/stop", stop)
        .stream(Method::POST, "/lsp/did-open", did_open)
        .stream(Method::POST, "/lsp/did-close", did_close)
        .stream(Method::POST, "/lsp/completions", completions)
        .stream(Method::GET, "/lsp/document-symbols", document_symbols)
        .stream(Method::GET, "/lsp/workspacesymbols", workspace_symbols)
}

/// Their part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(start, stop, did_open, did_close, completions, document_symbols, workspace_symbols))]
pub(super) struct Document;

/// Starts the language server of a project, unless it runs.
#[utoipa::path(post, path = "/lsp/start", operation_id = "Start", tag = "lsp",
    request_body = ServerRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
async fn start(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ServerRequest>,
) -> Result<StatusCode, Failure> {
    let project = project(&app, &target, &request.language_id, &request.path_to_project).await?;
    app.core.language_servers.start(&target.caller, target.id, project).await?;
    Ok(StatusCode::OK)
}

/// Stops the language server of a project, if there is one.
#[utoipa::path(post, path = "/lsp/stop", operation_id = "Stop", tag = "lsp",
    request_body = ServerRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
async fn stop(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ServerRequest>,
) -> Result<StatusCode, Failure> {
    let project = project(&app, &target, &request.language_id, &request.path_to_project).await?;
    app.core.language_servers.stop(&target.caller, target.id, &project).await?;
    Ok(StatusCode::OK)
}

/// Tells the server what is in a file now.
#[utoipa::path(post, path = "/lsp/did-open", operation_id = "DidOpen", tag = "lsp",
    request_body = DocumentRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
async fn did_open(
    State(app): State<App>,
    target: Target,
    Json(request): Json<DocumentRequest>,
) -> Result<StatusCode, Failure> {
    let project = project(&app, &target, &request.language_id, &request.path_to_project).await?;
    let path = document(&project, &request.path_to_project, &request.uri)?;
    app.core.language_servers.open(&target.caller, target.id, &project, &path).await?;
    Ok(StatusCode::OK)
}

/// Tells the server that nobody looks at a file any more.
#[utoipa::path(post, path = "/lsp/did-close", operation_id = "DidClose", tag = "lsp",
    request_body = DocumentRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
async fn did_close(
    State(app): State<App>,
    target: Target,
    Json(request): Json<DocumentRequest>,
) -> Result<StatusCode, Failure> {
    let project = project(&app, &target, &request.language_id, &request.path_to_project).await?;
    let path = document(&project, &request.path_to_project, &request.uri)?;
    app.core.language_servers.close(&target.caller, target.id, &project, &path).await?;
    Ok(StatusCode::OK)
}

/// What could be written at a place of a file.
#[utoipa::path(post, path = "/lsp/completions", operation_id = "Completions", tag = "lsp",
    request_body = CompletionsRequest,
    responses((status = 200, body = Completions), (status = "default", body = ErrorBody)))]
async fn completions(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CompletionsRequest>,
) -> Result<Json<Completions>, Failure> {
    let project = project(&app, &target, &request.language_id, &request.path_to_project).await?;
    let path = document(&project, &request.path_to_project, &request.uri)?;
    let position = TextPosition { line: request.position.line, character: request.position.character };
    let trigger = request.context.map(Into::into);
    let servers = &app.core.language_servers;
    let said = servers.complete(&target.caller, target.id, &project, &path, position, trigger).await?;
    Ok(Json(wire::completions(&said)?))
}

/// What a file defines.
#[utoipa::path(get, path = "/lsp/document-symbols", operation_id = "DocumentSymbols", tag = "lsp",
    params(DocumentQuery),
    responses((status = 200, body = Vec<Symbol>), (status = "default", body = ErrorBody)))]
async fn document_symbols(
    State(app): State<App>,
    target: Target<DocumentQuery>,
) -> Result<Json<Vec<Symbol>>, Failure> {
    let query = &target.query;
    let project = project(&app, &target, &query.language_id, &query.path_to_project).await?;
    let path = document(&project, &query.path_to_project, &query.uri)?;
    let servers = &app.core.language_servers;
    let said = servers.document_symbols(&target.caller, target.id, &project, &path).await?;
    Ok(Json(wire::symbols(&said, &query.uri)?))
}

/// What the project defines by such a name. Many servers do not know the question, and say so.
#[utoipa::path(get, path = "/lsp/workspacesymbols", operation_id = "WorkspaceSymbols", tag = "lsp",
    params(SymbolQuery),
    responses((status = 200, body = Vec<Symbol>), (status = "default", body = ErrorBody)))]
async fn workspace_symbols(
    State(app): State<App>,
    target: Target<SymbolQuery>,
) -> Result<Json<Vec<Symbol>>, Failure> {
    let query = &target.query;
    let project = project(&app, &target, &query.language_id, &query.path_to_project).await?;
    let servers = &app.core.language_servers;
    let said = servers.project_symbols(&target.caller, target.id, &project, &query.query).await?;
    Ok(Json(wire::symbols(&said, "")?))
}
