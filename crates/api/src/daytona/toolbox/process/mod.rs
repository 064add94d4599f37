//! What runs inside: shell text, snippets, sessions, terminals, interpreters.
//!
//! | File | Subject |
//! | --- | --- |
//! | `execute.rs` | shell text, to its end |
//! | `code_run.rs`, `chart.rs` | snippets, to their end; the figures that they show |
//! | `sessions.rs`, `session_log.rs`, `marks.rs` | shells that stay; their logs, whose lines are marked by stream |
//! | `pty.rs`, `pty_socket.rs` | terminals |
//! | `interpreter.rs` | Python that keeps its variables |
//! | `asked.rs` | what their requests have in common |

mod asked;
mod chart;
mod code_run;
mod execute;
mod interpreter;
mod marks;
mod pty;
mod pty_socket;
mod session_log;
mod sessions;

use axum::http::Method;
use utoipa::OpenApi;

use super::error::Toolbox;
use crate::routing::Routes;

pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    routes
        .stream(POST, "/process/execute", execute::execute)
        .stream(POST, "/process/code-run", code_run::code_run)
        .on(POST, "/process/session", sessions::create)
        .on(GET, "/process/session", sessions::list)
        .on(GET, "/process/session/entrypoint", sessions::entrypoint)
        .on(GET, "/process/session/entrypoint/logs", sessions::entrypoint_logs)
        .on(GET, "/process/session/{session}", sessions::show)
        .on(DELETE, "/process/session/{session}", sessions::delete)
        .stream(POST, "/process/session/{session}/exec", sessions::exec)
        .on(GET, "/process/session/{session}/command/{command}", sessions::command)
        .on(POST, "/process/session/{session}/command/{command}/input", sessions::input)
        .stream(GET, "/process/session/{session}/command/{command}/logs", session_log::logs)
        .on(POST, "/process/pty", pty::create)
        .on(GET, "/process/pty", pty::list)
        .stream(GET, "/process/pty/create-connect", pty::create_connect)
        .on(GET, "/process/pty/{pty}", pty::show)
        .on(DELETE, "/process/pty/{pty}", pty::delete)
        .on(POST, "/process/pty/{pty}/resize", pty::resize)
        .stream(GET, "/process/pty/{pty}/connect", pty::connect)
        .on(POST, "/process/interpreter/context", interpreter::create)
        .on(GET, "/process/interpreter/context", interpreter::list)
        .on(DELETE, "/process/interpreter/context/{context}", interpreter::delete)
        .stream(GET, "/process/interpreter/execute", interpreter::execute)
}

/// Their part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(
    execute::execute,
    code_run::code_run,
    sessions::create,
    sessions::list,
    sessions::entrypoint,
    sessions::entrypoint_logs,
    sessions::show,
    sessions::delete,
    sessions::exec,
    sessions::command,
    sessions::input,
    session_log::logs,
    pty::create,
    pty::list,
    pty::create_connect,
    pty::show,
    pty::delete,
    pty::resize,
    pty::connect,
    interpreter::create,
    interpreter::list,
    interpreter::delete,
    interpreter::execute
))]
pub(super) struct Document;
