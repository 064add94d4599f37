//! Which of two dialects a request speaks, and answers in it.
//!
//! A request is Bifrost's if it names a provider (query, JSON body or form), carries a header of Bifrost's, or comes in
//! under `/openai`, where Bifrost has a default provider. Its answer is the same object with `extra_fields`; its errors are a superset too. All others get
//! OpenAI's objects and nothing more.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use serde::Serialize;

use super::wire::ExtraFields;
use crate::auth;
use crate::context::RequestContext;
use crate::extract::Json;
use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// What Bifrost assumes where no provider is named.
const DEFAULT_PROVIDER: &str = "openai";
/// The header, and on some routes the query key, by which Bifrost names the provider.
const PROVIDER_HEADER: &str = "x-model-provider";
/// Begin of every other header of Bifrost's.
const BIFROST_HEADERS: &str = "x-bf-";

/// What a request's head says about the dialect; its body may say more.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    is_bifrost: bool,
    /// It came in where Bifrost needs no provider.
    has_default: bool,
    /// What the client named, even if it is empty.
    provider: Arc<OnceLock<String>>,
    /// The key that came, made unreadable.
    masked_key: Option<String>,
}

impl Note {
    pub(super) fn of(head: &Parts) -> Self {
        let provider = OnceLock::new();
        let query = head.uri.query().unwrap_or_default();
        let named = pairs(query).into_iter().find(|(key, _)| key == "provider" || key == PROVIDER_HEADER);
        let header =
            head.headers.get(PROVIDER_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(name) = named.map(|(_, value)| value).or(header) {
            // Nobody else has it yet.
            let _ = provider.set(name);
        }
        let has_default = head.uri.path().starts_with("/openai/");
        let is_bifrost =
            has_default || head.headers.keys().any(|name| name.as_str().starts_with(BIFROST_HEADERS));
        let masked_key = auth::key(&head.headers).map(masked);
        Self { is_bifrost, has_default, provider: Arc::new(provider), masked_key }
    }

    /// Notes the provider that a body names; the first one counts.
    pub(super) fn set_provider(&self, name: &str) {
        let _ = self.provider.set(name.to_owned());
    }

    pub(super) fn is_bifrost(&self) -> bool {
        self.is_bifrost || self.provider.get().is_some()
    }

    pub(super) fn provider(&self) -> &str {
        self.named_provider().unwrap_or(DEFAULT_PROVIDER)
    }

    pub(super) fn masked_key(&self) -> &str {
        self.masked_key.as_deref().unwrap_or_default()
    }

    fn named_provider(&self) -> Option<&str> {
        self.provider.get().map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// Enough of a key for its owner to see which one it is: the ends of a long one, nothing of a short one.
fn masked(key: &str) -> String {
    const HIDDEN: &str = "********";
    const SHOWN: usize = 4;
    let chars: Vec<char> = key.chars().collect();
    if chars.len() < 4 * SHOWN {
        return HIDDEN.to_owned();
    }
    let shown = |part: &[char]| part.iter().collect::<String>();
    format!("{}{HIDDEN}{}", shown(&chars[..SHOWN]), shown(&chars[chars.len() - SHOWN..]))
}

/// The pairs of a query string or form, decoded.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    serde_html_form::from_str(query).unwrap_or_default()
}

/// A request on its way to an answer.
pub(crate) struct Exchange {
    pub(super) note: Note,
    pub(super) context: RequestContext,
    app: App,
    began: Duration,
}

impl FromRequestParts<App> for Exchange {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let note = parts.extensions.get::<Note>().expect("the dialect's layer leaves its note").clone();
        let exchange = Self {
            note,
            context: RequestContext::of(parts),
            app: app.clone(),
            began: app.settings.clock.monotonic(),
        };
        // A creation names its provider in the body, which its handler looks at.
        if parts.method != Method::POST {
            exchange.check_provider("provider query parameter is required")?;
        }
        Ok(exchange)
    }
}

impl Exchange {
    /// What the switch `require_provider` demands: a provider, and one that is configured.
    pub(super) fn check_provider(&self, missing: &str) -> Result<(), Failure> {
        let settings = &self.app.settings.openai;
        if !settings.require_provider {
            return Ok(());
        }
        if self.note.named_provider().is_none() && !self.note.has_default {
            return Err(Rejection::Malformed { part: Part::Query, reason: missing.to_owned() }.into());
        }
        let name = self.note.provider();
        if settings.providers.iter().any(|known| known == name) {
            return Ok(());
        }
        let what = format!("this operation by the provider '{}'", name.escape_debug());
        Err(lazaret_core::Error::Unsupported { what }.into())
    }

    /// The object, in the dialect of the request.
    pub(super) fn answer<T: Serialize>(&self, object: T) -> Json<Answer<T>> {
        Json(Answer { object, extra_fields: self.extra_fields() })
    }

    fn extra_fields(&self) -> Option<ExtraFields> {
        let request_type = request_type(&self.context)?;
        let took = self.app.settings.clock.monotonic().saturating_sub(self.began);
        self.note.is_bifrost().then(|| ExtraFields {
            request_type,
            provider: self.note.provider().to_owned(),
            latency: Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            chunk_index: Some(0),
        })
    }
}

/// An object, and Bifrost's fields where they are wanted.
#[derive(Debug, Serialize)]
pub(crate) struct Answer<T> {
    #[serde(flatten)]
    object: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_fields: Option<ExtraFields>,
}

/// Bifrost's word for what a route does; `None` off the routes.
pub(super) fn request_type(context: &RequestContext) -> Option<&'static str> {
    let path = ["/openai/v1", "/openai", "/v1"]
        .iter()
        .find_map(|prefix| context.template.strip_prefix(prefix))
        .unwrap_or(&context.template);
    Some(match (context.method.as_str(), path.trim_end_matches('/')) {
        ("POST", "/containers") => "container_create",
        ("GET", "/containers") => "container_list",
        ("GET", "/containers/{container_id}") => "container_retrieve",
        ("DELETE", "/containers/{container_id}") => "container_delete",
        ("POST", "/containers/{container_id}/files") => "container_file_create",
        ("GET", "/containers/{container_id}/files") => "container_file_list",
        ("GET", "/containers/{container_id}/files/{file_id}") => "container_file_retrieve",
        ("DELETE", "/containers/{container_id}/files/{file_id}") => "container_file_delete",
        ("GET", "/containers/{container_id}/files/{file_id}/content") => "container_file_content",
        ("POST", "/files") => "file_upload",
        ("GET", "/files") => "file_list",
        ("GET", "/files/{file_id}") => "file_retrieve",
        ("DELETE", "/files/{file_id}") => "file_delete",
        ("GET", "/files/{file_id}/content") => "file_content",
        _ => return None,
    })
}
