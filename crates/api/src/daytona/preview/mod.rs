//! Ports of sandboxes at host names of their own: `{port}-{sandbox id}.{domain}`, or `{port}-{signed}.{domain}`.
//!
//! ```text
//!   request ─▶ is its host a preview's? ── no ──▶ the APIs
//!                     │ yes: the APIs are never asked
//!                     ▼
//!              key · token · token in the query · pass in a cookie · public · signed ─▶ Admission ─▶ port inside
//!                     └── all of these stay here ──┘
//! ```
//!
//! | File | Subject |
//! | --- | --- |
//! | `host.rs` | host names, both ways |
//! | `ticket.rs` | what a client shows, taken out of its request |
//! | `show.rs` | the one handler |
//!
//! A page of a tenant has a host of its own here, and with it all the rights of a page, cookies of its own included.

mod host;
mod show;
mod ticket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use lazaret_core::Error;
use tower::Service;

pub(super) use host::{Label, address};

use super::control::Control;
use crate::context::RequestContext;
use crate::failure::{Failure, Rejection};
use crate::routing::{Access, Answer, Dialect};
use crate::serve::{Guarded, serve};
use crate::settings::App;

/// Previews answer their own failures as the control API does.
enum Preview {}

impl Dialect for Preview {
    const NAME: &'static str = "daytona_preview";
    const STRICT_MEDIA_TYPE: bool = false;
    type Note = ();

    fn note(_head: &Parts) {}

    fn failure(failure: &Failure, context: &RequestContext, note: &()) -> Response {
        match failure {
            // To a browser, the server inside is what is behind a gateway.
            Failure::Core(Error::PortClosed { .. }) => {
                let message = failure.to_string();
                let told = Rejection::Worded { status: StatusCode::BAD_GATEWAY, code: "", message };
                Control::failure(&told.into(), context, note)
            }
            other => Control::failure(other, context, note),
        }
    }
}

/// What decides between previews and APIs.
struct Switch {
    app: App,
    previews: Router,
}

/// The APIs, behind the hosts of previews.
pub(crate) fn by_host(app: &App, apis: Router) -> Router {
    const METHODS: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    let policies = METHODS.map(|method| (method, Access::Own, Answer::Unbounded)).to_vec();
    let guarded = Guarded::new(app, "preview", policies);
    let shown = any(show::show).layer(from_fn_with_state(guarded, serve::<Preview>));
    let previews = Router::new().fallback_service(shown.with_state(app.clone()));
    let switch = Arc::new(Switch { app: app.clone(), previews });
    apis.layer(from_fn_with_state(switch, choose))
}

async fn choose(State(switch): State<Arc<Switch>>, mut request: Request, next: Next) -> Response {
    let domain = switch.app.settings.daytona.preview_domain.as_deref();
    match host::Wanted::of(&request, domain) {
        None => next.run(request).await,
        Some(wanted) => {
            request.extensions_mut().insert(wanted);
            let mut previews = switch.previews.clone();
            let Ok(answer) = previews.call(request).await;
            answer
        }
    }
}
