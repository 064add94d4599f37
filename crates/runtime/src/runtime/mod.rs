//! The namespaces runtime: the [`Runtime`] port over the spawner.
//!
//! ```text
//!              create            start              guest dies, stop
//!   (nothing) ───────▶ directory ─────▶ + process, ───────────────▶ directory ──delete──▶ (nothing)
//!                      disk, record     cgroup, ids                 disk, record
//! ```
//!
//! One lock a sandbox orders its verbs; connecting, measuring and waiting do not take it. What is known in memory is a
//! cache of what the records say, so that a server that was killed finds everything again ([`adopt`]).
//!
//! Not here: what a sandbox may become next and why (the core's drivers), and everything that needs privileges (the
//! spawner).

mod adopt;
mod archive;
mod changes;
mod entry;
mod fork;
mod lifecycle;
mod network;
mod volumes;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lazaret_core::ports::{
    Adopted, Changes, Death, GuestStream, Instance, Runtime, RuntimeCapabilities, RuntimeSpec,
    SandboxAddresses, Usage,
};
use lazaret_core::{EgressPolicy, Resources, Result, SandboxId, VolumeId};

use crate::cgroup::{self, Cgroups, CpuLimits};
use crate::client::Client;
use crate::connect::connect;
use crate::error::Error;
use crate::guard::{DiskSpace, Guard};
use crate::id_range::{IdRanges, IdSpace};
use crate::layout::DataDir;
use crate::network::{GatewaySockets, NetworkConfig};
use crate::spawner::serve::open_cgroups;
use crate::spawner::wire::{Answer, NetworkOrder, NetworkState, Settings, Verb};
use crate::spawner::{Program, StartTimes};
use entry::Entries;
use network::Network;
use volumes::VolumeLocks;

/// What a namespaces runtime is told once.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where sandboxes and templates are kept. Absolute.
    pub data_dir: PathBuf,
    /// Directories of the host, besides the data directory, beneath which lowers may be. Absolute, and there.
    pub lower_roots: Vec<PathBuf>,
    /// Name of the cgroup above all sandboxes' cgroups. Two servers on one host need two names.
    pub cgroup_name: String,
    /// The host's ids that sandboxes get. Two servers on one host need two spaces, or their sandboxes share ids.
    pub id_space: IdSpace,
    /// Whether sandboxes have a CPU limit.
    pub cpu_limits: CpuLimits,
    /// What sandboxes may take of the host's disk.
    pub disk_space: DiskSpace,
    /// The program that becomes the spawner.
    pub spawner: Program,
    /// The network of sandboxes; `None` for none.
    pub network: Option<NetworkConfig>,
}

impl RuntimeConfig {
    /// The settings of an ordinary server with this data directory: lowers from there and from the host's `/usr`.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            lower_roots: vec![PathBuf::from("/usr")],
            cgroup_name: "lazaret".to_owned(),
            id_space: IdSpace::default(),
            cpu_limits: CpuLimits::default(),
            disk_space: DiskSpace::default(),
            spawner: Program::Itself,
            network: None,
        }
    }
}

/// Sandboxes as processes in namespaces of this host.
#[derive(Debug)]
pub struct NamespacesRuntime {
    data: DataDir,
    /// Before the client, which it uses to the end.
    guard: Guard,
    client: Arc<Client>,
    /// For reading only; the spawner alone changes them.
    cgroups: Cgroups,
    ids: Mutex<IdRanges>,
    network: Option<Network>,
    entries: Arc<Entries>,
    volume_locks: VolumeLocks,
}

