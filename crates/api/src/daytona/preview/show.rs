//! The one handler: lets in, and forwards.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, HOST, LOCATION, SET_COOKIE, UPGRADE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use lazaret_core::services::{Admission, Ticket};
use lazaret_core::{Error, Kind, SandboxId, limits};

use super::super::activity::activity;
use super::host::{Label, Wanted};
use super::ticket::{self, Shown};
use crate::context::RequestContext;
use crate::failure::{Failure, Rejection};
use crate::port_proxy::{Credentials, Destination, forward};
use crate::settings::App;

/// Asks a port of a sandbox, if the client may.
pub(super) async fn show(
    State(app): State<App>,
    context: RequestContext,
    mut request: Request,
) -> Result<Response, Failure> {
    let wanted = request.extensions_mut().remove::<Wanted>().ok_or(Rejection::UnknownPath)?;
    let Some((port, label)) = wanted.place else {
        return Err(Error::not_found(Kind::Sandbox, wanted.host).into());
    };
    let id = match &label {
        Label::Sandbox(id) => *id,
        Label::Signed(preview) => preview.sandbox(),
    };
    tracing::Span::current().record("sandbox.id", tracing::field::display(id));
    let shown = ticket::take(&app, &mut request, id).await;
    let entered = match &label {
        Label::Signed(preview) => {
            let admission = app.core.previews.admit_signed(preview, port).await;
            ticket::hide_signed(request.headers_mut(), &label.text(), id);
            admission.map(|admission| (admission, Way::Other))
        }
        Label::Sandbox(_) => enter(&app, id, port, &shown).await,
    };
    let (admission, way) = match entered {
        Ok(entered) => entered,
        Err(error @ Error::Unauthenticated) => {
            // Guessing costs the address what guessing keys costs it.
            if let Some(peer) = context.peer {
                app.rates.refusal(peer.ip()).map_err(|retry_after| Rejection::TooMany { retry_after })?;
            }
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(caller) = &shown.caller {
        app.rates.request(caller.key).map_err(|retry_after| Rejection::TooMany { retry_after })?;
    }
    let cookie = match way {
        Way::Query => Some(cookie(&app, &admission).await?),
        Way::Other => None,
    };
    if let Some(cookie) = &cookie
        && is_visit(&request)
    {
        return redirect(&request, cookie.clone());
    }
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let to = Destination { port, path, prefix: String::new(), credentials: Credentials::Theirs };
    let stream = app.core.previews.connect(&admission, activity(request.headers())).await?;
    let mut response = forward(stream, request, to, app.settings.stopping.clone()).await?;
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the token in the query string, which a page's further requests will not have.
    Query,
    /// By anything else.
    Other,
}

/// Tries what was shown in the order of the contract.
async fn enter(app: &App, id: SandboxId, port: u16, shown: &Shown) -> Result<(Admission, Way), Error> {
    let tickets = [
        (shown.caller.as_ref().map(Ticket::Key), Way::Other),
        (shown.token.as_deref().map(Ticket::Token), Way::Other),
        (shown.query_token.as_deref().map(Ticket::Token), Way::Query),
        (shown.pass.as_deref().map(Ticket::Pass), Way::Other),
        (Some(Ticket::Nothing), Way::Other),
    ];
    for (ticket, way) in tickets {
        let Some(ticket) = ticket else { continue };
        match app.core.previews.admit(id, port, ticket).await {
            Ok(admission) => return Ok((admission, way)),
            Err(Error::Unauthenticated) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unauthenticated)
}

/// The pass of a browser, for this host alone, out of reach of the page's scripts.
async fn cookie(app: &App, admission: &Admission) -> Result<HeaderValue, Error> {
    let pass = app.core.previews.pass(admission).await?;
    let is_secure = app.settings.daytona.public_url.as_deref().is_some_and(|url| url.starts_with("https:"));
    let text = format!(
        "{}={}; Max-Age={}; Path=/; HttpOnly; SameSite=Lax{}",
        ticket::cookie_name(admission.sandbox()),
        pass.expose(),
        limits::PREVIEW_PASS_LIFE.as_secs(),
        if is_secure { "; Secure" } else { "" },
    );
    let mut value = HeaderValue::from_str(&text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a person opens a page, whose address bar should not keep the token.
fn is_visit(request: &Request) -> bool {
    let headers = request.headers();
    let takes_pages = headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")));
    // A path that begins with two slashes would lead to another host.
    request.method() == Method::GET
        && takes_pages
        && !headers.contains_key(UPGRADE)
        && headers.contains_key(HOST)
        && !request.uri().path().starts_with("//")
}

/// To the same page without the token.
fn redirect(request: &Request, cookie: HeaderValue) -> Result<Response, Failure> {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let location = HeaderValue::from_str(path).map_err(Error::internal)?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(SET_COOKIE, cookie);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
