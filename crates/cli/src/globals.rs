//! Which server to talk to, and with which key.
//!
//! ```text
//!   address: --url / LAZARET_URL ─▶ <data dir>/listen ─▶ http://127.0.0.1:8080
//!   key:     --api-key / LAZARET_API_KEY ─▶ <data dir>/api-key, for a server on this machine only
//! ```
//!
//! The key file belongs to the server of this machine. It is not sent to any other address, however that was chosen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use reqwest::Url;

use crate::environment::default_data_dir;
use crate::failure::Failure;

/// Where `serve` listens unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Options that every client command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct Globals {
    /// Address of the server [default: the one that runs on this machine]
    #[arg(long, global = true, env = "LAZARET_URL", value_name = "URL", hide_env_values = true)]
    pub url: Option<String>,

    /// API key [default: the one in the data directory, for a server on this machine]
    ///
    /// Prefer the environment variable: other users of this machine can see your command lines.
    #[arg(long, global = true, env = "LAZARET_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<String>,

    /// Data directory of the server [default: /var/lib/lazaret for root, else $XDG_DATA_HOME/lazaret]
    #[arg(long, global = true, env = "LAZARET_DATA_DIR", value_name = "DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,

    /// Print JSON instead of tables and text
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
}

/// A server and how to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Address, without the native API's base path.
    pub(crate) url: Url,
    /// Key, if one was found.
    pub(crate) key: Option<String>,
    /// Where a key was looked for, for advice.
    pub(crate) key_advice: String,
}

impl Globals {
    /// The data directory that these options mean.
    ///
    /// # Errors
    /// A [`Failure`] if nothing says where it is.
    pub fn data_dir(&self) -> Result<PathBuf> {
        self.data_dir.clone().or_else(default_data_dir).ok_or_else(|| {
            Failure::new("there is no HOME, so the data directory is not known")
                .hint("name it with --data-dir or LAZARET_DATA_DIR")
                .into()
        })
    }

    /// The server that these options mean.
    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        let url = match &self.url {
            Some(url) => parse_url(url)?,
            None => {
                let listen = read_small(&self.data_dir()?.join("listen"))?;
                listening_url(listen.as_deref().unwrap_or(DEFAULT_LISTEN))?
            }
        };
        if let Some(key) = &self.api_key {
            let key_advice =
                "the key comes from --api-key or LAZARET_API_KEY; is it one of this server?".into();
            return Ok(Endpoint { url, key: Some(key.trim().to_owned()), key_advice });
        }
        // What the server wrote into its own data directory is as trustworthy as the key next to it.
        if self.url.is_some() && !is_this_machine(&url) {
            let key_advice = "give the key of that server with --api-key or LAZARET_API_KEY".into();
            return Ok(Endpoint { url, key: None, key_advice });
        }
        let file = self.data_dir()?.join("api-key");
        let key = read_small(&file)?;
        let key_advice = format!(
            "the key is looked for in --api-key, LAZARET_API_KEY and {} ({})",
            file.display(),
            if key.is_some() { "found there" } else { "which does not exist" },
        );
        Ok(Endpoint { url, key, key_advice })
    }
}

fn parse_url(text: &str) -> Result<Url> {
    let hint = "an address looks like http://127.0.0.1:8080";
    let url: Url = text
        .parse()
        .map_err(|error| Failure::new(format!("'{text}' is not an address")).source(error).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() || url.host().is_none() {
        return Err(Failure::new(format!("'{text}' is not an http or https address")).hint(hint).into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::new("the address carries a user or password")
            .hint("the server wants an API key; give it with LAZARET_API_KEY")
            .into());
    }
    Ok(url)
}

/// The address to connect to for what the server wrote about itself; a wildcard means this machine.
fn listening_url(listen: &str) -> Result<Url> {
    if listen.contains("://") {
        return parse_url(listen);
    }
    let Ok(mut address) = listen.parse::<SocketAddr>() else {
        return parse_url(&format!("http://{listen}"));
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    parse_url(&format!("http://{address}"))
}

/// Only names and numbers that cannot lead anywhere else: what DNS says about other names is not to be trusted with a key.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The trimmed text of a small file; `None` if it does not exist or is blank.
fn read_small(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => {
            let hint = if error.kind() == io::ErrorKind::PermissionDenied {
                "it belongs to another user: run as that user, or set LAZARET_URL and LAZARET_API_KEY"
            } else {
                "name the server with LAZARET_URL and its key with LAZARET_API_KEY"
            };
            Err(Failure::new(format!("cannot read {}", path.display())).source(error).hint(hint).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals(url: Option<&str>, data_dir: &Path) -> Globals {
        Globals {
            url: url.map(str::to_owned),
            api_key: None,
            data_dir: Some(data_dir.to_owned()),
            json: false,
        }
    }

    #[test]
    fn a_wildcard_that_the_server_listens_on_is_reached_on_this_machine() {
        for (listen, want) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000/"),
            ("[::]:9000", "http://[::1]:9000/"),
            ("box.example:80", "http://box.example/"),
            ("http://10.0.0.1:1/x", "http://10.0.0.1:1/x"),
        ] {
            assert_eq!(listening_url(listen).unwrap().as_str(), want, "{listen}");
        }
    }

    #[test]
    fn the_key_of_the_data_directory_goes_to_this_machine_only() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("api-key"), "lz_secret\n").unwrap();
        std::fs::write(dir.path().join("listen"), "192.0.2.9:1234\n").unwrap();
        let key = |url| globals(url, dir.path()).endpoint().unwrap().key;
        assert_eq!(key(None).as_deref(), Some("lz_secret"));
        assert_eq!(key(Some("http://[::1]:9")).as_deref(), Some("lz_secret"));
        assert_eq!(key(Some("http://localhost:9")).as_deref(), Some("lz_secret"));
        assert_eq!(key(Some("http://localhost.example.com:9")), None);
        assert_eq!(key(Some("http://192.0.2.1:9")), None);
    }

    #[test]
    fn the_address_that_the_server_wrote_is_used_unless_one_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let url = |url| globals(url, dir.path()).endpoint().unwrap().url.to_string();
        assert_eq!(url(None), "http://127.0.0.1:8080/");
        std::fs::write(dir.path().join("listen"), "192.0.2.1:1234").unwrap();
        assert_eq!(url(None), "http://192.0.2.1:1234/");
        assert_eq!(url(Some("https://sandbox.example/base")), "https://sandbox.example/base");
    }

    #[test]
    fn addresses_of_another_kind_and_passwords_in_them_are_refused() {
        for text in ["ftp://x", "127.0.0.1:8080", "http://", "http://user:pass@host"] {
            assert!(parse_url(text).unwrap_err().downcast_ref::<Failure>().is_some(), "{text}");
        }
    }
}
