//! Listing with filters, an order and a cursor.
//!
//! The cursor names the order and the place in it of the last sandbox of a page: the next page begins behind that place,
//! whatever has come or gone meanwhile, so nobody goes round in circles.

use axum::extract::State as AppState;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret_core::services::SandboxFilter;
use lazaret_core::{Caller, Order, PageRequest, Sandbox, State, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::server::REGION;
use super::target::Asked;
use super::{convert, wire};
use crate::daytona::bad_request;
use crate::extract::Json;
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 200;
/// Sandboxes that the core is asked for at once.
const CHUNK: usize = 1000;
const GIB: f64 = 1_073_741_824.0;

/// Which sandboxes, in which order, from where on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Sandboxes of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Where to go on: `nextCursor` of the page before, with the same order.
    cursor: Option<String>,
    /// The page's number, from 1, where pages have one.
    page: Option<i64>,
    /// What ids begin with.
    id: Option<String>,
    /// What names begin with, in any case.
    name: Option<String>,
    /// Labels that a sandbox must have, as a JSON object of texts.
    labels: Option<String>,
    states: Vec<String>,
    snapshots: Vec<String>,
    region_ids: Vec<String>,
    sandbox_classes: Vec<String>,
    min_cpu: Option<f64>,
    max_cpu: Option<f64>,
    #[serde(rename = "minMemoryGiB")]
    min_memory: Option<f64>,
    #[serde(rename = "maxMemoryGiB")]
    max_memory: Option<f64>,
    #[serde(rename = "minDiskGiB")]
    min_disk: Option<f64>,
    #[serde(rename = "maxDiskGiB")]
    max_disk: Option<f64>,
    is_public: Option<bool>,
    is_recoverable: Option<bool>,
    created_at_after: Option<String>,
    created_at_before: Option<String>,
    last_event_after: Option<String>,
    last_event_before: Option<String>,
    auto_destroy_at_after: Option<String>,
    auto_destroy_at_before: Option<String>,
    /// `name`, `cpu`, `memoryGib`, `diskGib`, `lastActivityAt` or `createdAt`.
    sort: Option<String>,
    /// `asc` or `desc`.
    order: Option<String>,
}

/// A page of sandboxes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SandboxPage {
    items: Vec<wire::Sandbox>,
    /// For the page behind this one, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A page of sandboxes, by its number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NumberedPage {
    items: Vec<wire::Sandbox>,
    /// Sandboxes of all pages.
    total: usize,
    /// This page's number.
    page: i64,
    total_pages: usize,
}

/// What sandboxes are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Sort {
    Name,
    Cpu,
    MemoryGib,
    DiskGib,
    #[default]
    LastActivityAt,
    CreatedAt,
}

impl Sort {
    const ALL: [(&str, Self); 6] = [
        ("name", Self::Name),
        ("cpu", Self::Cpu),
        ("memoryGib", Self::MemoryGib),
        ("diskGib", Self::DiskGib),
        ("lastActivityAt", Self::LastActivityAt),
        ("createdAt", Self::CreatedAt),
    ];
}

/// A sandbox's place in an order; ids part those that are otherwise equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    number: i64,
    text: String,
    id: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    sort: Sort,
    descending: bool,
    after: Place,
}

impl Place {
    fn of(sandbox: &Sandbox, sort: Sort) -> Self {
        let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let (number, text) = match sort {
            Sort::Name => (0, sandbox.name.clone()),
            Sort::Cpu => (sandbox.resources.cpu_millis.into(), String::new()),
            Sort::MemoryGib => (size(sandbox.resources.memory_bytes), String::new()),
            Sort::DiskGib => (size(sandbox.resources.disk_bytes), String::new()),
            Sort::LastActivityAt => (sandbox.last_active_at.unix_micros(), String::new()),
            Sort::CreatedAt => (sandbox.created_at.unix_micros(), String::new()),
        };
        Self { number, text, id: sandbox.id.to_string() }
    }
}

impl Cursor {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a cursor is JSON"))
    }

    fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// A page behind a cursor.
