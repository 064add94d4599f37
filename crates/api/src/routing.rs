//! Routes of a dialect: each names its method, its path, who may ask and how long it may take.
//!
//! ```text
//!   Routes::<D>::under(["/v1", "/openai/v1"]).on(GET, "/files/{id}", show).stream(POST, "/files", create)
//!        │
//!        └─ router(app): axum routes, each behind serve::<D>      └─ table(): what a test walks
//! ```
//!
//! Matching is done on the raw path, so an encoded slash never splits a segment; parameters are decoded afterwards
//! (`extract/path.rs`).

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderMap, Method};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, on};

use crate::context::RequestContext;
use crate::failure::{Failure, Rejection};
use crate::serve::{Guarded, serve};
use crate::settings::App;

/// One API that clients already speak.
pub(crate) trait Dialect: Send + Sync + 'static {
    /// Its name in metrics and logs.
    const NAME: &'static str;

    /// A JSON body must come with `Content-Type: application/json`; otherwise a missing type will do.
    const STRICT_MEDIA_TYPE: bool;

    /// What the dialect wants to remember of a request's head for the rendering of a failure. Handlers find it among
    /// the request's extensions.
    type Note: Clone + Send + Sync + 'static;

    /// Looks at the head before the handler runs.
    fn note(head: &axum::http::request::Parts) -> Self::Note;

    /// Adds what this dialect's clients find on every answer, which took so long; nothing unless a dialect says so.
    fn add_headers(_headers: &mut HeaderMap, _took: Duration) {}

    /// The status and body of a failure. The request id's header is added by the layer.
    fn failure(failure: &Failure, context: &RequestContext, note: &Self::Note) -> Response;
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever has a key.
    Key,
    /// Whoever has a key, or what the handler takes in its place: it asks by itself.
    Own,
    /// Anybody; the handler may still look closer.
    Open,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// At most [`crate::ApiSettings::request_timeout`].
    Bounded,
    /// As long as it takes: it streams, or its handler has a bound of its own.
    Unbounded,
}

/// A route as tests and documents see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of its dialect.
    pub dialect: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: String,
    /// Who may ask.
    pub access: Access,
    /// How long it may take.
    pub answer: Answer,
}

struct Entry {
    method: Method,
    path: &'static str,
    access: Access,
    answer: Answer,
    handler: MethodRouter<App>,
}

/// The routes of dialect `D`.
pub(crate) struct Routes<D> {
    prefixes: Vec<&'static str>,
    owned: Vec<&'static str>,
    trailing_slash: bool,
    entries: Vec<Entry>,
    dialect: PhantomData<fn() -> D>,
}

impl<D: Dialect> Routes<D> {
    /// No routes yet; each will be found under every prefix.
    pub(crate) fn under(prefixes: impl Into<Vec<&'static str>>) -> Self {
        Self {
            prefixes: prefixes.into(),
            owned: Vec::new(),
            trailing_slash: false,
            entries: Vec::new(),
            dialect: PhantomData,
        }
    }

    /// Unknown paths beneath `prefix` are answered in this dialect.
    pub(crate) fn owns(mut self, prefix: &'static str) -> Self {
        self.owned.push(prefix);
        self
    }

    /// Every path is also found with a slash behind it.
    pub(crate) fn with_trailing_slash(mut self) -> Self {
        self.trailing_slash = true;
        self
    }

    /// A route that needs a key and answers soon.
    pub(crate) fn on<H, T>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.entry(method, path, Access::Key, Answer::Bounded, handler)
    }

    /// A route that needs a key and may take as long as it likes.
    pub(crate) fn stream<H, T>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.entry(method, path, Access::Key, Answer::Unbounded, handler)
    }

    /// A route that asks for a key or something in its place by itself, and may take as long as it likes.
    pub(crate) fn own_stream<H, T>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.entry(method, path, Access::Own, Answer::Unbounded, handler)
    }

    /// A route that needs no key.
    pub(crate) fn open<H, T>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.entry(method, path, Access::Open, Answer::Bounded, handler)
    }

    fn entry<H, T>(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        answer: Answer,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("routes have ordinary methods");
        self.entries.push(Entry { method, path, access, answer, handler: on(filter, handler) });
        self
    }

    /// What is routed, in the order of declaration.
    pub(crate) fn table(&self) -> Vec<Route> {
        let mut table = Vec::with_capacity(self.prefixes.len() * self.entries.len());
        for prefix in &self.prefixes {
            table.extend(self.entries.iter().map(|entry| Route {
                dialect: D::NAME,
                method: entry.method.clone(),
                path: format!("{prefix}{}", entry.path),
                access: entry.access,
                answer: entry.answer,
            }));
        }
        table
    }

    /// The routes, each behind the dialect's layer.
    pub(crate) fn router(self, app: &App) -> Router<App> {
        let mut paths: Vec<&'static str> = Vec::new();
        for entry in &self.entries {
            if !paths.contains(&entry.path) {
                paths.push(entry.path);
            }
        }
        let mut router = Router::new();
        for path in paths {
            let mut methods = MethodRouter::new();
            let mut policies = Vec::new();
            for entry in self.entries.iter().filter(|entry| entry.path == path) {
                methods = methods.merge(entry.handler.clone());
                policies.push((entry.method.clone(), entry.access, entry.answer));
            }
            let methods = methods.fallback(|| async { Failure::from(Rejection::WrongMethod) });
            for prefix in &self.prefixes {
                let full = format!("{prefix}{path}");
                let guarded = Guarded::new(app, &full, policies.clone());
                let methods = methods.clone().layer(from_fn_with_state(guarded, serve::<D>));
                if self.trailing_slash && !full.ends_with('/') {
                    router = router.route(&format!("{full}/"), methods.clone());
                }
                router = router.route(&full, methods);
            }
        }
        for prefix in &self.owned {
            router = router.route(&format!("{prefix}/{{*rest}}"), Self::nothing(app, prefix));
        }
        router
    }

    /// The answer at a path that nobody has, in this dialect.
    pub(crate) fn nothing(app: &App, label: &str) -> MethodRouter<App> {
        let guarded = Guarded::new(app, &format!("{label}/*"), Vec::new());
        any(|| async { Failure::from(Rejection::UnknownPath) }).layer(from_fn_with_state::<
            _,
            _,
            (axum::extract::State<Arc<Guarded>>, axum::extract::Request),
        >(guarded, serve::<D>))
    }
}
