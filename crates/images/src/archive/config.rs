//! The image configuration: a JSON file that OCI and Docker share.

use std::collections::BTreeMap;
use std::time::Duration;

use lazaret_core::{Command, Digest, Healthcheck, ImageConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Most variables, labels and words of a command. Real images have dozens.
const ITEMS_MAX: usize = 1024;

/// Longest user or working directory in bytes.
const TEXT_BYTES_MAX: usize = 4095;

/// The search path of an image whose maker gave none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a configuration is unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON of the right shape.
    #[error("the image configuration is malformed")]
    Json(#[source] serde_json::Error),
    /// The image is for another machine.
    #[error("the image is for {found}; this machine runs {wanted}")]
    Platform {
        /// The image's operating system and architecture.
        found: String,
        /// This machine's.
        wanted: String,
    },
    /// A field has a value that cannot be used.
    #[error("the image configuration has an unusable {field}")]
    Field {
        /// Its name in the configuration.
        field: &'static str,
    },
}

/// What this crate reads of a configuration; everything else stays in the stored file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ConfigFile {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Option<RunConfig>,
    rootfs: RootfsSection,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<BTreeMap<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volumes: Option<BTreeMap<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_build: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct RootfsSection {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<String>,
}

/// A configuration that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// What a sandbox takes over.
    pub(crate) run: ImageConfig,
    /// The uncompressed layers, lowest first.
    pub(crate) diff_ids: Vec<Digest>,
}

/// Reads a configuration and checks that its image can run here.
///
/// # Errors
/// See [`ConfigError`].
pub(crate) fn parse(json: &[u8]) -> Result<Configuration, ConfigError> {
    let file: ConfigFile = serde_json::from_slice(json).map_err(ConfigError::Json)?;
    let (found, wanted) = (platform(&file.os, &file.architecture), this_platform());
    if found != wanted {
        return Err(ConfigError::Platform { found, wanted });
    }
    let diff_ids = file.rootfs.diff_ids.iter().map(|text| text.parse()).collect::<Result<Vec<Digest>, _>>();
    let diff_ids = diff_ids.map_err(|_| ConfigError::Field { field: "rootfs.diff_ids" })?;
    let run = file.config.unwrap_or_default();
    Ok(Configuration {
        run: ImageConfig {
            env: environment(run.env.unwrap_or_default())?,
            working_dir: text("config.WorkingDir", run.working_dir)?.map(absolute),
            user: text("config.User", run.user)?,
            entrypoint: words("config.Entrypoint", run.entrypoint)?,
            command: words("config.Cmd", run.cmd)?,
            labels: labels(run.labels.unwrap_or_default())?,
            exposed_ports: keys("config.ExposedPorts", run.exposed_ports)?.into_iter().collect(),
            volumes: keys("config.Volumes", run.volumes)?,
            stop_signal: text("config.StopSignal", run.stop_signal)?,
            shell: words("config.Shell", run.shell)?,
            healthcheck: None,
            acts_on_build: run.on_build.is_some_and(|triggers| !triggers.is_empty()),
        },
        diff_ids,
    })
}

/// The configuration of a root file system that came without one.
pub(crate) fn for_rootfs(diff_id: &Digest) -> Vec<u8> {
    let file = ConfigFile {
        architecture: architecture().to_owned(),
        os: OS.to_owned(),
        config: Some(RunConfig { env: Some(vec![DEFAULT_PATH.to_owned()]), ..RunConfig::default() }),
        rootfs: RootfsSection { kind: "layers".to_owned(), diff_ids: vec![diff_id.to_string()] },
    };
    serde_json::to_vec(&file).expect("strings and lists of strings are always JSON")
}

