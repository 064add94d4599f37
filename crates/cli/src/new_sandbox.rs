//! The options of `create` and `run` that describe a sandbox, and the request they make.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::environment::variable;
use crate::failure::Failure;
use crate::role::RoleWatch;
use crate::sizes::{parse_bytes, parse_cpus, parse_seconds};
use crate::variables::Variables;
use crate::wire::{Sandbox, VolumeMount};

/// What the new sandbox shall be; what is left out is the server's default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct NewSandbox {
    /// Image to start from, a name or a digest [default: the server's own]
    #[arg(short = 'I', long)]
    image: Option<String>,

    /// Template to make it of, whose recipe holds where no option says otherwise
    #[arg(long, conflicts_with = "image")]
    template: Option<String>,

    /// Role to apply to it, a recipe of packages that `role ls` shows
    #[arg(long)]
    role: Option<String>,

    /// Name for the sandbox
    #[arg(long)]
    name: Option<String>,

    /// Label, can be given several times
    #[arg(short = 'l', long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,

    #[command(flatten)]
    variables: Variables,

    /// Working directory of every command [default: the image's]
    #[arg(short = 'w', long = "workdir", value_name = "DIR")]
    cwd: Option<String>,

    /// User of every command, by name or number, NAME:GROUP too [default: the image's]
    #[arg(short = 'u', long)]
    user: Option<String>,

    /// Memory limit, such as 512m or 1g
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Limits")]
    memory: Option<u64>,

    /// CPU limit in cores, such as 0.5 or 2
    #[arg(long, value_name = "CORES", value_parser = parse_cpus, help_heading = "Limits")]
    cpus: Option<u32>,

    /// Most processes and threads
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    pids: Option<u32>,

    /// Disk limit, such as 2g
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Limits")]
    disk: Option<u64>,

    /// Volume to mount, by name or id, whole or a directory of it, can be given several times
    #[arg(short = 'v', long = "volume", value_name = "NAME:/PATH[:SUBPATH]", value_parser = parse_volume)]
    volumes: Vec<VolumeMount>,

    /// What it may reach [default: disabled, or allowlist if --allow is given]
    #[arg(long, value_enum, help_heading = "Network")]
    network: Option<Network>,

    /// Domain or address range that it may reach, can be given several times
    #[arg(long, value_name = "DOMAIN|CIDR", help_heading = "Network")]
    allow: Vec<String>,

    /// Variable that stands for its value here in requests over TLS to a domain that --allow names
    ///
    /// The value stays outside: the sandbox has a placeholder in the variable, and the gateway puts the value in its place.
    #[arg(long = "secret", value_name = "NAME@DOMAIN", value_parser = parse_secret, help_heading = "Network")]
    secrets: Vec<(String, String)>,

    /// After how long without use something happens to it, such as 20m [default: the server's]
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, help_heading = "Lifetime")]
    idle_timeout: Option<u64>,

    /// What happens then: `stop` keeps the disk, `pause` the memory too, `expire` nothing
    #[arg(long, value_enum, default_value = "stop", requires = "idle_timeout", help_heading = "Lifetime")]
    idle_action: IdleAction,

    /// After how long it is deleted when stopped
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, help_heading = "Lifetime")]
    delete_stopped_after: Option<u64>,

    /// After how long it ends whether used or not
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, help_heading = "Lifetime")]
    life: Option<u64>,
}

/// The kinds of network policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Network {
    /// Nothing but its own loopback
    #[value(alias = "none")]
    Disabled,
    /// What --allow names
    Allowlist,
    /// Public addresses, never the host or its networks
    Internet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IdleAction {
    Stop,
    Pause,
    Expire,
}

