//! The access log and the metrics of one request, whichever way it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use lazaret_core::Clock;

use crate::context::RequestContext;

/// A request that is being served. Dropped before [`Access::end`], it is one whose client went away.
pub(crate) struct Access {
    dialect: &'static str,
    context: RequestContext,
    clock: Arc<dyn Clock>,
    began: Duration,
    status: Option<StatusCode>,
}

impl Access {
    pub(crate) fn begin(dialect: &'static str, context: &RequestContext, clock: Arc<dyn Clock>) -> Self {
        Self { dialect, context: context.clone(), began: clock.monotonic(), clock, status: None }
    }

    /// The head of the answer is on its way; a stream's body may take longer.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.began);
        let class = self.status.map_or("aborted", class);
        let labels = || {
            [
                metrics::Label::from_static_parts("dialect", self.dialect),
                metrics::Label::new(
                    "route",
                    metrics::SharedString::from_shared(Arc::clone(&self.context.template)),
                ),
                metrics::Label::from_static_parts("method", method(&self.context.method)),
                metrics::Label::from_static_parts("status", class),
            ]
        };
        metrics::counter!("http_requests_total", labels().to_vec()).increment(1);
        metrics::histogram!("http_request_duration_seconds", labels().to_vec()).record(took.as_secs_f64());
        // The query string is left out: strangers put secrets there.
        tracing::info!(
            dialect = self.dialect,
            status = self.status.map(|status| status.as_u16()),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            peer = self.context.peer.map(tracing::field::display),
            outcome = class,
            "served"
        );
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// A method's name from a closed set: a client may invent others.
fn method(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 7] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::PUT, "PUT"),
        (&Method::DELETE, "DELETE"),
        (&Method::HEAD, "HEAD"),
        (&Method::PATCH, "PATCH"),
        (&Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| *known == method).map_or("other", |(_, name)| name)
}
