//! Sandboxes as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::secrets::DomainSecret;
use crate::native::volumes::wire::VolumeMount;

/// A sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sandbox {
    /// UUID.
    pub(crate) id: String,
    /// A name for people; not unique.
    pub(crate) name: String,
    /// The image's name, as it was asked for.
    pub(crate) image: String,
    /// The image that the name stood for then.
    pub(crate) image_digest: String,
    /// `creating`, `running`, `paused`, `stopping`, `stopped`, `expired`, `archiving`, `archived` or `error`.
    pub(crate) state: &'static str,
    /// Why it is in this state, if there is more to say.
    pub(crate) reason: Option<Reason>,
    /// Bounds.
    pub(crate) resources: Resources,
    /// Variables of every exec.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory of every exec; null for the image's.
    pub(crate) cwd: Option<String>,
    /// User of every exec; null for the image's.
    pub(crate) user: Option<String>,
    /// Name of the template that it was made of, as it was then.
    pub(crate) template: Option<String>,
    /// Started in the background whenever the sandbox starts; its output is that of the exec with the sandbox's own id.
    pub(crate) start_command: Vec<String>,
    /// What was, or is being, applied to it after its first start.
    pub(crate) role: Option<SandboxRole>,
    /// What it may reach.
    pub(crate) network: Network,
    /// Volumes that it mounts.
    pub(crate) volumes: Vec<VolumeMount>,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Whoever has the address of one of its ports may see what is there, without a key.
    pub(crate) public: bool,
    /// Time limits.
    pub(crate) lease: Lease,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339; the last use.
    pub(crate) last_active_at: String,
    /// RFC 3339; since when it is in its state.
    pub(crate) state_since: String,
}

/// Why a sandbox is in its state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// A word for programs.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

/// The role of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SandboxRole {
    /// Id of the role.
    pub(crate) id: String,
    /// `applying`, `applied` or `failed`; the sandbox runs whichever it is.
    pub(crate) status: &'static str,
    /// Why it failed, or which packages are missing where others are there.
    pub(crate) message: Option<String>,
}

/// Bounds of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resources {
    /// Memory.
    pub(crate) memory_bytes: u64,
    /// CPU time a second, in thousandths of a core.
    pub(crate) cpu_millis: u32,
    /// Processes and threads.
    pub(crate) pids: u32,
    /// Bytes that it can write to its disk.
    pub(crate) disk_bytes: u64,
}

/// What a sandbox may reach.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    /// Which kind of policy.
    #[serde(rename = "type")]
    pub(crate) kind: NetworkKind,
    /// For `allowlist`: host names, or `*.` and a suffix for its subdomains.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
    /// For `allowlist`: networks in CIDR form; public ones, unless the operator opened others.
    #[serde(default)]
    pub(crate) cidrs: Vec<String>,
}

/// Kinds of network policies.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetworkKind {
    /// Loopback alone.
    #[default]
    Disabled,
    /// The named domains and networks alone.
    Allowlist,
    /// Public addresses.
    Internet,
}

/// Time limits of a sandbox.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lease {
    /// Seconds without use until the idle action; null for never.
    pub(crate) idle_timeout_s: Option<u64>,
    /// What happens then; `stop` if it is absent.
    #[serde(default)]
    pub(crate) idle_action: IdleAction,
    /// Seconds that it may be stopped until its disk is packed away; null for ever.
    pub(crate) archive_stopped_after_s: Option<u64>,
    /// Seconds that it may be stopped or archived until it is deleted, 0 to delete it as it stops; null for ever.
    pub(crate) delete_stopped_after_s: Option<u64>,
    /// Seconds from creation until it expires, used or not; null for never.
    pub(crate) life_s: Option<u64>,
}

/// What happens to an idle sandbox.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdleAction {
    /// Its processes end; its disk stays.
    #[default]
    Stop,
    /// It ends for good; its record stays listed.
    Expire,
    /// It is frozen.
    Pause,
}

