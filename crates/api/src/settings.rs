//! What the server decides for the HTTP surface, and the state that every handler sees.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lazaret_core::Clock;
use lazaret_core::services::Services;
use tokio_util::sync::CancellationToken;

use crate::rate::{RateSettings, Rates};

/// Writes the current metrics in Prometheus' text format.
pub type MetricsHook = Arc<dyn Fn() -> String + Send + Sync>;

/// Succeeds if what only the server knows of (the spawner, for one) is alive.
pub type ReadyHook = Arc<dyn Fn() -> BoxFuture<'static, lazaret_core::Result<()>> + Send + Sync>;

/// Settings of all dialects.
#[derive(Clone)]
pub struct ApiSettings {
    /// Time for latencies.
    pub clock: Arc<dyn Clock>,
    /// The server's version, for `GET /lazaret/v1/server`.
    pub version: String,
    /// Longest time from a request's head to its answer's, on routes that neither stream nor run a program.
    pub request_timeout: Duration,
    /// Longest silence of a client in the middle of a body that it sends.
    pub body_idle_timeout: Duration,
    /// Largest JSON body, in bytes. Bodies that are files are streamed and bounded by the core.
    pub json_max_bytes: usize,
    /// Largest imported image archive, in bytes.
    pub image_max_bytes: u64,
    /// What `/metrics` answers; `None` where metrics are off.
    pub metrics: Option<MetricsHook>,
    /// What `/readyz` asks besides the store.
    pub ready: Option<ReadyHook>,
    /// How many requests a key may send, and how many refusals an address may collect.
    pub rates: RateSettings,
    /// Cancelled when the server goes down: streams without an end of their own end then, so that their clients come
    /// back to the next server instead of holding this one up.
    pub stopping: CancellationToken,
    /// Settings of the OpenAI dialect.
    pub openai: OpenAiSettings,
    /// Settings of Daytona's dialects.
    pub daytona: DaytonaSettings,
    /// Settings of the twelve actions.
    pub actions: ActionsSettings,
}

/// Where sources of the OpenAI contract differ, what this server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAiSettings {
    /// Image of every container; the server's default if `None`.
    pub default_image: Option<String>,
    /// Largest `expires_after.minutes`: the hosted service takes 20.
    pub expires_minutes_max: u32,
    /// Uploads keep their plain name under `/mnt/data` where it is free, instead of a unique prefix.
    pub plain_names: bool,
    /// Refuse requests without `provider`, as Bifrost's own routes do.
    pub require_provider: bool,
    /// Providers that are accepted while [`OpenAiSettings::require_provider`] is on.
    pub providers: Vec<String>,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            default_image: None,
            expires_minutes_max: 24 * 60,
            plain_names: false,
            require_provider: false,
            providers: vec!["openai".to_owned(), "azure".to_owned()],
        }
    }
}

/// What the twelve actions do where their caller says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionsSettings {
    /// Image or template of a sandbox whose maker names none; the server's default if `None`.
    pub default_image: Option<String>,
}

/// What Daytona's clients are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaytonaSettings {
    /// Image or template of a sandbox whose maker names none; the server's default if `None`.
    pub default_image: Option<String>,
    /// Where clients reach this server, such as `https://sandboxes.example.org`; `None` for wherever each of them does, by
    /// plain HTTP.
    pub public_url: Option<String>,
    /// The domain beneath which ports of sandboxes have hosts of their own, besides `localhost`: `previews.example.org`, whose
    /// names (`*.previews.example.org`) lead to this server.
    pub preview_domain: Option<String>,
}

impl ApiSettings {
    /// The defaults, with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request_timeout: Duration::from_secs(120),
            body_idle_timeout: Duration::from_secs(60),
            // A snippet of the largest size still fits when every byte of it is escaped.
            json_max_bytes: 8 * lazaret_core::limits::RUN_CODE_MAX_BYTES,
            image_max_bytes: 64 * 1024 * 1024 * 1024,
            metrics: None,
            ready: None,
            rates: RateSettings::default(),
            stopping: CancellationToken::new(),
            openai: OpenAiSettings::default(),
            daytona: DaytonaSettings::default(),
            actions: ActionsSettings::default(),
        }
    }
}

impl fmt::Debug for ApiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiSettings").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The state of every handler: one pointer, so that a request costs one count.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

/// What [`App`] points at.
pub(crate) struct Shared {
    /// The core.
    pub(crate) core: Services,
    /// The settings.
    pub(crate) settings: ApiSettings,
    /// What clients have done lately.
    pub(crate) rates: Rates,
}

impl App {
    pub(crate) fn new(core: Services, settings: ApiSettings) -> Self {
        let rates = Rates::new(&settings.rates, Arc::clone(&settings.clock));
        Self(Arc::new(Shared { core, settings, rates }))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
