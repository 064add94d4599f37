//! The spawner's life: settings, preparations, requests and children that come to an end, end of file.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::process::{PidfdFlags, pidfd_open};

use super::channel::Channel;
use super::start::Starting;
use super::tree;
use super::wire::{Answer, NetworkState, Numbered, Request, Settings};
use crate::cgroup::{self, Cgroups, CpuLimits, Group};
use crate::error::{At, SetupError, Step};
use crate::guard::{self, DiskSpace, MountedDisk};
use crate::layout::DataDir;
use crate::network::gateway::Gateway;
use crate::network::{GatewaySockets, Slot};
use crate::process;
use crate::programs::{GIT, GUEST};
use crate::seccomp::Filter;
use crate::stopwatch::Stopwatch;
use crate::sys;
use crate::sys::clone::SingleThreaded;

/// Exit statuses, for a person who finds one in a log.
const ORDERLY: i32 = 0;
const NOT_PREPARED: i32 = 1;
const CHANNEL_BROKEN: i32 = 2;

/// The numbers that a guest finds its listening socket and its git program at, kept free of everything else.
const RESERVED: [RawFd; 2] = [3, 4];

/// The lowest number that anything else of the spawner has.
const UNRESERVED: RawFd = 5;

/// Starts whose children are at work at the same time; more requests wait on the channel. Each holds a disk and some ten
/// descriptors, and more children than processors gain nothing.
const STARTING_MAX: usize = 16;

/// How long the spawner of an earlier server may take for its last request; longer than that takes at worst.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// How long a server whose channel is closed may take to be dead, if that is what it is about to be.
const PARENT_PATIENCE: Duration = Duration::from_millis(500);

/// How often it is looked whether it has ended.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// A living sandbox.
pub(super) struct Living {
    pub(super) pidfd: OwnedFd,
    pub(super) group: Group,
    /// Its own and those of its volumes; none if an earlier build started it.
    pub(super) disks: Vec<MountedDisk>,
    /// `None` for one without a cable.
    pub(super) slot: Option<Slot>,
}

/// What the spawner has from its preparations on.
pub(super) struct Spawner {
    pub(super) proof: SingleThreaded,
    /// Keeps every other spawner away from the data directory.
    _lock: OwnedFd,
    pub(super) data: DataDir,
    pub(super) guest: OwnedFd,
    pub(super) git: OwnedFd,
    pub(super) filter: Filter,
    pub(super) cgroups: Cgroups,
    pub(super) boot_id: String,
    /// Descriptors 3 and 4, whose places the guest's listening socket and its git program take in a child.
    pub(super) reserved: RefCell<[OwnedFd; 2]>,
    pub(super) null: OwnedFd,
    pub(super) cpu_limits: CpuLimits,
    disk_space: DiskSpace,
    /// By id.
    pub(super) living: HashMap<String, Living>,
    /// `None` if there is no network, or none any more.
    pub(super) gateway: Option<Rc<RefCell<Gateway>>>,
    /// The server.
    parent: OwnedFd,
}

/// Runs the spawner on its standard input and returns its exit status.
pub(super) fn main() -> i32 {
    let (mut channel, reserved, null) = match take_descriptors() {
        Ok(taken) => taken,
        Err(errno) => {
            eprintln!("lazaret spawner: cannot arrange descriptors: {errno}");
            return NOT_PREPARED;
        }
    };
    let settings = match channel.receive::<Settings>(None) {
        Ok(Some((settings, _))) => settings,
        Ok(None) => return ORDERLY,
        Err(_) => return CHANNEL_BROKEN,
    };
    let (mut spawner, network, sockets) = match prepare(&settings, &channel, reserved, null) {
        Ok(prepared) => prepared,
        Err(error) => {
            // The server reads the answer and tells why; nobody is left to tell if it cannot be sent.
            let _: rustix::io::Result<()> = channel.send(&Answer::Failed(error.into()), &[]);
            return NOT_PREPARED;
        }
    };
    let descriptors = sockets.as_ref().map(GatewaySockets::descriptors).unwrap_or_default();
    if channel.send(&Answer::Ready { network }, &descriptors).is_err() {
        return CHANNEL_BROKEN;
    }
    drop(sockets);
    let served = spawner.serve(&mut channel);
    spawner.hand_over_disks();
    let status = match served {
        Ok(()) => ORDERLY,
        Err(_) => CHANNEL_BROKEN,
    };
    if process::is_dead(&spawner.parent, PARENT_PATIENCE).unwrap_or(false) {
        // A killed server says no farewell.
        report(spawner.farewell());
    }
    status
}