#[utoipa::path(get, path = "/sandbox", operation_id = "listSandboxes", tag = "sandbox",
    params(ListQuery),
    responses((status = 200, body = SandboxPage), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    AppState(app): AppState<App>,
    asked: Asked<ListQuery>,
) -> Result<Json<SandboxPage>, Failure> {
    let Asked { caller, query, base, .. } = asked;
    let limit = limit(&query)?;
    let (sort, descending) = order(&query)?;
    let after = match query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        None => None,
        Some(text) => {
            let cursor = Cursor::decode(text);
            let of_this_order =
                cursor.filter(|cursor| (cursor.sort, cursor.descending) == (sort, descending));
            Some(of_this_order.ok_or_else(|| bad_request("Invalid cursor"))?.after)
        }
    };
    let mut found = found(&app, &caller, &query, sort, descending).await?;
    if let Some(after) = after {
        let is_behind = |place: &Place| if descending { *place < after } else { *place > after };
        found.retain(|sandbox| is_behind(&Place::of(sandbox, sort)));
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| Cursor { sort, descending, after: Place::of(last, sort) }.encode());
    let items: Vec<_> = found.into_iter().map(|sandbox| convert::sandbox(&app, &base, sandbox)).collect();
    Ok(Json(SandboxPage { items, next_cursor: next }))
}

/// A page by its number, as clients asked before there were cursors.
#[utoipa::path(get, path = "/sandbox/paginated", operation_id = "listSandboxesPaginated_deprecated", tag = "sandbox",
    params(ListQuery),
    responses((status = 200, body = NumberedPage), (status = "default", body = ErrorBody)))]
pub(super) async fn paginated(
    AppState(app): AppState<App>,
    asked: Asked<ListQuery>,
) -> Result<Json<NumberedPage>, Failure> {
    let Asked { caller, mut query, base, .. } = asked;
    let limit = limit(&query)?;
    let page = query.page.unwrap_or(1);
    let skipped = usize::try_from(page - 1).map_err(|_| bad_request("page must be at least 1"))?;
    // It has orders of its own, which nobody here keeps.
    query.sort = None;
    let descending = query.order.as_deref() != Some("asc");
    let found = found(&app, &caller, &query, Sort::CreatedAt, descending).await?;
    let total = found.len();
    let items: Vec<_> = found
        .into_iter()
        .skip(skipped.saturating_mul(limit))
        .take(limit)
        .map(|sandbox| convert::sandbox(&app, &base, sandbox))
        .collect();
    Ok(Json(NumberedPage { items, total, page, total_pages: total.div_ceil(limit) }))
}

fn limit(query: &ListQuery) -> Result<usize, Failure> {
    match query.limit.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(usize::try_from(limit).expect("a small number")),
        _ => Err(bad_request(&format!("limit must be from 1 to {LIMIT_MAX}"))),
    }
}

fn order(query: &ListQuery) -> Result<(Sort, bool), Failure> {
    let sort = match query.sort.as_deref() {
        None => Sort::default(),
        Some(name) => {
            let found = Sort::ALL.into_iter().find(|(known, _)| *known == name);
            let known = Sort::ALL.map(|(known, _)| known).join(", ");
            found.ok_or_else(|| bad_request(&format!("sort must be one of {known}")))?.1
        }
    };
    match query.order.as_deref() {
        None | Some("desc") => Ok((sort, true)),
        Some("asc") => Ok((sort, false)),
        Some(_) => Err(bad_request("order must be asc or desc")),
    }
}

/// Every sandbox that the query is for, in order.
async fn found(
    app: &App,
    caller: &Caller,
    query: &ListQuery,
    sort: Sort,
    descending: bool,
) -> Result<Vec<Sandbox>, Failure> {
    let wanted = Wanted::of(query)?;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest { limit: CHUNK, order: Order::Ascending, after };
        let page = app.core.sandboxes.list(caller, &SandboxFilter::default(), request).await?;
        after = page.items.last().map(|last| last.id);
        found.extend(page.items.into_iter().filter(|sandbox| wanted.admits(sandbox)));
        if !page.has_more {
            break;
        }
    }
    found.sort_by_cached_key(|sandbox| Place::of(sandbox, sort));
    if descending {
        found.reverse();
    }
    Ok(found)
}