/// The configuration of an image made of another one: what it says, but for how the image runs, and one more layer if
/// there is one. Parts of `base` that are not known here stay as they are.
///
/// # Errors
/// [`ConfigError::Json`] for a base that is not a configuration.
pub(crate) fn derived(
    base: &[u8],
    run: &ImageConfig,
    diff_id: Option<&Digest>,
    made_by: &str,
) -> Result<Vec<u8>, ConfigError> {
    let mut file: Map<String, Value> = serde_json::from_slice(base).map_err(ConfigError::Json)?;
    // Told for the base and not true of this one.
    for key in ["created", "container", "container_config", "id", "parent"] {
        file.remove(key);
    }
    let config = file.entry("config").or_insert(Value::Null);
    if !config.is_object() {
        *config = Value::Object(Map::new());
    }
    let env: Vec<String> = run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = [
        ("Env", json!(env)),
        ("WorkingDir", json!(run.working_dir.as_deref().unwrap_or_default())),
        ("User", json!(run.user.as_deref().unwrap_or_default())),
        ("Entrypoint", json!(run.entrypoint)),
        ("Cmd", json!(run.command)),
        ("Labels", json!(run.labels)),
    ];
    for (name, value) in fields {
        config[name] = value;
    }
    let named = [
        ("ExposedPorts", run.exposed_ports.iter().collect::<Vec<_>>()),
        ("Volumes", run.volumes.iter().collect()),
    ];
    for (name, keys) in named {
        for key in keys {
            if !config[name].is_object() {
                config[name] = json!({});
            }
            config[name][key] = json!({});
        }
    }
    if let Some(signal) = &run.stop_signal {
        config["StopSignal"] = json!(signal);
    }
    if !run.shell.is_empty() {
        config["Shell"] = json!(run.shell);
    }
    if let Some(check) = &run.healthcheck {
        config["Healthcheck"] = healthcheck(check);
    }
    let diff_ids = file.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids"));
    let diff_ids = diff_ids.and_then(Value::as_array_mut);
    let diff_ids = diff_ids.ok_or(ConfigError::Field { field: "rootfs.diff_ids" })?;
    diff_ids.extend(diff_id.map(|diff_id| json!(diff_id.to_string())));
    // Without a time: the same image is the same whenever it is made.
    let step = json!({ "created_by": made_by, "empty_layer": diff_id.is_none() });
    match file.entry("history").or_insert_with(|| json!([])) {
        Value::Array(history) => history.push(step),
        other => *other = json!([step]),
    }
    Ok(serde_json::to_vec(&file).expect("a value of JSON is always JSON"))
}

