//! Making a running sandbox: ordered steps, each with its undo next to it.
//!
//! ```text
//!   begin_start                                                              finish_start
//!   socket ─▶ disk ─▶ cgroup ─▶ clone ─▶ id maps ─▶ layers ─▶ network ─▶ record ─▶ go ┄┄▶ the guest runs
//!     ▲ undo             ▲ undo    ▲ undo                        ▲ undo     ▲ undo          │
//!     └──────────────────┴─────────┴─────── any failure ◀────────┴──────────┴───────────────┘
//! ```
//!
//! Between the two the child works by itself, and the spawner handles other requests.
//!
//! Steps without an undo leave only descriptors behind, and what hangs on those goes with them. The record is written
//! before the guest is let go: if server and spawner die in between, the next server finds a sandbox that it knows or
//! one that never ran, and nothing that runs without a record.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, chmod, open, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Pid, Signal, pidfd_send_signal};

use super::channel::Channel;
use super::serve::{Living, Spawner, cgroup_error};
use super::undo::Undo;
use super::verbs::{end_group, network_namespace};
use super::wire::{Answer, Failure, Go, StartOrder, StartTimes, VolumeOrder};
use crate::cgroup::{CpuLimit, CpuLimits, Group, Limits, Ticket};
use crate::child::{self, Inheritance};
use crate::disk::{Disk, Fsync, open_again, open_disk, top_directory};
use crate::error::{At, SetupError, Step};
use crate::filesystem::copy_of;
use crate::guard::MountedDisk;
use crate::layout::{DISK, LOWERS_MAX, SOCKET, VOLUMES_MAX, in_spawner};
use crate::network::{Reach, Slot};
use crate::process::{self, start_ticks};
use crate::record::{NetworkRun, Record, Run, VolumeRun};
use crate::stopwatch::Stopwatch;
use crate::sys;
use crate::sys::clone::Cloned;

/// Connections that wait for the guest to accept them; more than a guest may have open at once.
const BACKLOG: i32 = 256;

/// How long a child may take to become the guest. It takes about a millisecond; a host that swaps may need seconds.
const CHILD_PATIENCE: Duration = Duration::from_secs(10);

/// How long a killed process may take to be gone.
const DEATH_PATIENCE: Duration = Duration::from_secs(5);

/// What every sandbox weighs against its neighbours when processors are short: the ordinary amount, so that all are equal.
const CPU_WEIGHT: u16 = 100;

/// Added to the badness of every process of a sandbox, in thousandths of the host's memory (proc_pid_oom_score_adj(5)).
const OOM_SCORE_ADJUSTMENT: &str = "500";

/// A process that has been cloned and is not the guest yet.
struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    channel: Channel,
}

/// A start whose child is at work.
pub(super) struct Starting {
    /// Of the request.
    number: u64,
    id: String,
    begun: Begun,
    undo: Undo,
}

/// What the steps before letting the child go have made.
struct Begun {
    child: Child,
    group: Group,
    /// The sandbox's own, and then those of its volumes.
    disks: Vec<MountedDisk>,
    slot: Option<Slot>,
    watch: Stopwatch,
    times: StartTimes,
}

impl Starting {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_of(&self, id: &str) -> bool {
        self.id == id
    }

    /// Becomes readable when the child has become the guest or has failed.
    pub(super) fn channel(&self) -> &Channel {
        &self.begun.child.channel
    }

    /// How long the child may still take.
    pub(super) fn patience_left(&self) -> Duration {
        CHILD_PATIENCE.saturating_sub(self.begun.watch.since_lap())
    }
}

impl Spawner {
    /// Does everything up to letting the child go.
    pub(super) fn begin_start(&self, number: u64, order: &StartOrder) -> Result<Starting, Failure> {
        let mut undo = Undo::default();
        match self.steps(order, &mut undo) {
            Ok(begun) => Ok(Starting { number, id: order.id.clone(), begun, undo }),
            Err(error) => Err(Failure { error, undo: undo.run() }),
        }
    }

