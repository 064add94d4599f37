//! `lazaret serve`: from flags to a running server, and down again.
//!
//! ```text
//!   flags, environment, file ─▶ settings ─▶ data directory (locked) ─▶ spawner (before any other thread exists)
//!        ─▶ tokio ─▶ store, images, runtime, guest ─▶ services (which adopt) ─▶ router ─▶ accept loop
//! ```
//!
//! SIGTERM and SIGINT end the server gracefully. Sandboxes go on; the next server adopts them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lazaret_api::ApiSettings;
use lazaret_cli::Globals;
use lazaret_core::ports::Gateway;
use lazaret_core::services::{Ports, Services};
use lazaret_core::{Clock, RandomIds, Secret};
use lazaret_egress::{EgressConfig, EgressGateway, Listeners};
use lazaret_images::ImageStore;
use lazaret_images::registry::settings::RegistrySettings;
use lazaret_images::unpack::limits::UnpackLimits;
use lazaret_runtime::cgroup::CpuLimits;
use lazaret_runtime::{
    DiskSpace, FamilySockets, GatewaySockets, GuestClient, NamespacesRuntime, RuntimeConfig,
};
use lazaret_store::{BlobFiles, Sqlite};
use lazaret_transpile::Oxc;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::config::{Config, CpuLimit, LogFormat};
use crate::data_dir::DataDir;
use crate::image_config::proxies_of_environment;
use crate::size::Size;
use crate::{banner, descriptors, doctor, http, logging};

/// Where the server answers unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// How often the metrics' histograms are compacted.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "LAZARET_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Configuration file; unknown keys are refused
    #[arg(long, env = "LAZARET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Shape of log lines on standard error
    #[arg(long, env = "LAZARET_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// What to log, such as 'info' or 'lazaret_core=debug,info'
    #[arg(long, env = "LAZARET_LOG", value_name = "FILTER")]
    log: Option<String>,
}

/// Runs the server until a signal ends it.
///
/// # Errors
/// What keeps it from starting, with what to do about it.
pub(crate) fn run(args: &ServeArgs, globals: &Globals) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let format = args.log_format.unwrap_or(config.log.format);
    logging::start(format, args.log.as_deref().or(config.log.filter.as_deref()))?;
    let data_dir = config.data_dir_or(globals)?;
    let runtime_config = runtime_config(&config)?;
    descriptors::allow_all().context("raising the limit of open files")?;
    doctor::refuse_unfit_host(&data_dir, &runtime_config)?;
    // Before the spawner and before the first thread: both begin with what is left then.
    lazaret_runtime::privileges::shed().context("dropping what a server does not need of root's powers")?;
    let data = DataDir::open(&data_dir)?;
    let cgroup_name = match &config.runtime.cgroup_parent {
        Some(configured) => configured.clone(),
        None => data.cgroup_name()?,
    };
    let runtime_config = RuntimeConfig { data_dir: data.path().to_owned(), cgroup_name, ..runtime_config };
    let runtime = NamespacesRuntime::launch(runtime_config)
        .context("starting the runtime; `lazaret doctor` says what this host lacks")?;
    let listen = args.listen.or(config.listen).unwrap_or(DEFAULT_LISTEN);
    let server = Server { config, data, runtime, listen, api_key: globals.api_key.clone().map(Secret::new) };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting tokio")?;
    tokio.block_on(server.serve())
}

/// What the file says that needs no data directory.
pub(crate) fn runtime_config(config: &Config) -> anyhow::Result<RuntimeConfig> {
    let mut runtime = RuntimeConfig::new(PathBuf::new());
    runtime.network = config.network.packet_level()?;
    if let Some(first) = config.runtime.first_id {
        runtime.id_space.first = first;
    }
    runtime.cpu_limits = match config.runtime.cpu_limit {
        CpuLimit::Required => CpuLimits::Required,
        CpuLimit::None => CpuLimits::None,
    };
    runtime.disk_space = DiskSpace {
        reserve_bytes: config.runtime.disk_reserve_bytes(),
        total_bytes: config.runtime.disk_total.map(Size::bytes),
    };
    Ok(runtime)
}

/// Everything that is there before the async runtime is.
struct Server {
    config: Config,
    data: DataDir,
    runtime: NamespacesRuntime,
    listen: SocketAddr,
    api_key: Option<Secret>,
}