/// Tells the server's log about something that nobody waits for.
fn report(result: Result<Answer, SetupError>) {
    if let Err(error) = result {
        eprintln!("lazaret spawner: {error}: {}", error.errno);
    }
}

/// Moves the channel away from 0, and fills 0, 1, 3 and 4 with `/dev/null`; 2 stays the server's log.
fn take_descriptors() -> rustix::io::Result<(Channel, [OwnedFd; 2], OwnedFd)> {
    // Opened at the lowest free number, which is one to be reserved: it moves up, and leaves that free again.
    let opened = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let null = fcntl_dupfd_cloexec(&opened, UNRESERVED)?;
    drop(opened);
    let [listener, git] = RESERVED;
    let reserved = [fcntl_dupfd_cloexec(&null, listener)?, fcntl_dupfd_cloexec(&null, git)?];
    // Free at a start by `launch`, which passes nothing above 2.
    if reserved.each_ref().map(|descriptor| descriptor.as_raw_fd()) != RESERVED {
        return Err(Errno::MFILE);
    }
    let channel = fcntl_dupfd_cloexec(rustix::stdio::stdin(), UNRESERVED)?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok((Channel::over(channel), reserved, null))
}

fn prepare(
    settings: &Settings,
    channel: &Channel,
    reserved: [OwnedFd; 2],
    null: OwnedFd,
) -> Result<(Spawner, NetworkState, Option<GatewaySockets>), SetupError> {
    const STEP: Step = Step::SpawnerSetup;
    let proof = SingleThreaded::prove().at(STEP, "count", "the threads")?;
    // A session of its own: an interrupt at the server's terminal is the server's to handle.
    rustix::process::setsid().at(STEP, "setsid", "a new session")?;
    sys::session::ignore_endings().at(STEP, "signal", "SIGINT, SIGTERM and SIGHUP")?;
    let parent = rustix::process::getppid().ok_or(Errno::SRCH);
    let parent =
        parent.and_then(|parent| pidfd_open(parent, PidfdFlags::empty())).at(STEP, "find", "the server")?;
    let lock = take_lock(&DataDir::on_host(&settings.data_dir).lock(), channel)?;
    // While children can be waited for and the host's programs can be seen.
    let (network, gateway, sockets) = open_gateway(settings);
    sys::session::reap_automatically().at(STEP, "signal", "SIGCHLD")?;
    let boot_id = process::boot_id().at(STEP, "read", "boot_id")?;
    let filter = Filter::compile().map_err(|error| SetupError {
        step: STEP,
        call: "compile".to_owned(),
        subject: format!("the system call filter: {error}"),
        errno: Errno::NOSYS,
    })?;
    let guest = tree::sealed_program("lazaret-guest".as_ref(), GUEST)?;
    let git = tree::sealed_program("lazaret-git".as_ref(), GIT)?;
    let cgroups = open_cgroups(&settings.cgroup_name).map_err(|error| cgroup_error(STEP, &error))?;
    tree::enter(&settings.data_dir, &settings.lower_roots)?;
    let data = DataDir::in_spawner(&settings.data_dir);
    let spawner = Spawner {
        proof,
        _lock: lock,
        data,
        guest,
        git,
        filter,
        cgroups,
        boot_id,
        reserved: RefCell::new(reserved),
        null,
        cpu_limits: settings.cpu_limits,
        disk_space: settings.disk_space,
        living: HashMap::new(),
        gateway,
        parent,
    };
    Ok((spawner, network, sockets))
}

/// A host that cannot have a gateway runs sandboxes all the same: those whose policy needs none.
fn open_gateway(settings: &Settings) -> (NetworkState, Option<Rc<RefCell<Gateway>>>, Option<GatewaySockets>) {
    let Some(order) = &settings.network else { return (NetworkState::Off, None, None) };
    match Gateway::open(&order.config, &settings.cgroup_name, order.sockets_held) {
        Ok((gateway, sockets)) => (NetworkState::Up, Some(Rc::new(RefCell::new(gateway))), sockets),
        Err(error) => (NetworkState::Unfit(format!("{error}: {}", error.errno)), None, None),
    }
}

/// Locks the data directory. A server that was killed leaves a spawner that still finishes one request: until it has
/// ended, nobody may look which sandboxes there are.
fn take_lock(path: &Path, channel: &Channel) -> Result<OwnedFd, SetupError> {
    const STEP: Step = Step::SpawnerSetup;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = open(path, flags, Mode::RUSR | Mode::WUSR).at(STEP, "open", path)?;
    let watch = Stopwatch::start();
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK) if watch.elapsed() < LOCK_PATIENCE => {
                // The server sends nothing now: its channel becomes readable only if it is gone.
                if channel.is_readable(LOCK_LOOK).at(STEP, "poll", "the channel")? {
                    return Err(Errno::PIPE).at(STEP, "wait for", path);
                }
            }
            Err(errno) => return Err(errno).at(STEP, "lock", path),
        }
    }
}