impl NamespacesRuntime {
    /// Starts the spawner and waits until it is ready. May be called outside of an async runtime.
    ///
    /// # Errors
    /// [`Error::HostUnfit`] if this host cannot run sandboxes, [`Error::File`] if the data directory cannot be used.
    pub fn launch(config: RuntimeConfig) -> std::result::Result<Self, Error> {
        let data = DataDir::on_host(&config.data_dir);
        let sandboxes = data.sandboxes();
        adopt::make_private_directory(&sandboxes).map_err(Error::file("make", &sandboxes))?;
        volumes::make_directory(&data.volumes())?;
        // Bind mounts are made of real paths; a link on the way would be one that the spawner cannot follow later.
        let canonical = |path: &PathBuf| {
            let real = path.canonicalize().map_err(Error::file("find", path))?;
            match real.to_str() {
                Some(_) => Ok(real),
                None => Err(Error::HostUnfit(format!("the path {} is not UTF-8", real.display()))),
            }
        };
        let settings = Settings {
            data_dir: canonical(&config.data_dir)?,
            lower_roots: config.lower_roots.iter().map(canonical).collect::<std::result::Result<_, _>>()?,
            cgroup_name: config.cgroup_name,
            cpu_limits: config.cpu_limits,
            disk_space: config.disk_space,
            network: config.network.map(|config| NetworkOrder { config, sockets_held: false }),
        };
        let cgroup_name = settings.cgroup_name.clone();
        let data = DataDir::on_host(&settings.data_dir);
        let network = settings.network.as_ref().map(|order| Network::new(order.config.clone()));
        let client = Arc::new(Client::launch(config.spawner, settings)?);
        let entries = Arc::new(Entries::default());
        let stop = {
            let (client, entries) = (Arc::clone(&client), Arc::clone(&entries));
            move |id, guest| stop_for_disk(&client, &entries, id, guest)
        };
        let unfit = |error: cgroup::Error| Error::HostUnfit(error.to_string());
        Ok(Self {
            guard: Guard::start(data.clone(), config.disk_space, stop)?,
            data,
            network,
            client,
            // After the spawner has made the parent group.
            cgroups: open_cgroups(&cgroup_name).map_err(unfit)?,
            ids: Mutex::new(IdRanges::new(config.id_space)),
            entries,
            volume_locks: VolumeLocks::default(),
        })
    }

    /// The sockets in the gateway's namespace, once; `None` from then on, or if there is no network.
    pub fn gateway_sockets(&self) -> Option<GatewaySockets> {
        self.client.take_gateway_sockets()
    }

    /// Why no sandbox can have a network; `None` if they can.
    pub fn network_refusal(&self) -> Option<String> {
        match self.client.network() {
            NetworkState::Up => None,
            NetworkState::Off => Some("it is switched off".to_owned()),
            NetworkState::Unfit(why) => Some(why),
        }
    }