impl NewSandbox {
    /// The body of the request.
    ///
    /// # Errors
    /// A [`Failure`] if the options contradict each other or a file of variables cannot be read.
    pub(crate) fn body(&self) -> Result<Value> {
        let mut body = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        put("name", self.name.as_ref().map(|name| json!(name)));
        put("template", self.template.as_ref().map(|template| json!(template)));
        put("image", self.image.as_ref().map(|image| json!(image)));
        put("role", self.role.as_ref().map(|role| json!(role)));
        put("cwd", self.cwd.as_ref().map(|cwd| json!(cwd)));
        put("user", self.user.as_ref().map(|user| json!(user)));
        let env = self.variables.collect()?;
        put("env", (!env.is_empty()).then(|| json!(env)));
        let labels: Map<String, Value> =
            self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        put("labels", some_of(labels));
        put("network", self.network()?);
        let secrets = self.secrets(variable)?;
        put("secrets", (!secrets.is_empty()).then(|| json!(secrets)));
        put("volumes", (!self.volumes.is_empty()).then(|| json!(self.volumes)));
        put("resources", some_of(self.resources()));
        put("lease", some_of(self.lease()));
        Ok(Value::Object(body))
    }

    /// To be called before the sandbox is made; `None` without a role.
    pub(crate) async fn watch(&self, client: &Client) -> Result<Option<RoleWatch>> {
        match &self.role {
            Some(_) => RoleWatch::open(client).await.map(Some),
            None => Ok(None),
        }
    }

    /// The secrets with the values that `value_of` tells, which are no arguments: those can be seen by everybody here.
    fn secrets(&self, value_of: impl Fn(&str) -> Option<OsString>) -> Result<Vec<Value>> {
        let secret = |(name, domain): &(String, String)| {
            let value = value_of(name).and_then(|value| value.into_string().ok());
            let value = value.ok_or_else(|| {
                Failure::new(format!("{name} is not set here, or is no text"))
                    .hint("--secret takes the value from the environment of this command")
            })?;
            Ok(json!({ "name": name, "domain": domain, "value": value }))
        };
        self.secrets.iter().map(secret).collect()
    }

