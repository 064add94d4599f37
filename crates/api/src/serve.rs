//! The layer around every route: id, span, key, timeout, panic, failure, access log and metrics, once for all dialects.
//!
//! ```text
//!   request ─▶ id and span ─▶ key ─▶ handler (bounded in time, panics caught) ─▶ failure in the dialect's words ─▶ log
//! ```

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use lazaret_core::{Error, Refusal};
use tracing::Instrument;

use crate::access::Access as AccessRecord;
use crate::auth::authenticate;
use crate::context::{Circumstances, REQUEST_ID_HEADER, RequestContext, RequestId};
use crate::failure::{Failure, PanicMessage, Pending, Rejection};
use crate::routing::{Access, Answer, Dialect};
use crate::settings::App;

/// What the layer knows of the path that it guards.
pub(crate) struct Guarded {
    app: App,
    template: Arc<str>,
    policies: Vec<(Method, Access, Answer)>,
}

impl Guarded {
    pub(crate) fn new(app: &App, template: &str, policies: Vec<(Method, Access, Answer)>) -> Arc<Self> {
        Arc::new(Self { app: app.clone(), template: template.into(), policies })
    }

    /// The policy of a method; what has no route of its own needs no key to be refused.
    fn policy(&self, method: &Method) -> (Access, Answer) {
        let of = |wanted: &Method| self.policies.iter().find(|(method, ..)| method == wanted);
        // The GET route answers HEAD where there is no route for it.
        let found = of(method).or_else(|| (method == Method::HEAD).then(|| of(&Method::GET)).flatten());
        found.map_or((Access::Open, Answer::Bounded), |(_, access, answer)| (*access, *answer))
    }
}

/// Runs one request of dialect `D`.
pub(crate) async fn serve<D: Dialect>(
    State(guarded): State<Arc<Guarded>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let context = RequestContext(Arc::new(Circumstances {
        id: RequestId::new(),
        received_at: guarded.app.settings.clock.now(),
        method: head.method.clone(),
        uri: head.uri.clone(),
        template: Arc::clone(&guarded.template),
        peer: head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
        account: OnceLock::new(),
        strict_media_type: D::STRICT_MEDIA_TYPE,
    }));
    let note = D::note(&head);
    head.extensions.insert(note.clone());
    head.extensions.insert(context.clone());
    let request = Request::from_parts(head, body);
    let span = tracing::info_span!("request", request.id = %context.id, method = %context.method,
        route = &*context.template, sandbox.id = tracing::field::Empty, account.id = tracing::field::Empty);
    async move {
        // Dropped without an answer, it tells of the client that went away.
        let clock = &guarded.app.settings.clock;
        let began = clock.monotonic();
        let record = AccessRecord::begin(D::NAME, &context, Arc::clone(clock));
        let mut response = answer(&guarded, &context, request, next).await;
        if let Some(Pending(failure)) = response.extensions_mut().remove() {
            response = D::failure(&failure, &context, &note);
            log(&failure, &response);
            audit(&guarded.app, &failure, &context).await;
        }
        let name = HeaderName::from_static(REQUEST_ID_HEADER);
        response.headers_mut().insert(name, context.id.header());
        D::add_headers(response.headers_mut(), clock.monotonic().saturating_sub(began));
        record.end(response.status());
        response
    }
    .instrument(span)
    .await
}

async fn answer(guarded: &Guarded, context: &RequestContext, mut request: Request, next: Next) -> Response {
    let (access, answer) = guarded.policy(request.method());
    if access == Access::Key {
        match authenticate(&guarded.app, request.headers(), context).await {
            Ok(caller) => {
                tracing::Span::current().record("account.id", tracing::field::display(caller.account));
                request.extensions_mut().insert(caller);
            }
            Err(failure) => return failure.into_response(),
        }
    }
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = match answer {
        Answer::Unbounded => run.await,
        Answer::Bounded => match tokio::time::timeout(guarded.app.settings.request_timeout, run).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => return Rejection::TimedOut.into_response(),
        },
    };
    outcome.unwrap_or_else(|panic| Rejection::Panicked(PanicMessage(message(&*panic))).into_response())
}

/// The one place that logs a failure of ours, with everything that led to it.
fn log(failure: &Failure, response: &Response) {
    if !response.status().is_server_error() || matches!(failure, Failure::Core(Error::Unsupported { .. })) {
        return;
    }
    let error = failure as &dyn std::error::Error;
    match failure {
        // It may work later, and says so: nobody needs to act on one.
        Failure::Core(Error::Unavailable { .. } | Error::Upstream { .. })
        | Failure::Rejected(Rejection::TimedOut) => {
            tracing::warn!(error, "a request could not be served for now");
        }
        _ => tracing::error!(error, "a request failed"),
    }
}

/// Tells the operator of a refusal that says something about who asked. That an object is another account's is told by
/// the core, which alone knows.
async fn audit(app: &App, failure: &Failure, context: &RequestContext) {
    let refusal = match failure {
        Failure::Core(Error::Unauthenticated) | Failure::Rejected(Rejection::MissingKey) => Refusal::Key,
        Failure::Core(Error::Forbidden { .. }) => Refusal::Scope,
        Failure::Rejected(Rejection::TooMany { .. }) => Refusal::Rate,
        _ => return,
    };
    let peer = context.peer.map(|peer| peer.ip());
    app.core.audit.refused(refusal, context.account.get().copied(), peer).await;
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