impl Server {
    async fn serve(self) -> anyhow::Result<()> {
        let stop = stop_on_signal()?;
        // The port first: a taken one must not cost an adoption.
        let listener = http::listen(self.listen).await?;
        let address = listener.local_addr().context("asking for the listening address")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = PrometheusBuilder::new().install_recorder().context("starting metrics")?;
        let settings = self.config.core_settings()?;
        let gateway = open_gateway(&self.runtime, &self.config, &clock)?;
        let reserve_bytes = self.config.runtime.disk_reserve_bytes();
        let registries = self.config.images.registry_settings(proxies_of_environment())?;
        let ports = open_ports(&self.data, reserve_bytes, self.runtime, gateway, &clock, registries).await?;
        let services = Services::start(ports, settings).await.context("adopting what is on this host")?;

        let preparing = tokio::spawn(prepare_image(services.clone()));

        let own_key = self.api_key.is_some();
        let new_key = services.accounts.ensure_admin(self.api_key).await.context("making the first key")?;
        if let Some(secret) = new_key.as_ref().filter(|_| !own_key) {
            self.data.write_key(secret)?;
        }
        self.data.write_listen(address)?;

        let upkeep = tokio::spawn(keep_up(metrics.clone(), stop.clone()));
        let router =
            lazaret_api::router(services.clone(), api_settings(&self.config, clock, metrics, stop.clone()));
        let key_file = self.data.key_file();
        let shown_key = new_key.as_ref().filter(|_| !own_key);
        let program = std::env::current_exe().context("finding this program's own path")?;
        print(&banner::text(&program, address, &key_file, !own_key && key_file.exists(), shown_key))?;
        tracing::info!(%address, data_dir = %self.data.path().display(), "serving");

        http::serve(listener, router, &self.config.http, stop).await;
        services.shutdown().await;
        upkeep.await.context("ending the upkeep of metrics")?;
        preparing.await.context("preparing the default image")?;
        tracing::info!("stopped; sandboxes go on");
        Ok(())
    }
}

/// What judges traffic by name, at the sockets that the runtime has in its gateway's namespace; `None` if there is none.
fn open_gateway(
    runtime: &NamespacesRuntime,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<dyn Gateway>>> {
    let Some(GatewaySockets { v4, v6 }) = runtime.gateway_sockets() else {
        if config.network.enabled {
            let why = runtime.network_refusal().unwrap_or_default();
            tracing::warn!(
                why,
                "no sandbox can have a network on this host; `lazaret doctor` says what it lacks"
            );
        }
        return Ok(None);
    };
    let mut listeners = Listeners::default();
    for FamilySockets { dns_udp, dns_tcp, proxy_tcp } in [Some(v4), v6].into_iter().flatten() {
        listeners.dns_udp.push(dns_udp);
        listeners.dns_tcp.push(dns_tcp);
        listeners.proxy_tcp.push(proxy_tcp);
    }
    let settings = EgressConfig {
        bounds: config.network.bounds().context("network")?,
        upstream_dns: config.network.dns_servers.clone(),
        trusted: config.network.trusted_certificates.clone(),
    };
    let gateway =
        EgressGateway::start(settings, listeners, Arc::clone(clock)).context("starting the gateway")?;
    Ok(Some(Arc::new(gateway)))
}

/// The first build of the `host` image takes half a second, which nobody should have to wait for.
async fn prepare_image(services: Services) {
    if let Err(error) = services.prepare_default_image().await {
        // Whoever asks for the image is told the same.
        tracing::warn!(error = &error as &dyn std::error::Error, "the default image is not available");
    }
}

/// Every adapter, over this data directory.
async fn open_ports(
    data: &DataDir,
    reserve_bytes: u64,
    runtime: NamespacesRuntime,
    gateway: Option<Arc<dyn Gateway>>,
    clock: &Arc<dyn Clock>,
    registries: RegistrySettings,
) -> anyhow::Result<Ports> {
    let (database, blobs, images) = (data.database(), data.path().join("blobs"), data.path().join("images"));
    let limits = UnpackLimits { disk_reserve_bytes: reserve_bytes, ..UnpackLimits::default() };
    let image_clock = Arc::clone(clock);
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        Ok((
            Sqlite::open(&database).context("opening the store")?,
            BlobFiles::open(&blobs).context("opening the uploaded files")?.keeping_free(reserve_bytes),
            ImageStore::open(&images, Path::new("/"), image_clock, limits, registries)
                .context("opening the images")?,
        ))
    });
    let (store, blobs, images) = opened.await.context("opening the data directory")??;
    let runtime = Arc::new(runtime);
    let guests = GuestClient::new(Arc::clone(&runtime) as Arc<dyn lazaret_core::ports::Runtime>);
    Ok(Ports {
        store: Arc::new(store),
        blobs: Arc::new(blobs),
        images: Arc::new(images),
        guest: Arc::new(guests.clone()),
        git: Arc::new(guests),
        runtime,
        gateway,
        transpiler: Arc::new(Oxc),
        clock: Arc::clone(clock),
        ids: Arc::new(RandomIds),
    })
}

fn api_settings(
    config: &Config,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
    stopping: CancellationToken,
) -> ApiSettings {
    let mut settings = ApiSettings::new(clock);
    settings.stopping = stopping;
    settings.rates = config.http.rates();
    settings.metrics = Some(Arc::new(move || metrics.render()));
    settings.daytona.public_url.clone_from(&config.daytona.public_url);
    settings.daytona.preview_domain =
        config.daytona.preview_domain.as_ref().map(|name| name.as_str().to_owned());
    settings.daytona.default_image.clone_from(&config.daytona.default_image);
    settings.actions.default_image.clone_from(&config.actions.default_image);
    settings.openai.expires_minutes_max = config.openai.max_expiry_minutes;
    settings.openai.default_image = config.openai.default_image.clone();
    settings.openai.plain_names = config.openai.plain_names;
    settings.openai.require_provider = config.openai.require_provider;
    settings
}

/// A token that SIGTERM or SIGINT cancels.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching for SIGINT")?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}

async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut timer = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => metrics.run_upkeep(),
        }
    }
}

/// Standard output may be closed, as under a service manager: that is no reason not to serve.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("writing to standard output"),
    }
}
