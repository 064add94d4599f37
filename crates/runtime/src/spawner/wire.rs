//! What server, spawner and child say to each other. The transport is [`super::channel`].
//!
//! ```text
//!   server                     spawner                       child (the guest's process before it is the guest)
//!     │── Settings ──────────────▶│ enters its tree
//!     │◀───────────────── Ready ──│
//!     │── Start ─────────────────▶│── clone3 ───────────────────▶│ waits
//!     │                           │── Go + layers, disk ────────▶│ makes the root file system, confines itself
//!     │                           │◀── SetupError, or the end ───│ executes the guest, which closes the channel
//!     │◀─ Started + pidfd, disk ──│
//!     │── Freeze, Kill, ... ─────▶│
//!     │◀────────────────── Done ──│
//! ```
//!
//! Requests are numbered and answers carry the number. A start is answered when its guest runs, and the spawner handles
//! other requests meanwhile, so that a child that is slow (its own processor limit may hold it back) delays nobody else.
//! All other requests are answered before the next one is read.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::CpuLimits;
use crate::error::SetupError;
use crate::guard::DiskSpace;
use crate::id_range::IdRange;
use crate::network::NetworkConfig;
use crate::record::{NetworkRun, Run};

/// The first message: what holds for the spawner's whole life.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The data directory on the host.
    pub(crate) data_dir: PathBuf,
    /// Directories of the host, besides the data directory, beneath which lowers may be.
    pub(crate) lower_roots: Vec<PathBuf>,
    /// Name of the cgroup above all sandboxes' cgroups.
    pub(crate) cgroup_name: String,
    /// Whether sandboxes have a CPU limit.
    pub(crate) cpu_limits: CpuLimits,
    /// What sandboxes may take of the host's disk when there is no server to look after it.
    pub(crate) disk_space: DiskSpace,
    /// `None` for no network.
    pub(crate) network: Option<NetworkOrder>,
}

/// The network that is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkOrder {
    pub(crate) config: NetworkConfig,
    /// The server holds the gateway's sockets already: this spawner follows one that died.
    pub(crate) sockets_held: bool,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NetworkState {
    /// It was not asked for.
    #[default]
    Off,
    /// The gateway is there.
    Up,
    /// This host cannot have one, for this reason.
    Unfit(String),
}

/// A request or an answer with the request's number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) body: T,
}

/// What the server asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start the guest of a sandbox whose directory and disk are there. Answered by `Started`.
    Start(Box<StartOrder>),
    /// Anything else, which is answered at once.
    Other(Verb),
}

impl From<Verb> for Request {
    fn from(verb: Verb) -> Self {
        Self::Other(verb)
    }
}

/// What is done with sandboxes besides starting them. They are named by their id's text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Verb {
    /// Find the sandbox of an earlier server's spawner again. Answered by `Found`.
    Adopt { id: String, run: Run },
    /// Remove every cgroup of ours that belongs to no sandbox which was started or adopted.
    Sweep,
    /// Mount the disk of a sandbox that does not run, so that nothing can write to it. Its top directory comes along with
    /// `Done`.
    ShowDisk { id: String },
    /// SIGTERM to every process but the guest.
    Terminate { id: String },
    /// What the sandbox uses, and how many processes it has. Answered by `Usage`.
    Measure { id: String },
    /// SIGKILL to the guest, with which everything in its PID namespace dies.
    Kill { id: String },
    /// Remove what a dead sandbox left outside its directory, and its socket. Answered by `Cleared`.
    Clear { id: String },
    /// Freeze every process.
    Freeze { id: String },
    /// Thaw every process.
    Thaw { id: String },
    /// Hold a living sandbox to these bounds from now on.
    SetLimits { id: String, memory_bytes: u64, cpu_millis: u32, pids: u32 },
    /// Let a living sandbox reach this and nothing else; one without a cable gets it.
    SetNetwork { id: String, network: NetworkRun },
    /// The server ends: remove the gateway if no living sandbox needs it.
    Farewell,
}

/// One lower.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LowerOrder {
    /// Path inside.
    pub(crate) at: PathBuf,
    /// Directory on the host.
    pub(crate) source: PathBuf,
}

/// A volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VolumeOrder {
    /// Its id's text.
    pub(crate) id: String,
    /// Number of the loop device that it is mounted from already, and stays so; `None` if nobody has it mounted.
    pub(crate) device: Option<u32>,
}

/// A directory of a volume in a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MountOrder {
    /// Place of the volume in the order.
    pub(crate) volume: usize,
    /// Path inside.
    pub(crate) at: PathBuf,
    /// Beneath the volume's files; empty for all of them.
    pub(crate) subpath: PathBuf,
}

/// Everything that a start needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartOrder {
    pub(crate) id: String,
    pub(crate) lowers: Vec<LowerOrder>,
    /// No two of them are the same.
    pub(crate) volumes: Vec<VolumeOrder>,
    /// Where they are inside, outer paths first.
    pub(crate) mounts: Vec<MountOrder>,
    pub(crate) hostname: String,
    pub(crate) id_range: IdRange,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u32,
    pub(crate) pids: u32,
    /// The disk is fresh: write the sandbox's own files of `/etc`.
    pub(crate) write_etc: bool,
    /// `None` for no cable.
    pub(crate) network: Option<NetworkRun>,
    /// Whom `/etc/resolv.conf` names; `None` on a host without a network for sandboxes.
    pub(crate) resolver: Option<Ipv4Addr>,
}

/// How long the parts of a start took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTimes {
    /// Lock, loop device and mount of the disk, and of volumes.
    pub disk_us: u64,
    /// The cgroup and its limits.
    pub cgroup_us: u64,
    /// The process in its new namespaces.
    pub clone_us: u64,
    /// Id maps, idmapped mounts, moving into the cgroup, the record.
    pub layers_us: u64,
    /// The cable to the gateway, and what it may reach; next to nothing for a sandbox without.
    pub network_us: u64,
    /// Everything that the child does until the guest runs.
    pub child_us: u64,
    /// All of the above.
    pub total_us: u64,
}

/// A reading of a sandbox's cgroup.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) memory_bytes: u64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) cpu_micros: u64,
    /// Processes and threads.
    pub(crate) pids: u64,
    pub(crate) oom_kills: u64,
    /// Processes, the guest included.
    pub(crate) processes: usize,
}

/// What the spawner answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The settings are in effect. The gateway's sockets come along, if there is a gateway and nobody holds them.
    Ready { network: NetworkState },
    /// The guest runs. Its pidfd, the top directory of its disk and those of its volumes' disks come along.
    Started { pid: i32, times: StartTimes },
    /// What became of the sandbox. If it is alive, its pidfd and the top directories of its disks come
    /// along, as with `Started`.
    Found { alive: bool, paused: bool },
    /// What the sandbox uses.
    Usage(Usage),
    /// What was left of a sandbox is gone.
    Cleared {
        /// Processes of its last run that were killed for want of memory.
        oom_kills: u64,
    },
    /// It is done.
    Done,
    /// It was not done.
    Failed(Failure),
    /// There is no such sandbox running here.
    Unknown,
}

/// A failed step, and what went wrong while taking back the ones before it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: SetupError,
    pub(crate) undo: Vec<SetupError>,
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self { error, undo: Vec::new() }
    }
}

/// What the spawner tells the child once its ids and its cgroup are in place. The layers come along as descriptors,
/// one per lower in their order, the disk, and one per volume in their order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Go;