    fn resources(&self) -> Map<String, Value> {
        let all = [
            ("memory_bytes", self.memory.map(Value::from)),
            ("cpu_millis", self.cpus.map(Value::from)),
            ("pids", self.pids.map(Value::from)),
            ("disk_bytes", self.disk.map(Value::from)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    fn lease(&self) -> Map<String, Value> {
        let action = match self.idle_action {
            IdleAction::Stop => "stop",
            IdleAction::Pause => "pause",
            IdleAction::Expire => "expire",
        };
        let all = [
            ("idle_timeout_s", self.idle_timeout.map(Value::from)),
            ("idle_action", self.idle_timeout.map(|_| Value::from(action))),
            ("delete_stopped_after_s", self.delete_stopped_after.map(Value::from)),
            ("life_s", self.life.map(Value::from)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    fn network(&self) -> Result<Option<Value>> {
        let is_cidr =
            |allowed: &&String| allowed.contains('/') || allowed.parse::<std::net::IpAddr>().is_ok();
        let (cidrs, domains): (Vec<&String>, Vec<&String>) = self.allow.iter().partition(is_cidr);
        match self.network {
            None if self.allow.is_empty() => Ok(None),
            None | Some(Network::Allowlist) => {
                Ok(Some(json!({ "type": "allowlist", "domains": domains, "cidrs": cidrs })))
            }
            Some(kind) if !self.allow.is_empty() => Err(Failure::new(format!(
                "--allow says what may be reached, and --network {} contradicts it",
                if kind == Network::Internet { "internet" } else { "disabled" }
            ))
            .hint("leave out one of them; --allow alone means an allow list")
            .into()),
            Some(Network::Disabled) => Ok(Some(json!({ "type": "disabled" }))),
            Some(Network::Internet) => Ok(Some(json!({ "type": "internet" }))),
        }
    }
}

/// Makes a sandbox; it runs when this returns.
pub(crate) async fn make(client: &Client, body: &Value) -> Result<Sandbox> {
    // The server may have to pull the image first, and bounds that itself.
    client.json_within(None, client.post(&["sandboxes"])?.json(body)).await
}

fn some_of(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

/// `NAME:/PATH`, with `:SUBPATH` behind it for a directory of the volume.
fn parse_volume(text: &str) -> Result<VolumeMount, String> {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(volume), Some(path), subpath) if !volume.is_empty() && path.starts_with('/') => {
            Ok(VolumeMount { volume, path, subpath })
        }
        _ => Err(format!("'{text}' is no volume with its place; write NAME:/PATH or NAME:/PATH:SUBPATH")),
    }
}

/// `NAME@DOMAIN`.
fn parse_secret(text: &str) -> Result<(String, String), String> {
    match text.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() => {
            Ok((name.to_owned(), domain.to_owned()))
        }
        _ => Err("write NAME@DOMAIN, with the value in the variable NAME here".to_owned()),
    }
}

/// `KEY=VALUE`, or `KEY` for an empty value.
pub(crate) fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(format!("'{text}' has no key; write KEY=VALUE"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        sandbox: NewSandbox,
    }

    fn body(args: &[&str]) -> Result<Value> {
        Line::try_parse_from([&["x"], args].concat()).unwrap().sandbox.body()
    }

    #[test]
    fn nothing_said_asks_for_nothing() {
        assert_eq!(body(&[]).unwrap(), json!({}));
    }

    #[test]
    fn options_become_the_fields_of_the_request() {
        let args = "--image alpine --role go --name web -l a=b -l c -e X=1 -w /srv -u app:staff -m 1g --cpus 0.5 --pids 64 \
                    --disk 2g --idle-timeout 20m --idle-action pause --life 1d";
        let want = json!({
            "image": "alpine", "role": "go", "name": "web", "labels": {"a": "b", "c": ""}, "env": {"X": "1"},
            "cwd": "/srv", "user": "app:staff",
            "resources": {"memory_bytes": 1_u64 << 30, "cpu_millis": 500, "pids": 64, "disk_bytes": 2_u64 << 30},
            "lease": {"idle_timeout_s": 1200, "idle_action": "pause", "life_s": 86400},
        });
        assert_eq!(body(&args.split_whitespace().collect::<Vec<_>>()).unwrap(), want);
    }

    #[test]
    fn allowed_places_are_domains_or_ranges_and_mean_an_allow_list() {
        let want = json!({"network": {
            "type": "allowlist", "domains": ["*.example.com"], "cidrs": ["192.0.2.0/24", "2001:db8::1"],
        }});
        let args = ["--allow", "*.example.com", "--allow", "192.0.2.0/24", "--allow", "2001:db8::1"];
        assert_eq!(body(&args).unwrap(), want);
        assert_eq!(body(&["--network", "none"]).unwrap(), json!({"network": {"type": "disabled"}}));
        let error = body(&["--network", "internet", "--allow", "example.com"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--allow says what may be reached, and --network internet contradicts it"
        );
    }

    #[test]
    fn a_secret_has_its_value_from_the_environment_and_is_refused_without_one() {
        let line = Line::try_parse_from(["x", "--secret", "API_KEY@api.example.com"]).unwrap().sandbox;
        let set = |name: &str| (name == "API_KEY").then(|| OsString::from("v"));
        let want = json!({"name": "API_KEY", "domain": "api.example.com", "value": "v"});
        assert_eq!(line.secrets(set).unwrap(), [want]);
        let error = line.secrets(|_| None).unwrap_err();
        assert_eq!(error.to_string(), "API_KEY is not set here, or is no text");
        for text in ["API_KEY", "API_KEY=v", "@domain", "NAME@"] {
            let error = Line::try_parse_from(["x", "--secret", text]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation, "{text}");
        }
    }

    #[test]
    fn a_volume_has_a_name_a_path_and_perhaps_a_subpath() {
        let want = json!({"volumes": [
            {"volume": "cache", "path": "/root/.cache"},
            {"volume": "data", "path": "/srv", "subpath": "users/a:b"},
        ]});
        assert_eq!(body(&["--volume", "cache:/root/.cache", "-v", "data:/srv:users/a:b"]).unwrap(), want);
        for text in ["cache", "cache:srv", ":/srv", ""] {
            let error = Line::try_parse_from(["x", "--volume", text]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation, "{text}");
        }
    }

    #[test]
    fn an_idle_action_without_a_time_is_refused() {
        let error = Line::try_parse_from(["x", "--idle-action", "pause"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument);
    }
}
