//! What operators and their monitors ask: is it alive, is it ready, how busy is it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use lazaret_core::Scope;

use crate::auth::authenticate;
use crate::context::RequestContext;
use crate::failure::{Failure, Rejection};
use crate::settings::App;

/// Media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process answers.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// The store answers, and so does what the server adds to that.
pub(crate) async fn readiness(State(app): State<App>) -> Result<&'static str, Failure> {
    app.core.check().await?;
    if let Some(ready) = &app.settings.ready {
        ready().await?;
    }
    Ok("ready\n")
}

/// Metrics, for peers on the loopback interface and for admins.
pub(crate) async fn metrics(
    State(app): State<App>,
    context: RequestContext,
    headers: axum::http::HeaderMap,
) -> Result<Response, Failure> {
    let local = context.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if !local {
        authenticate(&app, &headers, &context).await?.need(Scope::Admin)?;
    }
    let write = app.settings.metrics.as_ref().ok_or(Rejection::UnknownPath)?;
    Ok(([(CONTENT_TYPE, PROMETHEUS)], write()).into_response())
}
