//! Settings: one typed tree from a TOML file, with the environment over it and flags over both.
//!
//! Unknown keys are refused, sizes take units (`512m`, `10g`), and every error names the key. `packaging/lazaret.toml`
//! shows every key with its default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use lazaret_api::RateSettings;
use lazaret_cli::Globals;
use lazaret_core::services::{Settings, Tier};
use lazaret_core::{Cidr, DomainName, DomainPattern, EgressBounds, FilePath, Resources};
use lazaret_runtime::NetworkConfig;
use serde::Deserialize;

use crate::image_config::Images;
use crate::role_config::{self, RoleConfig};
use crate::size::Size;

/// The whole file. Every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) default_image: Option<String>,
    pub(crate) log: Log,
    pub(crate) http: Http,
    pub(crate) sandbox: SandboxDefaults,
    pub(crate) images: Images,
    pub(crate) openai: OpenAi,
    pub(crate) daytona: Daytona,
    pub(crate) actions: Actions,
    pub(crate) runtime: Runtime,
    pub(crate) network: Network,
    pub(crate) tiers: BTreeMap<String, TierConfig>,
    /// Recipes for new sandboxes, over the ones that are built in.
    pub(crate) roles: BTreeMap<String, RoleConfig>,
}

/// How to log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// A filter such as `info` or `lazaret_core=debug,info`.
    pub(crate) filter: Option<String>,
}

/// The shape of a log line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

/// Bounds of the HTTP server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// Connections open at once; further ones wait in the kernel's queue.
    pub(crate) max_connections: usize,
    /// Seconds in which a request's head must have come.
    pub(crate) header_timeout_s: u64,
    /// Seconds that a shutdown waits for requests that are under way.
    pub(crate) shutdown_grace_s: u64,
    /// Requests a second of one key; 0 is without a bound.
    pub(crate) requests_per_second: u32,
    /// Requests of one key at once.
    pub(crate) request_burst: NonZeroU32,
    /// Refused keys a minute of one address; 0 is without a bound.
    pub(crate) refusals_per_minute: u32,
}

impl Default for Http {
    fn default() -> Self {
        let rates = RateSettings::default();
        Self {
            max_connections: 4096,
            header_timeout_s: 10,
            shutdown_grace_s: 10,
            requests_per_second: rates.requests_per_second.map_or(0, NonZeroU32::get),
            request_burst: rates.request_burst,
            refusals_per_minute: rates.refusals_per_minute.map_or(0, NonZeroU32::get),
        }
    }
}

impl Http {
    /// The rates that the API enforces.
    pub(crate) fn rates(&self) -> RateSettings {
        RateSettings {
            requests_per_second: NonZeroU32::new(self.requests_per_second),
            request_burst: self.request_burst,
            refusals_per_minute: NonZeroU32::new(self.refusals_per_minute),
        }
    }
}

/// Bounds of a sandbox whose maker names none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SandboxDefaults {
    pub(crate) memory: Option<Size>,
    pub(crate) cpus: Option<f64>,
    pub(crate) pids: Option<u32>,
    pub(crate) disk: Option<Size>,
}

/// The OpenAI dialect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpenAi {
    /// Image of a container, which no request of this dialect names; the server's default unless set.
    pub(crate) default_image: Option<String>,
    /// Largest `expires_after.minutes`. The hosted service takes 20.
    pub(crate) max_expiry_minutes: u32,
    /// Uploads keep their plain name where it is free, instead of a prefix of 32 hexadecimal digits.
    pub(crate) plain_names: bool,
    /// Requests must name a `provider`, as the Bifrost gateway demands.
    pub(crate) require_provider: bool,
}

impl Default for OpenAi {
    fn default() -> Self {
        Self { default_image: None, max_expiry_minutes: 1440, plain_names: false, require_provider: false }
    }
}

/// Daytona's dialects.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Daytona {
    /// Image or template of a sandbox whose maker names none; the server's default unless set.
    pub(crate) default_image: Option<String>,
    /// Where clients reach this server, if that is not where it listens: behind a proxy with TLS, for one.
    pub(crate) public_url: Option<String>,
    /// The domain whose names lead to ports of sandboxes, besides `localhost`.
    #[serde(deserialize_with = "domain")]
    pub(crate) preview_domain: Option<DomainName>,
}

/// The twelve actions, over MCP and HTTP.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Actions {
    /// Image or template of a sandbox whose maker names none; the server's default unless set.
    pub(crate) default_image: Option<String>,
}

