//! Which machine is asked, over what, and whether it may be asked at all.
//!
//! Whoever may make a sandbox may name an image, and with it a host. Without this the server would knock, on a stranger's
//! word, at its own loopback, at the cloud's metadata service, and at everything else that trusts its address. So a host
//! is asked only if the operator's settings name it, with its port, or if its address is public. The same holds for
//! where a registry redirects to and for the token service it names.
//!
//! ```text
//!   text of the URL ── named by the operator? ─▶ yes          not named, and an address ─▶ must be public
//!                                                             not named, and a name     ─▶ resolver keeps public addresses
//! ```
//!
//! Behind a proxy the proxy resolves, and it is for the proxy to judge.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lazaret_core::{BoxError, ImageReference, is_public};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::RegistryError;
use super::settings::RegistrySettings;

/// The registry that people call `docker.io` answers under another name.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A machine that has repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `host[:port]`, as credentials are looked up.
    pub(crate) host: String,
    /// Up to the repository, with a slash at its end.
    pub(crate) base: Url,
}

/// The operator's word on hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// `host[:port]`, of every host that the settings name.
    named: BTreeSet<String>,
    plain_http: BTreeSet<String>,
}

impl Hosts {
    pub(crate) fn new(settings: &RegistrySettings) -> Hosts {
        let mirrors = || settings.mirrors.values().flatten().map(|mirror| split_mirror(mirror).0);
        let mut plain_http = settings.plain_http.clone();
        plain_http.extend(mirrors().filter(|mirror| is_loopback(mirror)).map(str::to_owned));
        let proxies = [&settings.proxies.http, &settings.proxies.https];
        let proxies = proxies.into_iter().flatten().filter_map(|proxy| authority(&Url::parse(proxy).ok()?));
        let named = plain_http
            .iter()
            .chain(&settings.internal)
            .chain(settings.credentials.keys())
            .cloned()
            .chain(mirrors().map(str::to_owned))
            .chain(proxies)
            .collect();
        Hosts { named, plain_http }
    }