/// The filters of a query, understood.
struct Wanted<'a> {
    query: &'a ListQuery,
    labels: Vec<(String, String)>,
    created: Window,
    active: Window,
    ends: Window,
}

/// Moments between two, which are outside.
#[derive(Default)]
struct Window {
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Window {
    fn of(after: Option<&str>, before: Option<&str>) -> Result<Self, Failure> {
        let moment = |text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => match text.parse::<jiff::Timestamp>() {
                Ok(moment) => Ok(Some(Timestamp::from_unix_micros(moment.as_microsecond()))),
                Err(_) => Err(bad_request(&format!("'{}' is no moment in ISO 8601", text.escape_debug()))),
            },
        };
        Ok(Self { after: moment(after)?, before: moment(before)? })
    }

    /// No moment is within any window but the open one.
    fn holds(&self, moment: Option<Timestamp>) -> bool {
        self.after.is_none_or(|after| moment.is_some_and(|moment| moment > after))
            && self.before.is_none_or(|before| moment.is_some_and(|moment| moment < before))
    }
}

impl<'a> Wanted<'a> {
    fn of(query: &'a ListQuery) -> Result<Self, Failure> {
        let labels = match query.labels.as_deref().filter(|text| !text.is_empty()) {
            None => Vec::new(),
            Some(text) => serde_json::from_str::<std::collections::BTreeMap<String, String>>(text)
                .map_err(|_| bad_request("Invalid labels JSON format"))?
                .into_iter()
                .collect(),
        };
        if query.states.iter().any(|state| state == "destroyed") {
            return Err(bad_request("states: destroyed sandboxes are not there to be listed"));
        }
        let window = |after: &'a Option<String>, before: &'a Option<String>| {
            Window::of(after.as_deref(), before.as_deref())
        };
        Ok(Self {
            query,
            labels,
            created: window(&query.created_at_after, &query.created_at_before)?,
            active: window(&query.last_event_after, &query.last_event_before)?,
            ends: window(&query.auto_destroy_at_after, &query.auto_destroy_at_before)?,
        })
    }

    fn admits(&self, sandbox: &Sandbox) -> bool {
        let query = self.query;
        let begins = |text: &str, prefix: &Option<String>| {
            prefix.as_ref().is_none_or(|prefix| text.to_lowercase().starts_with(&prefix.to_lowercase()))
        };
        let among = |wanted: &[String], text: &str| wanted.is_empty() || wanted.iter().any(|one| one == text);
        let within = |amount: f64, min: Option<f64>, max: Option<f64>| {
            min.is_none_or(|min| amount >= min) && max.is_none_or(|max| amount <= max)
        };
        #[expect(clippy::cast_precision_loss, reason = "sizes are compared with what a person wrote")]
        let gib = |bytes: u64| bytes as f64 / GIB;
        sandbox.state != State::Expired
            && begins(&ids::uuid(sandbox.id.as_bytes()), &query.id)
            && begins(&sandbox.name, &query.name)
            && self.labels.iter().all(|(key, value)| sandbox.labels.get(key) == Some(value))
            && among(&query.states, convert::state(sandbox))
            && among(&query.snapshots, sandbox.template.as_ref().unwrap_or(&sandbox.image))
            && among(&query.region_ids, REGION)
            && among(&query.sandbox_classes, "container")
            && within(f64::from(sandbox.resources.cpu_millis) / 1000.0, query.min_cpu, query.max_cpu)
            && within(gib(sandbox.resources.memory_bytes), query.min_memory, query.max_memory)
            && within(gib(sandbox.resources.disk_bytes), query.min_disk, query.max_disk)
            && query.is_public.is_none_or(|wanted| wanted == sandbox.public)
            && query.is_recoverable.is_none_or(|wanted| wanted == (sandbox.state == State::Error))
            && self.created.holds(Some(sandbox.created_at))
            && self.active.holds(Some(sandbox.last_active_at))
            && self.ends.holds(sandbox.lease.life.map(|life| sandbox.created_at.after(life)))
    }
}