/// A sandbox to make. Every field is optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSandbox {
    /// A name; one is made up if it is absent.
    pub(crate) name: Option<String>,
    /// Name or id of a template, which says whatever is absent here.
    pub(crate) template: Option<String>,
    /// Name or digest of an image; the server's default if it is absent.
    pub(crate) image: Option<String>,
    /// Bounds; what is absent is the server's default.
    pub(crate) resources: Option<NewResources>,
    /// Variables of every exec.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Working directory of every exec; made if it is missing.
    pub(crate) cwd: Option<String>,
    /// User of every exec.
    pub(crate) user: Option<String>,
    /// Started in the background whenever the sandbox starts; nothing if it is absent or empty.
    pub(crate) start_command: Option<Vec<String>>,
    /// Id of a role, applied in the background after the first start; none if it is absent.
    pub(crate) role: Option<String>,
    /// What it may reach; the server's default if it is absent.
    pub(crate) network: Option<Network>,
    /// What it uses without having it; at most 64, and no answer shows them. They need an allow-list with their domains.
    pub(crate) secrets: Option<Vec<DomainSecret>>,
    /// Volumes to mount; at most eight.
    pub(crate) volumes: Option<Vec<VolumeMount>>,
    /// Labels.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Whoever has the address of one of its ports may see what is there; false if it is absent.
    pub(crate) public: Option<bool>,
    /// Refuse the name if another sandbox of the account has it; false if it is absent.
    pub(crate) unique_name: Option<bool>,
    /// Time limits; without any, it lives until it is deleted.
    pub(crate) lease: Option<Lease>,
    /// Uploaded files to copy in: all of them, or the sandbox is not made.
    pub(crate) files: Option<Vec<SeedFile>>,
}

/// Bounds of a sandbox to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewResources {
    /// Memory.
    pub(crate) memory_bytes: Option<u64>,
    /// CPU time a second, in thousandths of a core.
    pub(crate) cpu_millis: Option<u32>,
    /// Processes and threads.
    pub(crate) pids: Option<u32>,
    /// Bytes that it can write to its disk.
    pub(crate) disk_bytes: Option<u64>,
}

/// An uploaded file and where its copy goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedFile {
    /// Id of the upload, as a UUID or as `file-...`.
    pub(crate) upload: String,
    /// Absolute path of the copy.
    pub(crate) path: String,
}

/// Which sandboxes to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// How many at most: 1 to 1000, 100 if it is absent.
    pub(crate) limit: Option<u32>,
    /// By creation: `desc` (the default) or `asc`.
    pub(crate) order: Option<Order>,
    /// Start behind the sandbox with this id, which may have been deleted meanwhile.
    pub(crate) after: Option<String>,
    /// With exactly this name.
    pub(crate) name: Option<String>,
    /// In one of these states, with commas between them.
    pub(crate) state: Option<String>,
    /// With this label, written `key=value`; may be repeated.
    pub(crate) label: Vec<String>,
}

/// Direction of a list.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// A page of sandboxes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SandboxPage {
    /// The sandboxes, in the asked order.
    pub(crate) sandboxes: Vec<Sandbox>,
    /// There are more behind the last.
    pub(crate) has_more: bool,
}

/// What to change; what is absent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    /// All labels, in place of those that it has.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Whoever has the address of one of its ports may see what is there.
    pub(crate) public: Option<bool>,
    /// All time limits, in place of those that it has; `life_s` counts from its creation, as ever.
    pub(crate) lease: Option<Lease>,
    /// Bounds. They hold at once, and memory does not shrink while it runs; a disk grows while it is stopped.
    pub(crate) resources: Option<NewResources>,
}

/// How to fork.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fork {
    /// Name of the new sandbox; a made-up one if it is absent.
    pub(crate) name: Option<String>,
}

/// How to stop.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    /// Milliseconds between SIGTERM and SIGKILL; 5000 if it is absent.
    pub(crate) grace_ms: Option<u64>,
}

/// What a sandbox uses now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Memory in use.
    pub(crate) memory_bytes: u64,
    /// Highest memory use so far; 0 if the kernel does not tell.
    pub(crate) memory_peak_bytes: u64,
    /// CPU time so far, in microseconds.
    pub(crate) cpu_micros: u64,
    /// Processes and threads.
    pub(crate) pids: u64,
    /// Processes that were killed for want of memory.
    pub(crate) oom_kills: u64,
    /// Bytes of the host's disk that its disk takes.
    pub(crate) disk_bytes: u64,
    /// What it has sent through the gateway.
    pub(crate) egress: Egress,
}

/// What a sandbox has sent through the gateway since it started, or since this server did: names, and connections of an
/// allowlist that are judged by name. What goes to a network of an allowlist, or anywhere under the policy internet, is
/// forwarded without being counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Egress {
    /// Bytes that it sent.
    pub(crate) sent_bytes: u64,
    /// Bytes that came back.
    pub(crate) received_bytes: u64,
    /// Connections that were let through.
    pub(crate) connections: u64,
    /// Names and connections that were refused.
    pub(crate) denied: u64,
}
