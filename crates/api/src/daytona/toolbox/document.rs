//! The toolbox's OpenAPI document. Its paths are those behind `/toolbox/{id}`, as in the contract. What is not here, and
//! says so (`absent.rs`), is not in it.

use utoipa::OpenApi;

use super::{files, git, info, lsp, process, system};
use crate::daytona::document::{Key, text};

/// The toolbox's contract as an OpenAPI document, in JSON.
pub fn open_api() -> String {
    let mut document = Contract::openapi();
    document.merge(files::Document::openapi());
    document.merge(git::Document::openapi());
    document.merge(lsp::Document::openapi());
    document.merge(process::Document::openapi());
    text(&document)
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lazaret: Daytona's toolbox",
        description = "What Daytona's clients do inside one sandbox, which must run. Paths, names and shapes are those \
            of Daytona's contract, as far as this server goes; what it does not do answers with 501. Relative paths \
            begin in the working directory. Unknown keys are ignored. Every answer carries x-request-id.",
        version = "1"
    ),
    servers((
        url = "/toolbox/{id}",
        variables(("id" = (default = "00000000-0000-8000-8000-000000000000", description = "The sandbox's id")))
    )),
    security(("key" = [])),
    modifiers(&Key),
    paths(
        info::version, info::work_dir, info::home,
        system::set_env, system::ports, system::is_in_use, system::metrics
    )
)]
struct Contract;