/// A health check as Docker writes it: times in nanoseconds, and nothing for what was not said.
fn healthcheck(check: &Healthcheck) -> Value {
    let Healthcheck::Run { command, interval, timeout, start_period, start_interval, retries } = check else {
        return json!({ "Test": ["NONE"] });
    };
    let test = match command {
        Command::Exec(words) => [&["CMD".to_owned()][..], words].concat(),
        Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    let nanos =
        |span: &Option<Duration>| span.map(|span| json!(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)));
    let fields = [
        ("Test", Some(json!(test))),
        ("Interval", nanos(interval)),
        ("Timeout", nanos(timeout)),
        ("StartPeriod", nanos(start_period)),
        ("StartInterval", nanos(start_interval)),
        ("Retries", retries.map(Value::from)),
    ];
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

/// The configuration of an image that has nothing.
pub(crate) fn for_scratch() -> Vec<u8> {
    let file = ConfigFile {
        architecture: architecture().to_owned(),
        os: OS.to_owned(),
        config: Some(RunConfig::default()),
        rootfs: RootfsSection { kind: "layers".to_owned(), diff_ids: Vec::new() },
    };
    serde_json::to_vec(&file).expect("strings and lists of strings are always JSON")
}

/// The only operating system whose programs run in a sandbox.
const OS: &str = "linux";

/// This machine's architecture in OCI's (Go's) words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Operating system and architecture as they are written.
pub(super) fn platform(os: &str, architecture: &str) -> String {
    let short = |text: &str| text.escape_default().take(40).collect::<String>();
    format!("{}/{}", short(os), short(architecture))
}

/// What images must be for.
pub(super) fn this_platform() -> String {
    platform(OS, architecture())
}

fn environment(variables: Vec<String>) -> Result<Vec<(String, String)>, ConfigError> {
    let error = || ConfigError::Field { field: "config.Env" };
    if variables.len() > ITEMS_MAX {
        return Err(error());
    }
    let split = |variable: String| match variable.split_once('=') {
        Some((name, value)) if !name.is_empty() && !variable.contains('\0') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(error()),
    };
    variables.into_iter().map(split).collect()
}

/// A text that is not empty, or nothing.
fn text(field: &'static str, value: Option<String>) -> Result<Option<String>, ConfigError> {
    match value {
        Some(value) if value.contains('\0') || value.len() > TEXT_BYTES_MAX => {
            Err(ConfigError::Field { field })
        }
        value => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// A working directory is taken from the root, as Docker does.
fn absolute(path: String) -> String {
    if path.starts_with('/') { path } else { format!("/{path}") }
}

fn words(field: &'static str, words: Option<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let words = words.unwrap_or_default();
    let bad = words.len() > ITEMS_MAX || words.iter().any(|word| word.contains('\0'));
    if bad { Err(ConfigError::Field { field }) } else { Ok(words) }
}

/// The names in a set, which is an object of empty objects.
fn keys(field: &'static str, set: Option<BTreeMap<String, Value>>) -> Result<Vec<String>, ConfigError> {
    let set = set.unwrap_or_default();
    if set.len() > ITEMS_MAX { Err(ConfigError::Field { field }) } else { Ok(set.into_keys().collect()) }
}

fn labels(labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    if labels.len() > ITEMS_MAX { Err(ConfigError::Field { field: "config.Labels" }) } else { Ok(labels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(run: &str) -> String {
        let diff_id = format!("sha256:{}", "ab".repeat(32));
        format!(
            r#"{{"architecture":"{}","os":"linux","config":{run},"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},
               "history":[{{"created_by":"x"}}],"created":"2024-01-01T00:00:00Z"}}"#,
            architecture()
        )
    }

    #[test]
    fn what_the_maker_configured_is_taken_over() {
        let run = r#"{"Env":["PATH=/bin","A=b=c","EMPTY="],"WorkingDir":"srv/app","User":"1000:1000","Entrypoint":["/e"],
                      "Cmd":["-v"],"Labels":{"k":"v"},"ExposedPorts":{"80/tcp":{}},"Volumes":null}"#;
        let parsed = parse(config(run).as_bytes()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parsed.run.env, [pair("PATH", "/bin"), pair("A", "b=c"), pair("EMPTY", "")]);
        assert_eq!(parsed.run.working_dir.as_deref(), Some("/srv/app"));
        assert_eq!(parsed.run.user.as_deref(), Some("1000:1000"));
        assert_eq!(
            (parsed.run.entrypoint, parsed.run.command),
            (vec!["/e".to_owned()], vec!["-v".to_owned()])
        );
        assert_eq!(parsed.run.labels["k"], "v");
        assert_eq!(parsed.diff_ids.len(), 1);
        for empty in ["null", "{}", r#"{"Env":null,"Cmd":null,"User":"","WorkingDir":"","Labels":null}"#] {
            assert_eq!(parse(config(empty).as_bytes()).unwrap().run, ImageConfig::default());
        }
    }

    #[test]
    fn unusable_configurations_name_their_field() {
        let long = format!(r#"{{"User":"{}"}}"#, "u".repeat(TEXT_BYTES_MAX + 1));
        for (run, field) in [
            (r#"{"Env":["NOVALUE"]}"#, "config.Env"),
            (r#"{"Env":["=x"]}"#, "config.Env"),
            ("{\"Env\":[\"A=\\u0000\"]}", "config.Env"),
            ("{\"User\":\"\\u0000\"}", "config.User"),
            (&long, "config.User"),
            ("{\"WorkingDir\":\"/\\u0000\"}", "config.WorkingDir"),
            ("{\"Cmd\":[\"\\u0000\"]}", "config.Cmd"),
        ] {
            let Err(ConfigError::Field { field: found }) = parse(config(run).as_bytes()) else {
                panic!("{run}")
            };
            assert_eq!(found, field);
        }
        let other = config("{}").replace(architecture(), "s390x");
        let error = parse(other.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, format!("the image is for linux/s390x; this machine runs {}", this_platform()));
        assert!(matches!(parse(b"[]"), Err(ConfigError::Json(_))));
    }

    #[test]
    fn what_is_made_of_an_image_says_what_the_image_says_but_for_how_it_runs() {
        let base = config(r#"{"Env":["A=b"],"User":"daemon","ExposedPorts":{"80/tcp":{}}}"#);
        let run = ImageConfig {
            env: vec![("A".to_owned(), "c=d".to_owned())],
            entrypoint: vec!["/e".to_owned()],
            labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            ..ImageConfig::default()
        };
        let layer = Digest::from_bytes([7; 32]);
        let json = derived(base.as_bytes(), &run, Some(&layer), "RUN true").unwrap();
        let parsed = parse(&json).unwrap();
        let with_ports = ImageConfig { exposed_ports: ["80/tcp".to_owned()].into(), ..run.clone() };
        assert_eq!((parsed.run, parsed.diff_ids.len(), parsed.diff_ids[1]), (with_ports, 2, layer));
        let value: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["config"]["ExposedPorts"], json!({ "80/tcp": {} }));
        assert_eq!(value["history"][0]["created_by"], "x");
        assert_eq!(value["history"][1], json!({ "created_by": "RUN true", "empty_layer": false }));
        assert_eq!(value.get("created"), None);

        let same = derived(&json, &run, None, "ENV x").unwrap();
        assert_eq!(parse(&same).unwrap().diff_ids.len(), 2);
        assert!(matches!(derived(b"{}", &run, None, ""), Err(ConfigError::Field { .. })));
    }

    #[test]
    fn what_a_build_records_is_written_and_nothing_of_the_base_is_lost() {
        let base =
            config(r#"{"ExposedPorts":{"80/tcp":{}},"OnBuild":["RUN true"],"Shell":["/bin/ash","-c"]}"#);
        assert!(parse(base.as_bytes()).unwrap().run.acts_on_build);
        let check = Healthcheck::Run {
            command: Command::Shell("ask".to_owned()),
            interval: Some(Duration::from_secs(2)),
            timeout: None,
            start_period: None,
            start_interval: None,
            retries: Some(3),
        };
        let run = ImageConfig {
            exposed_ports: ["53/udp".to_owned()].into(),
            volumes: vec!["/data".to_owned()],
            stop_signal: Some("SIGINT".to_owned()),
            healthcheck: Some(check),
            ..ImageConfig::default()
        };
        let value: Value =
            serde_json::from_slice(&derived(base.as_bytes(), &run, None, "x").unwrap()).unwrap();
        let config = &value["config"];
        assert_eq!(config["ExposedPorts"], json!({ "53/udp": {}, "80/tcp": {} }));
        assert_eq!(config["Volumes"], json!({ "/data": {} }));
        assert_eq!((&config["StopSignal"], &config["Shell"]), (&json!("SIGINT"), &json!(["/bin/ash", "-c"])));
        let health = json!({ "Test": ["CMD-SHELL", "ask"], "Interval": 2_000_000_000_u64, "Retries": 3 });
        assert_eq!(config["Healthcheck"], health);
        assert_eq!(healthcheck(&Healthcheck::Disabled), json!({ "Test": ["NONE"] }));
    }

    #[test]
    fn a_root_file_system_gets_a_configuration_that_names_it() {
        let diff_id = Digest::from_bytes([7; 32]);
        let json = for_rootfs(&diff_id);
        assert_eq!(json, for_rootfs(&diff_id));
        let parsed = parse(&json).unwrap();
        assert_eq!(parsed.diff_ids, [diff_id]);
        assert_eq!(parsed.run.env[0].0, "PATH");
    }
}
