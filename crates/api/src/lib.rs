//! One module per dialect; each converts, calls the core and converts back.
//!
//! | Dialect | Mounted at |
//! | --- | --- |
//! | native | `/lazaret/v1/...`, and `/healthz`, `/readyz`, `/metrics` |
//! | the twelve actions, as HTTP and as MCP tools | `/actions/...`, `/mcp` |
//! | Daytona's control API and toolbox | `/api/sandbox...` and its sisters, `/toolbox/{id}/...`, hosts `{port}-{id}.…` |
//! | OpenAI containers and files, with Bifrost's fields | `/v1/...`, also bare and under `/openai`, `/openai/v1` |
//!
//! ```text
//!   request ─▶ routing (raw path) ─▶ serve::<Dialect>: id · span · key · timeout · panic · log ─▶ handler ─▶ core
//!                                                 ▲                                                  │
//!                                                 └── Failure, put into the dialect's words ◀────────┘
//! ```
//!
//! A dialect is a folder with a type that implements `routing::Dialect`, a `routes()` that declares every route on
//! `routing::Routes` (with a key unless it says `open`, bounded in time unless it says `stream`), and handlers that take
//! `State<App>`, `auth::Authenticated`, `extract::{PathParams, Query, Json}` or `body::Upload` and return
//! `Result<_, Failure>`. It is wired by one line each in `router` and `routes` below.
//!
//! What dialects share is here once: routing, the layer around every route, extractors, failures on their way to a
//! body, the written forms of ids, streams, downloads. What is deliberately absent: rules about sandboxes (in the
//! core), settings and sockets (in the server), and any word of one dialect in another.

#![forbid(unsafe_code)]

mod access;
mod actions;
mod auth;
mod body;
mod context;
mod daytona;
mod download;
mod extract;
mod failure;
mod form;
mod ids;
mod native;
mod openai;
mod port_proxy;
mod rate;
mod routing;
mod serve;
mod settings;
mod web_socket;

use axum::Router;
use lazaret_core::services::Services;

pub use daytona::control::open_api as daytona_control_open_api;
pub use daytona::toolbox::open_api as daytona_toolbox_open_api;
pub use native::open_api;
pub use rate::RateSettings;
pub use routing::{Access, Answer, Route};
pub use settings::{ActionsSettings, ApiSettings, DaytonaSettings, MetricsHook, OpenAiSettings, ReadyHook};

use crate::native::Native;
use crate::routing::Routes;
use crate::settings::App;

/// Every dialect on one router.
///
/// The server gives it the peers' addresses (`into_make_service_with_connect_info::<SocketAddr>`, or the same extension
/// by hand) and bounds the time of a connection's first bytes, which the router does not see.
pub fn router(services: Services, settings: ApiSettings) -> Router {
    let app = App::new(services, settings);
    let apis = Router::new()
        .merge(native::routes().router(&app))
        .merge(openai::routes().router(&app))
        .merge(actions::routes().router(&app))
        .merge(daytona::control::routes().router(&app))
        .merge(daytona::toolbox::routes().router(&app))
        .fallback_service(Routes::<Native>::nothing(&app, "").with_state(app.clone()))
        .with_state(app.clone());
    daytona::by_host(&app, apis)
}

/// Every route of every dialect, for tests and documents.
pub fn routes() -> Vec<Route> {
    let mut table = native::routes().table();
    table.extend(openai::routes().table());
    table.extend(actions::routes().table());
    table.extend(daytona::control::routes().table());
    table.extend(daytona::toolbox::routes().table());
    table
}
