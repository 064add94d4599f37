//! What makes sandboxes: the built-in namespaces runtime, a stronger tier, or a cluster.

use std::any::Any;
use std::fmt;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ports::{Rootfs, SandboxAddresses};
use crate::{EgressPolicy, Error, Resources, Result, SandboxId, VolumeId, VolumeMount};

/// Bytes to and from a guest.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// An open connection to a guest.
pub type GuestStream = Box<dyn ByteStream>;

/// What a runtime can do; a verb that it lacks is refused before it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeCapabilities {
    /// Its name, such as `namespaces`.
    pub name: &'static str,
    /// It can freeze and thaw.
    pub pause: bool,
    /// It keeps a disk across stop and start.
    pub keeps_disk: bool,
    /// It packs disks away and unpacks them.
    pub archive: bool,
    /// It enforces network policies other than [`EgressPolicy::Disabled`].
    pub egress: bool,
}

/// Everything that a runtime needs to make a sandbox. But for the network and the bounds it stays the same for the
/// sandbox's life.
#[derive(Debug, Clone)]
pub struct RuntimeSpec {
    /// Names the sandbox in the runtime; every other call refers to it.
    pub id: SandboxId,
    /// What its root is made of.
    pub rootfs: Rootfs,
    /// Bounds.
    pub resources: Resources,
    /// Host name inside.
    pub hostname: String,
    /// What it may reach.
    pub network: EgressPolicy,
    /// Volumes that it mounts; each was made before.
    pub volumes: Vec<VolumeMount>,
}

/// One run of a sandbox, from a start to its death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Process id of the guest on the host, or 0 where there is none to speak of.
    pub pid: u32,
    /// What it sends from; `None` for one that may reach nothing.
    pub addresses: Option<SandboxAddresses>,
}

/// A sandbox that the runtime found on the host when it came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Which.
    pub id: SandboxId,
    /// Its guest lives.
    pub alive: bool,
    /// It is frozen.
    pub paused: bool,
    /// Its disk is packed away.
    pub archived: bool,
    /// What it sends from; `None` for one that is dead or may reach nothing.
    pub addresses: Option<SandboxAddresses>,
}

/// Why a guest came to its end, as far as the runtime knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It ended by itself, or somebody ended it.
    Ended,
    /// The kernel killed processes of the sandbox for want of memory.
    OutOfMemory,
    /// The runtime ended it, because the host's disk has no room for what it has set aside.
    HostDiskFull,
}

/// What a sandbox uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use.
    pub memory_bytes: u64,
    /// Highest memory use so far; 0 if the kernel does not tell.
    pub memory_peak_bytes: u64,
    /// CPU time so far.
    pub cpu_micros: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Processes that were killed for want of memory.
    pub oom_kills: u64,
    /// Bytes of the host's disk that the sandbox's disk takes.
    pub disk_bytes: u64,
}

/// What a sandbox that does not run has written. It neither starts nor goes while this lives.
pub struct Changes {
    /// For each lower of its image, in their order, the top directory of what was written over it, in overlayfs' own terms
    /// (overlayfs(5)) and with the owners that the sandbox sees. On a mount that cannot be written to. There may be more
    /// of them than lowers; those are empty.
    pub uppers: Vec<OwnedFd>,
    /// What keeps the sandbox where it is.
    pub held: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("uppers", &self.uppers).finish_non_exhaustive()
    }
}

/// Makes, guards and ends sandboxes.
///
/// Every method may be called again after a failure or a restart of the server, and may be called for a sandbox that
/// another call is busy with; the runtime orders them. Nothing half-made stays behind a failure.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// What this runtime can do.
    fn capabilities(&self) -> RuntimeCapabilities;

    /// Looks at the host once, before anything else is asked: which sandboxes are there, alive or not.
    /// Things of ours that belong to none of them are removed.
    async fn adopt(&self) -> Result<Vec<Adopted>>;

    /// Sets aside what the sandbox needs for its life: its disk and its id range. Starts nothing.
    async fn create(&self, spec: &RuntimeSpec) -> Result<()>;

    /// As [`Runtime::create`], with a disk that begins as a copy of that of `origin`, which must not run and is of the
    /// same size. A runtime that keeps no disk cannot.
    async fn create_from(&self, _spec: &RuntimeSpec, _origin: SandboxId) -> Result<()> {
        Err(Error::Unsupported { what: "a fork, by this runtime".to_owned() })
    }

    /// What a sandbox that does not run has written. A runtime that keeps no disk has nothing to show.
    async fn changes(&self, _id: SandboxId) -> Result<Changes> {
        Err(Error::Unsupported { what: "an image of a sandbox, by this runtime".to_owned() })
    }

    /// Packs the disk of a sandbox that does not run away, so that it takes less of the host; nothing to do for one that is
    /// packed. A failure leaves the disk as it was. [`Runtime::start`] unpacks it.
    async fn archive(&self, _id: SandboxId) -> Result<()> {
        Err(Error::Unsupported { what: "an archive, by this runtime".to_owned() })
    }

    /// Changes the bounds of a sandbox: of one that runs at once, and not those of its disk; of one that does not, the size
    /// of its disk, which only grows, and the others from its next start on.
    async fn set_resources(&self, _id: SandboxId, _resources: &Resources) -> Result<()> {
        Err(Error::Unsupported { what: "other bounds, by this runtime".to_owned() })
    }

    /// Starts the guest of a created sandbox and returns when it accepts connections.
    async fn start(&self, spec: &RuntimeSpec) -> Result<Instance>;

    /// Ends every process: politely first if `grace` is not zero, and by force after it. Keeps the disk.
    async fn stop(&self, id: SandboxId, grace: std::time::Duration) -> Result<()>;

    /// Freezes every process.
    async fn pause(&self, id: SandboxId) -> Result<()>;

    /// Thaws every process.
    async fn resume(&self, id: SandboxId) -> Result<()>;

    /// Changes what a running sandbox may reach; packets that the new policy refuses are refused when this returns,
    /// those of open connections too. The addresses that it sends from now on; `None` if it may reach nothing.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a policy that cannot be enforced here.
    async fn set_network(&self, id: SandboxId, policy: &EgressPolicy) -> Result<Option<SandboxAddresses>>;

    /// Makes a volume of at most `size_bytes`, with no file in it.
    async fn create_volume(&self, _id: VolumeId, _size_bytes: u64) -> Result<()> {
        Err(Error::Unsupported { what: "volumes, by this runtime".to_owned() })
    }

    /// Removes a volume and its files. Succeeds if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while a sandbox that runs has it.
    async fn delete_volume(&self, _id: VolumeId) -> Result<()> {
        Ok(())
    }

    /// Every volume that is on the host; what an interrupted [`Runtime::create_volume`] left is removed.
    async fn list_volumes(&self) -> Result<Vec<VolumeId>> {
        Ok(Vec::new())
    }

    /// Ends what runs and removes every trace. Succeeds if there is none.
    async fn delete(&self, id: SandboxId) -> Result<()>;

    /// Returns when the guest of `id` is dead; at once if there is none.
    async fn wait(&self, id: SandboxId) -> Result<Death>;

    /// A new connection to the guest.
    async fn connect(&self, id: SandboxId) -> Result<GuestStream>;

    /// What the sandbox uses now.
    async fn usage(&self, id: SandboxId) -> Result<Usage>;

    /// [`Usage::oom_kills`] alone. Asked around every exec, so it should be cheap.
    async fn oom_kills(&self, id: SandboxId) -> Result<u64> {
        Ok(self.usage(id).await?.oom_kills)
    }
}