/// The namespaces runtime.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Runtime {
    /// Name of the control group that holds every sandbox's; one of the data directory's own unless set.
    pub(crate) cgroup_parent: Option<String>,
    /// First host id of the ranges that sandboxes get.
    pub(crate) first_id: Option<u32>,
    /// Whether sandboxes have a CPU limit.
    pub(crate) cpu_limit: CpuLimit,
    /// Bytes that sandboxes, images and uploaded files leave free on the disk of the data directory.
    pub(crate) disk_reserve: Option<Size>,
    /// Most bytes that the disks of all sandboxes take together; what is there, unless set.
    pub(crate) disk_total: Option<Size>,
}

impl Runtime {
    /// Bytes that stay free on the disk of the data directory.
    pub(crate) fn disk_reserve_bytes(&self) -> u64 {
        self.disk_reserve.map_or(lazaret_core::limits::HOST_DISK_RESERVE_BYTES, Size::bytes)
    }
}

/// Whether sandboxes have a CPU limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CpuLimit {
    /// Each has one, and a host without the controller is unfit.
    #[default]
    Required,
    /// None has.
    None,
}

/// What sandboxes may reach, and from which addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// Sandboxes may have a network, if their policy says so.
    pub(crate) enabled: bool,
    /// Addresses of sandboxes and their gateway.
    pub(crate) range: Option<Ipv4Net>,
    pub(crate) range_v6: Option<Ipv6Net>,
    /// Names and `*.` patterns that tenants may ask for; any if unset.
    pub(crate) allowed_domains: Option<Vec<String>>,
    /// Private networks, in CIDR form, that sandboxes may reach all the same.
    pub(crate) open_networks: Vec<String>,
    /// Name servers to ask; those of the host's `/etc/resolv.conf` if empty.
    pub(crate) dns_servers: Vec<SocketAddr>,
    /// Files of certificates (PEM) that are trusted beyond this host's own, for hosts that get secrets.
    pub(crate) trusted_certificates: Vec<PathBuf>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            enabled: true,
            range: None,
            range_v6: None,
            allowed_domains: None,
            open_networks: Vec::new(),
            dns_servers: Vec::new(),
            trusted_certificates: Vec::new(),
        }
    }
}

/// One tier; what is left out is as in the built-in tier.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TierConfig {
    pub(crate) sandboxes: Option<usize>,
    pub(crate) stored: Option<Size>,
    /// Volumes, and what all of them together may take.
    pub(crate) volumes: Option<usize>,
    pub(crate) volumes_total: Option<Size>,
    pub(crate) memory: Option<Size>,
    pub(crate) cpus: Option<f64>,
    pub(crate) pids: Option<u32>,
    pub(crate) disk: Option<Size>,
}

/// A domain, in any spelling that people use.
fn domain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<DomainName>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = text.parse::<DomainName>();
    let name = name.map_err(|problem| format!("'{}' {problem}", text.escape_debug()));
    name.map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    /// Reads a file; the empty configuration for `None`.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.core_settings().map(drop)?;
        config.network.packet_level().map(drop)?;
        Ok(config)
    }

    /// The data directory: what a flag or the environment names, else what the file does, else the default.
    pub(crate) fn data_dir_or(&self, globals: &Globals) -> anyhow::Result<PathBuf> {
        match (&globals.data_dir, &self.data_dir) {
            (None, Some(configured)) => Ok(configured.clone()),
            _ => globals.data_dir(),
        }
    }

    /// The part that the core reads.
    pub(crate) fn core_settings(&self) -> anyhow::Result<Settings> {
        let defaults = Settings::default();
        let mut tiers = BTreeMap::new();
        for (name, tier) in &self.tiers {
            tiers.insert(name.clone(), tier.resolve().with_context(|| format!("tiers.{name}"))?);
        }
        let SandboxDefaults { memory, cpus, pids, disk } = self.sandbox;
        let default_resources = overlay(defaults.default_resources, memory, cpus, pids, disk)?;
        default_resources.check().context("sandbox")?;
        Ok(Settings {
            default_image: self.default_image.clone().unwrap_or(defaults.default_image),
            images: self.images.core_settings()?,
            default_resources,
            tiers,
            data_dir: FilePath::new("/mnt/data")?,
            default_network: defaults.default_network,
            egress: self.network.bounds().context("network")?,
            roles: role_config::table(&self.roles)?,
        })
    }
}

impl Network {
    /// What the runtime is told; `None` for no network.
    pub(crate) fn packet_level(&self) -> anyhow::Result<Option<NetworkConfig>> {
        let base = NetworkConfig::default();
        let config = NetworkConfig {
            range_v4: self.range.unwrap_or(base.range_v4),
            range_v6: self.range_v6.unwrap_or(base.range_v6),
            opened: self.bounds().context("network")?.opened.into_iter().map(IpNet::from).collect(),
        };
        config.check().map_err(|why| anyhow!("network.{why}"))?;
        Ok(self.enabled.then_some(config))
    }

