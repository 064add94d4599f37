//! Daytona's toolbox: what a client does inside one sandbox.
//!
//! | File | Subject |
//! | --- | --- |
//! | `target.rs` | the sandbox that a path means, by id alone, which must run; where relative paths begin in it |
//! | `info.rs` | version and directories |
//! | `files/` | files of the sandbox, one or many, by a key or by a signature |
//! | `git/` | repositories of the sandbox |
//! | `process/` | shell text, snippets, sessions, terminals, interpreters |
//! | `lsp/` | language servers |
//! | `system.rs` | variables, ports, what it uses |
//! | `absent.rs` | what is not here, and says so |
//! | `document.rs` | the OpenAPI document, of each subject's part |
//! | `error.rs` | one answer for each failure, with the codes that clients make their exceptions of |
//!
//! Each further subject is a folder with a `routes` of its own that is chained in [`routes`], and a `Document` of its own.

mod absent;
mod document;
mod error;
mod files;
mod git;
mod info;
mod lsp;
mod process;
mod system;
mod target;

pub use document::open_api;
pub(crate) use error::Toolbox;

use crate::routing::Routes;

/// The routes.
pub(crate) fn routes() -> Routes<Toolbox> {
    let routes = Routes::<Toolbox>::under(["/toolbox/{id}"]).owns("/toolbox/{id}");
    let routes = info::routes(routes);
    let routes = files::routes(routes);
    let routes = git::routes(routes);
    let routes = process::routes(routes);
    let routes = lsp::routes(routes);
    let routes = system::routes(routes);
    absent::routes(routes)
}