impl Spawner {
    /// Handles requests until the server closes its end, and then what has been begun.
    fn serve(&mut self, channel: &mut Channel) -> rustix::io::Result<()> {
        let mut starting: Vec<Starting> = Vec::new();
        let mut server_is_there = true;
        while server_is_there || !starting.is_empty() {
            let listen = server_is_there && starting.len() < STARTING_MAX;
            let ready = wait_for_any(listen.then_some(&*channel), &starting)?;
            let mut answers = Vec::new();
            // From the last one on, so that the positions of those before it stay what they are.
            for index in ready.children.into_iter().rev() {
                let done = starting.swap_remove(index);
                answers.push((done.number(), self.finish_start(done)));
            }
            if ready.request {
                match channel.receive::<Numbered<Request>>(None)? {
                    Some((Numbered { number, body: Request::Start(order) }, _)) => {
                        match self.begin_start(number, &order) {
                            Ok(begun) => starting.push(begun),
                            Err(failure) => answers.push((number, (Answer::Failed(failure), Vec::new()))),
                        }
                    }
                    Some((Numbered { number, body: Request::Other(verb) }, _)) => {
                        answers.push((number, self.handle(verb, &starting)));
                    }
                    None => server_is_there = false,
                }
            }
            for (number, (answer, descriptors)) in answers {
                server_is_there = server_is_there && send(channel, number, answer, &descriptors)?;
            }
        }
        Ok(())
    }

    /// Bounds what the living take of the host's disk until another server looks after it.
    fn hand_over_disks(&self) {
        let disks = self.living.values().flat_map(|living| &living.disks);
        // Those of volumes are several sandboxes' and count once.
        let disks: BTreeMap<u32, &MountedDisk> = disks.map(|disk| (disk.device(), disk)).collect();
        if let Err(error) = guard::hand_over(self.data.root(), self.disk_space, disks.into_values()) {
            eprintln!("lazaret spawner: cannot bound the disks of living sandboxes: {error}");
        }
    }
}

/// What can be gone on with.
struct Readiness {
    request: bool,
    /// Positions of starts whose child has become the guest, has failed, or has taken too long; ascending.
    children: Vec<usize>,
}

fn wait_for_any(channel: Option<&Channel>, starting: &[Starting]) -> rustix::io::Result<Readiness> {
    let timeout = starting.iter().map(Starting::patience_left).min();
    let timeout = timeout.map(Timespec::try_from).transpose().map_err(|_| Errno::INVAL)?;
    let mut wanted: Vec<PollFd<'_>> =
        starting.iter().map(|start| PollFd::new(start.channel(), PollFlags::IN)).collect();
    wanted.extend(channel.map(|channel| PollFd::new(channel, PollFlags::IN)));
    retry_on_intr(|| poll(&mut wanted, timeout.as_ref()))?;
    let is_ready = |index: usize| !wanted[index].revents().is_empty();
    Ok(Readiness {
        request: channel.is_some() && is_ready(starting.len()),
        children: (0..starting.len())
            .filter(|index| is_ready(*index) || starting[*index].patience_left().is_zero())
            .collect(),
    })
}

/// Sends an answer; `false` if the server is gone.
fn send(channel: &Channel, number: u64, answer: Answer, descriptors: &[OwnedFd]) -> rustix::io::Result<bool> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    match channel.send(&Numbered { number, body: answer }, &descriptors) {
        Err(Errno::PIPE) => Ok(false),
        other => other.map(|()| true),
    }
}

pub(crate) fn open_cgroups(name: &str) -> Result<Cgroups, cgroup::Error> {
    let settings = cgroup::Settings { name: name.to_owned(), ..cgroup::Settings::default() };
    Cgroups::open(&cgroup::Layout::detect()?, &settings)
}

/// A failure of the cgroup module in the words of this one.
pub(super) fn cgroup_error(step: Step, error: &cgroup::Error) -> SetupError {
    SetupError {
        step,
        call: "refused:".to_owned(),
        subject: error.to_string(),
        errno: error.errno().unwrap_or(match error {
            cgroup::Error::Timeout { .. } => Errno::BUSY,
            cgroup::Error::Missing(_) | cgroup::Error::NotMounted => Errno::OPNOTSUPP,
            _ => Errno::INVAL,
        }),
    }
}