    /// What any sandbox may be given.
    pub(crate) fn bounds(&self) -> anyhow::Result<EgressBounds> {
        let pattern = |text: &String| {
            text.parse::<DomainPattern>()
                .map_err(|problem| anyhow!("allowed_domains: '{}' {problem}", text.escape_debug()))
        };
        let network = |text: &String| {
            text.parse::<Cidr>()
                .map_err(|problem| anyhow!("open_networks: '{}' {problem}", text.escape_debug()))
        };
        let domains = self.allowed_domains.as_ref().map(|texts| texts.iter().map(pattern).collect());
        let opened = self.open_networks.iter().map(network).collect::<anyhow::Result<_>>()?;
        Ok(EgressBounds { domains: domains.transpose()?, opened })
    }
}

impl TierConfig {
    fn resolve(&self) -> anyhow::Result<Tier> {
        let base = Tier::default();
        Ok(Tier {
            sandboxes_max: self.sandboxes.unwrap_or(base.sandboxes_max),
            stored_max_bytes: self.stored.map_or(base.stored_max_bytes, Size::bytes),
            volumes_max: self.volumes.unwrap_or(base.volumes_max),
            volumes_max_bytes: self.volumes_total.map_or(base.volumes_max_bytes, Size::bytes),
            resources_max: overlay(base.resources_max, self.memory, self.cpus, self.pids, self.disk)?,
        })
    }
}

/// `base` with what the file sets over it.
fn overlay(
    base: Resources,
    memory: Option<Size>,
    cpus: Option<f64>,
    pids: Option<u32>,
    disk: Option<Size>,
) -> anyhow::Result<Resources> {
    Ok(Resources {
        memory_bytes: memory.map_or(base.memory_bytes, Size::bytes),
        cpu_millis: cpus.map_or(Ok(base.cpu_millis), cpu_millis)?,
        pids: pids.unwrap_or(base.pids),
        disk_bytes: disk.map_or(base.disk_bytes, Size::bytes),
    })
}

fn cpu_millis(cpus: f64) -> anyhow::Result<u32> {
    let millis = (cpus * 1000.0).round();
    if !(1.0..=f64::from(lazaret_core::limits::CPU_MAX_MILLIS)).contains(&millis) {
        bail!("cpus: {cpus} is out of range");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked against the range above"
    )]
    Ok(millis as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units_and_what_is_left_out_keeps_its_default() {
        let config =
            Config::parse("[sandbox]\nmemory = \"512m\"\ncpus = 0.5\n[tiers.small]\nsandboxes = 3\nvolumes_total = \"5g\"\n")
                .unwrap();
        let settings = config.core_settings().unwrap();
        assert_eq!(settings.default_resources.memory_bytes, 512 << 20);
        assert_eq!(settings.default_resources.cpu_millis, 500);
        assert_eq!(settings.default_resources.pids, Resources::default().pids);
        assert_eq!(settings.tier("small").sandboxes_max, 3);
        assert_eq!(settings.tier("small").stored_max_bytes, Tier::default().stored_max_bytes);
        assert_eq!(settings.tier("small").volumes_max_bytes, 5 << 30);
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_key_at_fault() {
        for (text, want) in [
            ("lisen = \"127.0.0.1:1\"", "unknown field `lisen`"),
            ("[sandbox]\nmemory = \"1 potato\"", "memory"),
            ("[sandbox]\nmemory = \"1k\"", "memory_bytes"),
            ("[sandbox]\ncpus = -1.0", "cpus"),
            ("[network]\nallowed_domains = [\"*\"]", "allowed_domains: '*' would allow every name"),
            ("[network]\nopen_networks = [\"10.0.0.1/8\"]", "open_networks: '10.0.0.1/8' has bits after"),
            ("[network]\nrange = \"10.0.0.0/30\"", "network.range: 10.0.0.0/30 is too small"),
            ("[openai]\nmax_minutes = 3", "unknown field `max_minutes`"),
            ("[roles.x]\npackages = { apt = [\"a b\"] }", "roles.\"x\": packages.apt: 'a b' is not"),
            ("[daytona]\npreview_domain = \"10.0.0.1\"", "'10.0.0.1' "),
        ] {
            let error = Config::parse(text).map(drop).unwrap_err();
            assert!(format!("{error:#}").contains(want), "{text}: {error:#}");
        }
    }
}