    /// The machines to ask for an image: its registry's mirrors, and then the registry.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] if none of them may be asked.
    pub(crate) fn endpoints(
        &self,
        settings: &RegistrySettings,
        image: &ImageReference,
    ) -> Result<Vec<Endpoint>, RegistryError> {
        let registry = image.registry();
        let own = if registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { registry };
        let mirrors = settings.mirrors.get(registry).into_iter().flatten();
        let mut endpoints = Vec::new();
        for mirror in mirrors {
            let (host, path) = split_mirror(mirror);
            endpoints.push(self.endpoint(host.to_owned(), host, path)?);
        }
        let last = self.endpoint(registry.to_owned(), own, "");
        match last {
            Ok(last) => endpoints.push(last),
            Err(error) if endpoints.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(endpoints)
    }

    fn endpoint(&self, name: String, host: &str, path: &str) -> Result<Endpoint, RegistryError> {
        let scheme = if self.plain_http.contains(host) { "http" } else { "https" };
        let slash = if path.is_empty() { "" } else { "/" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{path}{slash}"));
        let base = base.map_err(|_| not_allowed(host, "is not the name of a host"))?;
        self.judge(&base)?;
        Ok(Endpoint { host: name, base })
    }

    /// Succeeds if the host of `url` may be asked in that way, as far as its text tells.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`].
    pub(crate) fn judge(&self, url: &Url) -> Result<(), RegistryError> {
        let Some(authority) = authority(url) else { return Err(not_allowed(url.as_str(), "is not a host")) };
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http.contains(&authority) => {}
            _ => return Err(not_allowed(&authority, "is not among the hosts to speak to without TLS")),
        }
        if self.named.contains(&authority) {
            return Ok(());
        }
        let internal = "is not a public address, and not among the internal registries";
        match address_in(url) {
            Some(address) if !is_public(address) => Err(not_allowed(&authority, internal)),
            Some(_) => Ok(()),
            // The resolver lets the host through because of another port.
            None if self.names_host(strip_port(&authority)) => {
                Err(not_allowed(&authority, "is known to the settings with another port only"))
            }
            None => Ok(()),
        }
    }

    /// Whether a host is named with any port.
    fn names_host(&self, host: &str) -> bool {
        self.named.iter().any(|named| strip_port(named).eq_ignore_ascii_case(host))
    }
}

/// Resolves names, and keeps addresses that may be asked.
#[derive(Debug, Clone)]
pub(crate) struct PublicResolver(pub(crate) Arc<Hosts>);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str();
            // The connector sets the port.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let named = hosts.names_host(name);
            let allowed: Vec<_> =
                found.into_iter().filter(|address| named || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(BoxError::from(format!("{name} has no public address")));
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The address that stands for the host; the URL's parser has undone every other way of writing one.
fn address_in(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// `host[:port]` of a URL; the port is left out where it is the scheme's own.
pub(crate) fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn not_allowed(host: &str, why: &'static str) -> RegistryError {
    RegistryError::NotAllowed { host: host.to_owned(), why }
}

fn split_mirror(mirror: &str) -> (&str, &str) {
    let (host, path) = mirror.split_once('/').unwrap_or((mirror, ""));
    (host, path.trim_matches('/'))
}

fn strip_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = strip_port(authority);
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RegistrySettings {
        let mut settings = RegistrySettings::default();
        let mirrors = vec!["127.0.0.1:5000".to_owned(), "mirror.corp/hub/".to_owned()];
        settings.mirrors.insert("docker.io".to_owned(), mirrors);
        settings.plain_http.insert("10.0.0.1:80".to_owned());
        settings.plain_http.insert("plain.corp:5000".to_owned());
        settings
    }

    fn judge(url: &str) -> Result<(), String> {
        Hosts::new(&settings()).judge(&Url::parse(url).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn mirrors_are_asked_first_in_the_way_that_the_operator_lets() {
        let settings = settings();
        let hosts = Hosts::new(&settings);
        let bases = |image: &str| -> Vec<String> {
            let image = ImageReference::parse(image).unwrap();
            hosts.endpoints(&settings, &image).unwrap().into_iter().map(|at| at.base.into()).collect()
        };
        assert_eq!(
            bases("debian"),
            ["http://127.0.0.1:5000/v2/", "https://mirror.corp/v2/hub/", "https://registry-1.docker.io/v2/"]
        );
        assert_eq!(bases("ghcr.io/a/b"), ["https://ghcr.io/v2/"]);
        assert_eq!(bases("plain.corp:5000/a"), ["http://plain.corp:5000/v2/"]);
    }

    #[test]
    fn a_strangers_image_name_leads_to_no_internal_machine() {
        for url in [
            "https://ghcr.io/v2/",
            "https://8.8.8.8/v2/",
            "http://127.0.0.1:5000/v2/",
            "http://plain.corp:5000/v2/",
        ] {
            assert_eq!(judge(url), Ok(()), "{url}");
        }
        for url in [
            "http://ghcr.io/v2/",
            "http://127.0.0.1:6379/v2/",
            "https://127.0.0.1:6379/v2/",
            "https://169.254.169.254/v2/",
            "https://2130706433/v2/",
            "https://0x7f.1/v2/",
            "https://[::1]/v2/",
            "https://[::ffff:10.0.0.1]/v2/",
            "https://[2002:7f00:1::]/v2/",
            "https://[fd00::1]/v2/",
            "https://100.64.0.1/",
            "https://plain.corp:22/",
            "https://PLAIN.corp/",
            "ftp://ghcr.io/",
        ] {
            assert!(judge(url).is_err_and(|error| error.contains(" is ")), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_not_asked() {
        let resolver = PublicResolver(Arc::new(Hosts::new(&settings())));
        let error = resolver.resolve("localhost".parse().unwrap()).await.map(drop).unwrap_err();
        assert_eq!(error.to_string(), "localhost has no public address");
    }
}