    fn steps(&self, order: &StartOrder, undo: &mut Undo) -> Result<Begun, SetupError> {
        let mut watch = Stopwatch::start();
        let mut times = StartTimes::default();
        if self.living.contains_key(&order.id) {
            return Err(Errno::EXIST).at(Step::Clone, "start a second time", &order.id);
        }
        let directory = self.data.sandboxes().join(&order.id);

        let socket = directory.join(SOCKET);
        let listener = bind_listener(&socket)?;
        undo.push(move || unlink(&socket).at(Step::Socket, "unlink", &socket));

        let image = directory.join(DISK);
        let disk = open_disk(&image, Fsync::PageCache)?;
        let volumes = self.open_volumes(order)?;
        times.disk_us = watch.lap_us();

        let cgroup_failed = |error| cgroup_error(Step::Cgroup, &error);
        let group = {
            let limits = limits(order.memory_bytes, order.cpu_millis, order.pids, self.cpu_limits);
            self.cgroups.create(&order.id, &limits).map_err(cgroup_failed)?
        };
        let made = group.clone();
        undo.push(move || end_group(&made));
        let ticket = group.ticket().map_err(cgroup_failed)?;
        times.cgroup_us = watch.lap_us();

        let child = self.clone_child(order, listener, &ticket)?;
        let doomed = child.pidfd.try_clone().at(Step::Clone, "dup", "the pidfd")?;
        undo.push(move || end_process(&doomed));
        times.clone_us = watch.lap_us();

        make_expendable(child.pid)?;
        let layers = prepare_layers(order, child.pid, &disk, &volumes)?;
        let mut disks = vec![MountedDisk::new(top_directory(&disk.mount)?, disk.device, image)];
        for (volume, order) in volumes.iter().zip(&order.volumes) {
            let image = self.data.volume(&order.id);
            disks.push(MountedDisk::new(top_directory(&volume.mount)?, volume.device, image));
        }
        times.layers_us = watch.lap_us();

        if let Some(network) = &order.network {
            self.connect(network, child.pid, undo)?;
        }
        let slot = order.network.as_ref().map(|network| network.slot);
        times.network_us = watch.lap_us();

        let before = Record::read_or_new(&directory);
        self.write_record(order, child.pid, &disks, &directory)?;
        undo.push(move || before.write(&directory).at(Step::Record, "write", &directory));
        times.layers_us += watch.lap_us();

        let mut borrowed: Vec<BorrowedFd<'_>> = layers.iter().map(AsFd::as_fd).collect();
        borrowed.push(disk.mount.as_fd());
        borrowed.extend(volumes.iter().map(|volume| volume.mount.as_fd()));
        child.channel.send(&Go, &borrowed).at(Step::Layers, "send", "the layers")?;
        Ok(Begun { child, group, disks, slot, watch, times })
    }

    /// Looks what became of the child. The answer's descriptors are the guest's pidfd and the tops of its disks.
    pub(super) fn finish_start(&mut self, starting: Starting) -> (Answer, Vec<OwnedFd>) {
        let Begun { mut child, group, disks, slot, mut watch, times } = starting.begun;
        let outcome = await_guest(&mut child).and_then(|()| {
            let mut for_server = vec![child.pidfd.try_clone().at(Step::Clone, "dup", "the pidfd")?];
            for disk in &disks {
                for_server.push(disk.top().at(Step::Disk, "dup", "the top of the disk")?);
            }
            Ok(for_server)
        });
        match outcome {
            Ok(for_server) => {
                let child_us = watch.lap_us();
                let times = StartTimes { child_us, total_us: watch.total_us(), ..times };
                let pid = child.pid.as_raw_nonzero().get();
                self.living.insert(starting.id, Living { pidfd: child.pidfd, group, disks, slot });
                (Answer::Started { pid, times }, for_server)
            }
            Err(error) => (Answer::Failed(Failure { error, undo: starting.undo.run() }), Vec::new()),
        }
    }

