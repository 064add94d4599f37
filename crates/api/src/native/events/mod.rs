//! What happened: a list, or a stream that goes on.
//!
//! A stream first sends what the log holds behind the reader's last event, then what happens. A reader that falls behind
//! is served from the log again, so it misses nothing that the log still has.

pub(super) mod wire;

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use lazaret_core::{Caller, Event};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::error::{ErrorBody, problem};
use super::execs::events::{KEEP_ALIVE, event};
use super::execs::wants_events;
use super::execs::wire::Failed;
use super::target::Asked;
use super::time::rfc3339;
use crate::extract::Json;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::ids;
use crate::settings::App;

/// Events of a list whose asker names no limit, and the most that one may ask for.
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;
/// Events that a stream reads from the log at a time.
const PAGE: usize = 256;
/// The header by which an event source resumes.
const LAST_EVENT_ID: &str = "last-event-id";

/// What happened in the account: a list, or with `Accept: text/event-stream` a stream that goes on. An event's `id` is
/// its sequence, and `Last-Event-ID` resumes behind it.
#[utoipa::path(get, path = "/lazaret/v1/events", operation_id = "list_events", tag = "events",
    params(wire::EventQuery),
    responses(
        (status = 200, description = "Some events; or events as they happen",
            content((wire::EventList = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    asked: Asked<wire::EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Asked { caller, query, .. } = asked;
    let limit = query.limit()?;
    if wants_events(&headers) {
        let after = last_event_id(&headers)?.or(query.after);
        return follow(app, caller, after);
    }
    let found = app.core.events.list(&caller, query.after.unwrap_or(0), limit);
    let found = tokio::time::timeout(app.settings.request_timeout, found).await;
    let events = found.map_err(|_| Rejection::TimedOut)??;
    Ok(Json(wire::EventList { events: events.into_iter().map(wire::Event::from).collect() }).into_response())
}

/// Refused requests of all accounts and of strangers, for holders of the admin scope. The first of its kind is told at
/// once, further ones are counted and told once a minute.
#[utoipa::path(get, path = "/lazaret/v1/audit", operation_id = "list_refusals", tag = "events",
    params(wire::EventQuery),
    responses((status = 200, body = wire::EventList), (status = "default", body = ErrorBody)))]
pub(crate) async fn audit(
    State(app): State<App>,
    asked: Asked<wire::EventQuery>,
) -> Result<Json<wire::EventList>, Failure> {
    let Asked { caller, query, .. } = asked;
    let events = app.core.audit.list(&caller, query.after.unwrap_or(0), query.limit()?).await?;
    Ok(Json(wire::EventList { events: events.into_iter().map(wire::Event::from).collect() }))
}

impl wire::EventQuery {
    fn limit(&self) -> Result<usize, Rejection> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Rejection::query("limit", format!("must be from 1 to {LIMIT_MAX}, not {limit}")));
        }
        Ok(usize::try_from(limit).expect("the largest limit fits"))
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Rejection> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let sequence = value.to_str().ok().and_then(|text| text.parse().ok());
    sequence.map(Some).ok_or_else(|| Rejection::Field {
        part: Part::Header,
        field: LAST_EVENT_ID.to_owned(),
        problem: FieldProblem::Other("is not the id of an event".to_owned()),
    })
}

fn follow(app: App, caller: Caller, after: Option<u64>) -> Result<Response, Failure> {
    let live = app.core.events.subscribe(&caller)?;
    let stopping = app.settings.stopping.clone().cancelled_owned();
    let reader = Reader {
        behind: after.is_some(),
        last: after.unwrap_or(0),
        pending: VecDeque::new(),
        live,
        caller,
        app,
    };
    let events = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(happened)) => {
                let id = happened.sequence.to_string();
                Some((event("event", &wire::Event::from(happened)).id(id), Some(reader)))
            }
            Ok(None) => None,
            Err(error) => Some((event("error", &Failed { error: problem(&error.into()) }), None)),
        }
    });
    let events = events.take_until(stopping).map(Ok::<sse::Event, Infallible>);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// A reader of the account's events.
struct Reader {
    app: App,
    caller: Caller,
    live: broadcast::Receiver<Event>,
    /// Sequence of the last event that was sent.
    last: u64,
    /// The log has, or may have, events behind the last that will not come live.
    behind: bool,
    pending: VecDeque<Event>,
}

impl Reader {
    /// The next event of the account; `None` when the server goes down.
    async fn next(&mut self) -> lazaret_core::Result<Option<Event>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                self.last = event.sequence;
                return Ok(Some(event));
            }
            if self.behind {
                let page = self.app.core.events.list(&self.caller, self.last, PAGE).await?;
                self.behind = page.len() == PAGE;
                self.pending.extend(page);
                continue;
            }
            match self.live.recv().await {
                // What came live while the log was read has been sent already.
                Ok(event) if event.sequence <= self.last || event.account != self.caller.account => {}
                Ok(event) => self.pending.push_back(event),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }
}

impl From<Event> for wire::Event {
    fn from(event: Event) -> Self {
        Self {
            sequence: event.sequence,
            at: rfc3339(event.at),
            sandbox_id: event.sandbox.map(|id| ids::uuid(id.as_bytes())),
            kind: match event.kind {
                lazaret_core::EventKind::StateChanged { state, reason } => wire::EventKind::StateChanged {
                    state: state.name(),
                    reason: reason.as_ref().map(Into::into),
                },
                lazaret_core::EventKind::AccessDenied { refusal, account, peer, count } => {
                    wire::EventKind::AccessDenied {
                        refusal: refusal.name(),
                        account_id: account.map(|id| ids::uuid(id.as_bytes())),
                        peer: peer.map(|peer| peer.to_string()),
                        count,
                    }
                }
                lazaret_core::EventKind::EgressDenied { destination, reason, count } => {
                    wire::EventKind::EgressDenied { destination, reason, count }
                }
                lazaret_core::EventKind::TemplateChanged { template, name, state, reason } => {
                    wire::EventKind::TemplateChanged {
                        template_id: ids::uuid(template.as_bytes()),
                        name,
                        template_state: state.name(),
                        failure: reason,
                    }
                }
                lazaret_core::EventKind::ImagePull { reference, step, layer, reason } => {
                    wire::EventKind::ImagePull {
                        reference,
                        step: step.name(),
                        layer: layer.map(|layer| layer.to_string()),
                        failure: reason,
                    }
                }
                lazaret_core::EventKind::RoleProgress { role, step, packages, message } => {
                    wire::EventKind::RoleProgress {
                        role,
                        step: step.name(),
                        installed: packages.map(|count| count.installed),
                        wanted: packages.map(|count| count.wanted),
                        message,
                    }
                }
            },
        }
    }
}
