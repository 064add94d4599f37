//! `[images]` of the configuration: registries, mirrors, credentials, and the catalogue of names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use lazaret_core::services::{ImageSettings, PullPolicy};
use lazaret_core::{CatalogueImage, CollectionPolicy, ImageCatalogue, ImageReference, Secret};
use lazaret_images::registry::docker_config;
use lazaret_images::registry::settings::{Credentials, Proxies, RegistrySettings};
use serde::Deserialize;

use crate::size::Size;

/// The names that every server offers.
const CATALOGUE: &str = include_str!("catalogue.toml");

/// The section.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Images {
    pub(crate) pull: Pull,
    /// By registry, hosts that are asked before it.
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts that are spoken to without TLS.
    pub(crate) plain_http: BTreeSet<String>,
    /// Hosts that may be asked although their addresses are not public.
    pub(crate) internal: BTreeSet<String>,
    /// By registry, who to be.
    pub(crate) credentials: BTreeMap<String, CredentialsConfig>,
    /// A file that `docker login` wrote, whose credentials are used as well.
    pub(crate) docker_config: Option<PathBuf>,
    /// Seconds without a byte after which a registry counts as hanging.
    pub(crate) stall_timeout_s: Option<u64>,
    /// Days without use after which a pulled image goes.
    pub(crate) keep_unused_days: Option<u32>,
    /// What all images may take before unused ones go, least recently used first.
    pub(crate) disk_budget: Option<Size>,
    /// Names and what they stand for, over the ones that are built in.
    pub(crate) catalogue: BTreeMap<String, CatalogueEntry>,
}

/// What a create does when its image is not here.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    /// Pulls it.
    #[default]
    Missing,
    /// Fails.
    Never,
}

/// Who to be at a registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialsConfig {
    username: String,
    /// The password itself, or
    password: Option<SecretText>,
    /// the file that it is in.
    password_file: Option<PathBuf>,
}

/// A text that is not printed.
#[derive(Deserialize)]
#[serde(transparent)]
struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("...")
    }
}

/// What a name stands for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogueEntry {
    reference: String,
    title: Option<String>,
    #[serde(default = "other")]
    family: String,
    #[serde(default)]
    popular: bool,
}

fn other() -> String {
    "other".to_owned()
}

impl Images {
    /// What the core reads.
    pub(crate) fn core_settings(&self) -> anyhow::Result<ImageSettings> {
        let mut catalogue = ImageCatalogue::default();
        let built_in: BTreeMap<String, CatalogueEntry> =
            toml::from_str(CATALOGUE).context("reading the built-in catalogue")?;
        for (name, entry) in built_in.iter().chain(&self.catalogue) {
            let at = || format!("images.catalogue.{name:?}");
            let reference = ImageReference::parse(&entry.reference).with_context(at)?;
            let title = entry.title.clone().unwrap_or_else(|| entry.reference.clone());
            let (family, popular) = (entry.family.clone(), entry.popular);
            catalogue.insert(name, CatalogueImage { reference, title, family, popular }).with_context(at)?;
        }
        let pull = match self.pull {
            Pull::Missing => PullPolicy::Missing,
            Pull::Never => PullPolicy::Never,
        };
        let day = Duration::from_secs(24 * 60 * 60);
        let unused_after = self.keep_unused_days.map(|days| day * days);
        let collection = CollectionPolicy {
            unused_after: unused_after.unwrap_or(CollectionPolicy::default().unused_after),
            budget_bytes: self.disk_budget.map(Size::bytes),
        };
        Ok(ImageSettings { catalogue, pull, collection })
    }

    /// What the client of registries reads. `proxies` is what the environment says.
    pub(crate) fn registry_settings(&self, proxies: Proxies) -> anyhow::Result<RegistrySettings> {
        let mut credentials = match &self.docker_config {
            Some(path) => docker_config::read(path).context("images.docker_config")?,
            None => BTreeMap::new(),
        };
        for (host, entry) in &self.credentials {
            let entry = entry.resolve().with_context(|| format!("images.credentials.{host:?}"))?;
            credentials.insert(host.clone(), entry);
        }
        let mirrors = self.mirrors.values().flatten();
        let hosts = self.plain_http.iter().chain(&self.internal).chain(credentials.keys());
        for host in mirrors.chain(self.mirrors.keys()).chain(hosts) {
            check_host(host)?;
        }
        let defaults = RegistrySettings::default();
        let stall_timeout = self.stall_timeout_s.map(Duration::from_secs);
        if stall_timeout == Some(Duration::ZERO) {
            bail!("images.stall_timeout_s: must be at least 1");
        }
        let settings = RegistrySettings {
            mirrors: self.mirrors.clone(),
            plain_http: self.plain_http.clone(),
            internal: self.internal.clone(),
            credentials,
            proxies,
            stall_timeout: stall_timeout.unwrap_or(defaults.stall_timeout),
            ..defaults
        };
        settings.check().context("the variables of a proxy")?;
        Ok(settings)
    }
}