    /// How long the parts of the running sandbox's start took; `None` if it does not run, or was adopted.
    pub fn start_times(&self, id: SandboxId) -> Option<StartTimes> {
        self.entries.find(id)?.living()?.times
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, IdRanges> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn measure(&self, id: SandboxId) -> std::result::Result<Usage, Error> {
        let disk = self.data.sandbox(id).join(crate::layout::DISK);
        let metadata = tokio::fs::metadata(&disk).await.map_err(|_| Error::NotFound(id))?;
        let disk_bytes = crate::guard::allocated(&metadata);
        let usage = match self.client.ask(Verb::Measure { id: id.to_string() }).await? {
            (Answer::Usage(usage), _) => usage,
            _ => return Ok(Usage { disk_bytes, ..Usage::default() }),
        };
        Ok(Usage {
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            cpu_micros: usage.cpu_micros,
            pids: usage.pids,
            oom_kills: usage.oom_kills,
            disk_bytes,
        })
    }
}

#[async_trait]
impl Runtime for NamespacesRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            name: "namespaces",
            pause: true,
            keeps_disk: true,
            archive: true,
            egress: self.client.network() == NetworkState::Up,
        }
    }

    async fn adopt(&self) -> Result<Vec<Adopted>> {
        Ok(self.adopt_all().await?)
    }

    async fn create(&self, spec: &RuntimeSpec) -> Result<()> {
        Ok(self.create_sandbox(spec).await?)
    }

    async fn create_from(&self, spec: &RuntimeSpec, origin: SandboxId) -> Result<()> {
        Ok(self.fork_sandbox(spec, origin).await?)
    }

    async fn changes(&self, id: SandboxId) -> Result<Changes> {
        Ok(self.read_changes(id).await?)
    }

    async fn archive(&self, id: SandboxId) -> Result<()> {
        Ok(self.pack_away(id).await?)
    }

    async fn set_resources(&self, id: SandboxId, resources: &Resources) -> Result<()> {
        Ok(self.change_resources(id, resources).await?)
    }

    async fn start(&self, spec: &RuntimeSpec) -> Result<Instance> {
        Ok(self.start_sandbox(spec).await?)
    }

    async fn stop(&self, id: SandboxId, grace: Duration) -> Result<()> {
        Ok(self.stop_sandbox(id, grace).await?)
    }

    async fn pause(&self, id: SandboxId) -> Result<()> {
        Ok(self.while_running(id, Verb::Freeze { id: id.to_string() }).await?)
    }

    async fn resume(&self, id: SandboxId) -> Result<()> {
        Ok(self.while_running(id, Verb::Thaw { id: id.to_string() }).await?)
    }

    async fn set_network(&self, id: SandboxId, policy: &EgressPolicy) -> Result<Option<SandboxAddresses>> {
        Ok(self.change_network(id, policy).await?)
    }

    async fn create_volume(&self, id: VolumeId, size_bytes: u64) -> Result<()> {
        Ok(self.make_volume(id, size_bytes).await?)
    }

    async fn delete_volume(&self, id: VolumeId) -> Result<()> {
        Ok(self.remove_volume(id).await?)
    }

    async fn list_volumes(&self) -> Result<Vec<VolumeId>> {
        Ok(self.found_volumes().await?)
    }

    async fn delete(&self, id: SandboxId) -> Result<()> {
        Ok(self.delete_sandbox(id).await?)
    }

    async fn wait(&self, id: SandboxId) -> Result<Death> {
        Ok(self.wait_for_death(id).await?)
    }

    async fn connect(&self, id: SandboxId) -> Result<GuestStream> {
        let entry = self.entries.find(id).ok_or(Error::NotRunning(id))?;
        if entry.living().is_none() {
            return Err(Error::NotRunning(id).into());
        }
        match connect(&self.data.sandbox(id)).await {
            Ok(stream) => Ok(Box::new(stream)),
            // The guest has just died; whoever waits for it says why.
            Err(Error::File { source, .. }) if is_nobody_there(&source) => Err(Error::NotRunning(id).into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn usage(&self, id: SandboxId) -> Result<Usage> {
        Ok(self.measure(id).await?)
    }

    async fn oom_kills(&self, id: SandboxId) -> Result<u64> {
        // One read of a file in the kernel's memory, which never blocks; the spawner stays out of execs.
        let counted = self.cgroups.find(&id.to_string()).and_then(|group| match group {
            Some(group) => group.oom_kills(),
            None => Ok(0),
        });
        Ok(counted.map_err(|error| Error::HostUnfit(error.to_string()))?)
    }
}

/// Ends a sandbox for whose promises the host's disk has no room, unless that guest has gone or a verb is at work on it:
/// the next look tells whether it is still needed. Whoever waits for the death does the rest.
fn stop_for_disk(client: &Client, entries: &Entries, id: SandboxId, guest: i32) {
    let Some(entry) = entries.find(id) else { return };
    let Ok(_verb) = entry.verbs.try_lock() else { return };
    let Some(living) = entry.living().filter(|living| living.run.pid == guest) else { return };
    living.note_death(Death::HostDiskFull);
    if let Err(error) = client.ask_and_block(Verb::Kill { id: id.to_string() }) {
        tracing::error!(sandbox.id = %id, %error, "a sandbox could not be stopped");
    }
}

fn is_nobody_there(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}