    /// Mounts the volumes of a sandbox, each once, whoever else has it.
    fn open_volumes(&self, order: &StartOrder) -> Result<Vec<Disk>, SetupError> {
        if order.volumes.len() > VOLUMES_MAX {
            return Err(Errno::TOOBIG).at(Step::Disk, "count", "the volumes");
        }
        let open = |volume: &VolumeOrder| {
            let image = self.data.volume(&volume.id);
            match volume.device {
                Some(device) => open_again(&image, device),
                // What is in a volume outlives the sandboxes, and should outlive a crash of the host.
                None => open_disk(&image, Fsync::HostDisk),
            }
        };
        order.volumes.iter().map(open).collect()
    }

    /// Cables the child to the gateway. The cable goes with the child, and what it may reach with an undo.
    fn connect(&self, network: &NetworkRun, child: Pid, undo: &mut Undo) -> Result<(), SetupError> {
        let gateway =
            self.gateway.clone().ok_or(Errno::OPNOTSUPP).at(Step::Network, "find", "the gateway")?;
        let namespace = network_namespace(child)?;
        let NetworkRun { slot, reach } = network;
        gateway.borrow_mut().attach(*slot, namespace.as_fd(), reach)?;
        let slot = *slot;
        undo.push(move || gateway.borrow_mut().permit(slot, &Reach::Nothing));
        Ok(())
    }

    /// Clones the process that will be the guest. It waits for its layers.
    fn clone_child(
        &self,
        order: &StartOrder,
        listener: OwnedFd,
        ticket: &Ticket,
    ) -> Result<Child, SetupError> {
        let (ours, theirs) = Channel::pair().at(Step::Clone, "socketpair", "the child's channel")?;
        match sys::clone::into_new_namespaces(&self.proof, ticket.clone_into()).at(
            Step::Clone,
            "clone3",
            "a process in new namespaces",
        )? {
            Cloned::Parent { pid, pidfd } => Ok(Child { pid, pidfd, channel: ours }),
            Cloned::Child => {
                drop(ours);
                let inheritance = Inheritance {
                    channel: theirs,
                    listener,
                    reserved: &mut self.reserved.borrow_mut(),
                    null: &self.null,
                    guest: &self.guest,
                    git: &self.git,
                    filter: &self.filter,
                    ticket,
                };
                child::run(order, inheritance)
            }
        }
    }

    fn write_record(
        &self,
        order: &StartOrder,
        pid: Pid,
        disks: &[MountedDisk],
        directory: &Path,
    ) -> Result<(), SetupError> {
        const STEP: Step = Step::Record;
        let start_ticks = start_ticks(pid).and_then(|ticks| ticks.ok_or(Errno::SRCH.into())).at(
            STEP,
            "read",
            "the start time",
        )?;
        let run = Run {
            boot_id: self.boot_id.clone(),
            pid: pid.as_raw_nonzero().get(),
            start_ticks,
            id_range: order.id_range,
            network: order.network.clone(),
            loop_device: disks.first().map(MountedDisk::device),
            volumes: (order.volumes.iter())
                .zip(disks.iter().skip(1))
                .map(|(volume, disk)| VolumeRun { id: volume.id.clone(), loop_device: disk.device() })
                .collect(),
        };
        Record::of(run).write(directory).at(STEP, "write", directory)
    }
}

pub(super) fn limits(memory_bytes: u64, cpu_millis: u32, pids: u32, cpu: CpuLimits) -> Limits {
    Limits {
        memory_bytes,
        pids,
        cpu: match cpu {
            CpuLimits::Required => Some(CpuLimit { millis: cpu_millis, weight: CPU_WEIGHT }),
            CpuLimits::None => None,
        },
    }
}