impl CredentialsConfig {
    fn resolve(&self) -> anyhow::Result<Credentials> {
        let password = match (&self.password, &self.password_file) {
            (Some(SecretText(password)), None) => password.clone(),
            (None, Some(path)) => read_password(path)?,
            _ => bail!("give either password or password_file"),
        };
        Ok(Credentials { username: self.username.clone(), password: Secret::new(password) })
    }
}

fn read_password(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("password_file: reading {}", path.display()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// `host[:port]`, for a mirror with a path behind it.
fn check_host(text: &str) -> anyhow::Result<()> {
    let host = text.split('/').next().unwrap_or_default();
    let clean = host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b));
    // The first part of a URL is its scheme, which ends in the colon of a port that is not there.
    if host.is_empty() || host.ends_with(':') || !clean {
        bail!("images: {text:?} is not a host; write HOST or HOST:PORT, without a scheme");
    }
    Ok(())
}

/// The proxies that the environment names, lower case before upper case as everywhere.
#[expect(clippy::disallowed_methods, reason = "this is where settings are read, once")]
pub(crate) fn proxies_of_environment() -> Proxies {
    let of = |name: &str| {
        let variables = [name.to_owned(), name.to_uppercase()];
        variables.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
    };
    let all = of("all_proxy");
    Proxies {
        http: of("http_proxy").or_else(|| all.clone()),
        https: of("https_proxy").or(all),
        none: of("no_proxy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<(ImageSettings, RegistrySettings)> {
        let images: Images = toml::from_str(text)?;
        Ok((images.core_settings()?, images.registry_settings(Proxies::default())?))
    }

    #[test]
    fn the_built_in_names_are_there_and_can_be_replaced() {
        let (settings, _) = parse("[catalogue]\nubuntu = { reference = \"mirror.corp/ubuntu:1\" }").unwrap();
        let of = |name: &str| settings.catalogue.resolve(name).unwrap().to_string();
        for (name, want) in [
            ("ubuntu", "mirror.corp/ubuntu:1"),
            ("debian", "docker.io/library/debian:bookworm"),
            ("debian:bookworm", "docker.io/library/debian:bookworm"),
            ("alpine", "docker.io/library/alpine:3.21"),
            ("archlinux", "docker.io/library/archlinux:latest"),
            ("python", "docker.io/library/python:3.13-slim"),
            ("centos", "quay.io/centos/centos:stream9"),
            ("node:24", "docker.io/library/node:24"),
        ] {
            assert_eq!(of(name), want);
        }
    }

    #[test]
    fn a_wrong_section_is_refused_with_what_is_wrong() {
        for (text, want) in [
            ("pull = \"always\"", "unknown variant `always`"),
            ("plain_http = [\"http://x\"]", "\"http://x\" is not a host"),
            ("mirrors = { \"docker.io\" = [\"https://m\"] }", "\"https://m\" is not a host"),
            ("[credentials.\"r\"]\nusername = \"u\"", "give either password or password_file"),
            ("[catalogue]\n\"a b\" = { reference = \"x\" }", "images.catalogue.\"a b\""),
            ("[catalogue]\na = { reference = \"X\" }", "images.catalogue.\"a\""),
            ("stall_timeout_s = 0", "images.stall_timeout_s"),
            ("docker_config = \"/nonexistent\"", "images.docker_config"),
        ] {
            let error = parse(text).map(drop).expect_err(text);
            assert!(format!("{error:#}").contains(want), "{text}: {error:#}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let images: Images =
            toml::from_str("[credentials.r]\nusername = \"u\"\npassword = \"hush\"").unwrap();
        let settings = images.registry_settings(Proxies::default()).unwrap();
        assert_eq!(settings.credentials["r"].password.expose(), "hush");
        assert!(!format!("{images:?} {settings:?}").contains("hush"));
    }
}
