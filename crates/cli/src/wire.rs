//! The native API's answers, as far as the commands look into them.
//!
//! What a newer server adds is kept in `more` where an answer is printed as JSON, so that `--json` shows all of it, in
//! the server's order for what is known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) image_digest: String,
    pub(crate) state: String,
    pub(crate) reason: Option<Reason>,
    pub(crate) resources: Resources,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<String>,
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) role: Option<SandboxRole>,
    pub(crate) network: Value,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) lease: Value,
    pub(crate) created_at: String,
    pub(crate) last_active_at: String,
    pub(crate) state_since: String,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// Why a sandbox is in its state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// What is applied to a sandbox after its first start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SandboxRole {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

/// Bounds of a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Resources {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u64,
    pub(crate) pids: u64,
    pub(crate) disk_bytes: u64,
}

/// One page of sandboxes.
#[derive(Debug, Deserialize)]
pub(crate) struct SandboxPage {
    pub(crate) sandboxes: Vec<Sandbox>,
    pub(crate) has_more: bool,
}

/// What a sandbox uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) memory_bytes: u64,
    pub(crate) memory_peak_bytes: Option<u64>,
    pub(crate) cpu_micros: u64,
    pub(crate) pids: u64,
    pub(crate) oom_kills: Option<u64>,
    pub(crate) disk_bytes: u64,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A request to run a command; the same for HTTP and for a WebSocket.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ExecRequest {
    pub(crate) command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) background: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stdin_stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tty: Option<Tty>,
}

/// The terminal that an exec gets.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tty {
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    pub(crate) term: String,
}

/// The end of an exec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Exited {
    pub(crate) exit_code: Option<u8>,
    pub(crate) signal: Option<u8>,
    #[serde(default)]
    pub(crate) truncated: bool,
    #[serde(default)]
    pub(crate) timed_out: bool,
    #[serde(default)]
    pub(crate) oom: bool,
}

/// A command that runs in the background.
#[derive(Debug, Deserialize)]
pub(crate) struct Background {
    pub(crate) exec_id: String,
}

/// Commands that run, or ran, in the background.
#[derive(Debug, Deserialize)]
pub(crate) struct ExecList {
    pub(crate) execs: Vec<ExecRow>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExecRow {
    pub(crate) id: String,
    pub(crate) command: Vec<String>,
    pub(crate) pid: u64,
    pub(crate) started_at: String,
    pub(crate) running: bool,
    pub(crate) exit_code: Option<u8>,
    pub(crate) signal: Option<u8>,
    pub(crate) timed_out: bool,
    pub(crate) output_bytes: u64,
    pub(crate) oldest_offset: u64,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A piece of output in an event stream.
#[derive(Debug, Deserialize)]
pub(crate) struct OutputChunk {
    pub(crate) data_base64: String,
}

/// A file of a sandbox.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FileEntry {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) path_base64: Option<String>,
    pub(crate) kind: FileKind,
    pub(crate) bytes: u64,
    pub(crate) mode: String,
    #[serde(default)]
    pub(crate) link_target: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileKind {
    File,
    Directory,
    Link,
    #[serde(other)]
    Other,
}

/// A directory's entries.
#[derive(Debug, Deserialize)]
pub(crate) struct FileList {
    pub(crate) entries: Vec<FileEntry>,
    pub(crate) truncated: bool,
}

/// Images that are here, and names that can be had.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImageList {
    pub(crate) images: Vec<Image>,
    #[serde(default)]
    pub(crate) catalogue: Vec<OfferedImage>,
}

/// A name that can be had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfferedImage {
    pub(crate) name: String,
    pub(crate) reference: String,
    pub(crate) popular: bool,
    pub(crate) digest: Option<String>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// Roles.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoleList {
    pub(crate) roles: Vec<Role>,
}

/// One role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// Templates.
#[derive(Debug, Deserialize)]
pub(crate) struct TemplateList {
    pub(crate) templates: Vec<Template>,
}

/// One template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) sandbox_id: Option<String>,
    pub(crate) image_digest: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
    pub(crate) last_used_at: Option<String>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A page of volumes.
#[derive(Debug, Deserialize)]
pub(crate) struct VolumePage {
    pub(crate) volumes: Vec<Volume>,
    pub(crate) has_more: bool,
}

/// One volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) state: String,
    pub(crate) created_at: String,
    pub(crate) last_used_at: Option<String>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A volume that a sandbox shall mount.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VolumeMount {
    pub(crate) volume: String,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subpath: Option<String>,
}

/// How far a pull is.
#[derive(Debug, Deserialize)]
pub(crate) struct PullProgress {
    pub(crate) layers: Vec<LayerProgress>,
}

/// How far a layer is.
#[derive(Debug, Deserialize)]
pub(crate) struct LayerProgress {
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    pub(crate) fetched_bytes: u64,
    pub(crate) step: String,
}

/// One image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) names: Vec<String>,
    pub(crate) bytes: u64,
    pub(crate) created_at: Option<String>,
    #[serde(default)]
    pub(crate) built_in: bool,
    pub(crate) config: ImageConfig,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// What an image says about running it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    pub(crate) entrypoint: Vec<String>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A page of the event log.
#[derive(Debug, Deserialize)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) at: String,
    pub(crate) sandbox_id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<Reason>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}