/// The socket that the guest will accept connections on. Its path is the host's; inside, it is a descriptor and nothing
/// else. It outlives spawner and server, because the guest holds it.
fn bind_listener(path: &Path) -> Result<OwnedFd, SetupError> {
    const STEP: Step = Step::Socket;
    match unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).at(STEP, "unlink", path),
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .at(STEP, "socket", path)?;
    // Paths in a socket's address have at most 107 bytes; that of the directory's descriptor is always short.
    let directory = path.parent().unwrap_or(Path::new("/"));
    let directory = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(STEP, "open", directory)?;
    let short = crate::connect::short_path(&directory);
    let address = SocketAddrUnix::new(&short).at(STEP, "address", &short)?;
    bind(&socket, &address).at(STEP, "bind", path)?;
    chmod(path, Mode::RUSR | Mode::WUSR).at(STEP, "chmod", path)?;
    listen(&socket, BACKLOG).at(STEP, "listen", path)?;
    Ok(socket)
}

/// When the whole host runs out of memory, sandboxes end before the server and the host's own services do.
fn make_expendable(child: Pid) -> Result<(), SetupError> {
    let path = format!("/proc/{}/oom_score_adj", child.as_raw_nonzero());
    std::fs::write(&path, OOM_SCORE_ADJUSTMENT).at(Step::Clone, "write", &path)
}

/// Gives the child its ids, makes copies of the image's trees that show them with those ids, and the disk and the volumes show
/// theirs.
fn prepare_layers(
    order: &StartOrder,
    child: Pid,
    disk: &Disk,
    volumes: &[Disk],
) -> Result<Vec<OwnedFd>, SetupError> {
    const STEP: Step = Step::Layers;
    if order.lowers.is_empty() || order.lowers.len() > LOWERS_MAX {
        return Err(Errno::TOOBIG).at(STEP, "count", "the lowers of the image");
    }
    let proc = format!("/proc/{}", child.as_raw_nonzero());
    for map in ["uid_map", "gid_map"] {
        let path = format!("{proc}/{map}");
        std::fs::write(&path, order.id_range.map_line()).at(Step::IdRange, "write", &path)?;
    }
    let path = format!("{proc}/ns/user");
    let user_namespace =
        open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at(Step::IdRange, "open", &path)?;

    let mut layers = Vec::with_capacity(order.lowers.len());
    for lower in &order.lowers {
        let copy = copy_of(STEP, &in_spawner(&lower.source))?;
        sys::mount::idmap(&copy, user_namespace.as_fd()).at(STEP, "idmap", &lower.source)?;
        layers.push(copy);
    }
    sys::mount::idmap(&disk.mount, user_namespace.as_fd()).at(STEP, "idmap", "the disk")?;
    for volume in volumes {
        sys::mount::idmap(&volume.mount, user_namespace.as_fd()).at(STEP, "idmap", "a volume")?;
    }
    Ok(layers)
}

/// Looks whether the child has become the guest: its end of the channel closes at execve. A child that dies closes it too,
/// and one that does neither has taken too long.
fn await_guest(child: &mut Child) -> Result<(), SetupError> {
    match child.channel.receive::<SetupError>(Some(Duration::ZERO)).at(
        Step::Execute,
        "wait for",
        "the guest",
    )? {
        Some((error, _)) => Err(error),
        None if dead(&child.pidfd, Duration::ZERO)? => Err(Errno::SRCH).at(
            Step::Execute,
            "find",
            "the child alive: it was killed, perhaps for want of memory",
        ),
        None => Ok(()),
    }
}

fn end_process(pidfd: &OwnedFd) -> Result<(), SetupError> {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Ok(()),
        Err(errno) => return Err(errno).at(Step::Removal, "kill", "the child"),
    }
    if dead(pidfd, DEATH_PATIENCE)? {
        return Ok(());
    }
    Err(Errno::TIMEDOUT).at(Step::Removal, "wait for", "the killed child")
}

fn dead(pidfd: &OwnedFd, patience: Duration) -> Result<bool, SetupError> {
    process::is_dead(pidfd, patience).at(Step::Clone, "poll", "the pidfd")
}
