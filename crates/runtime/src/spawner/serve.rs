//! The spawner's life: settings, preparations, one request after another, end of file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open, unlink};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::channel::Channel;
use super::tree;
use super::wire::{Answer, Request, Settings, Usage};
use crate::cgroup::{self, Cgroups, Group};
use crate::error::{At, SetupError, Step};
use crate::guest_binary::GUEST;
use crate::layout::{DataDir, SOCKET};
use crate::process;
use crate::record::Run;
use crate::seccomp::Filter;
use crate::stopwatch::Stopwatch;
use crate::sys;
use crate::sys::clone::SingleThreaded;

/// Exit statuses, for a person who finds one in a log.
const ORDERLY: i32 = 0;
const NOT_PREPARED: i32 = 1;
const CHANNEL_BROKEN: i32 = 2;

/// The number that a guest finds its listening socket at, kept free of everything else.
const RESERVED: i32 = 3;

/// How long a dead sandbox's cgroup may stay busy before that is reported.
const REMOVE_PATIENCE: Duration = Duration::from_secs(2);

/// How long freezing may take before it is given up and undone.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

/// How long the spawner of an earlier server may take for its last request; longer than that takes at worst.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether it has ended.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// A living sandbox.
pub(super) struct Living {
    pub(super) pidfd: OwnedFd,
    pub(super) group: Group,
}

/// What the spawner has from its preparations on.
pub(super) struct Spawner {
    pub(super) proof: SingleThreaded,
    /// Keeps every other spawner away from the data directory.
    _lock: OwnedFd,
    pub(super) data: DataDir,
    pub(super) guest: OwnedFd,
    pub(super) filter: Filter,
    pub(super) cgroups: Cgroups,
    pub(super) boot_id: String,
    /// Descriptor 3, which the guest's listening socket takes in a child.
    pub(super) reserved: RefCell<OwnedFd>,
    pub(super) null: OwnedFd,
    /// By id.
    pub(super) living: HashMap<String, Living>,
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
    let mut spawner = match prepare(&settings, &channel, reserved, null) {
        Ok(spawner) => spawner,
        Err(error) => {
            // The server reads the answer and tells why; nobody is left to tell if it cannot be sent.
            let _: rustix::io::Result<()> = channel.send(&Answer::Failed(error.into()), &[]);
            return NOT_PREPARED;
        }
    };
    if channel.send(&Answer::Ready, &[]).is_err() {
        return CHANNEL_BROKEN;
    }
    loop {
        let request = match channel.receive::<Request>(None) {
            Ok(Some((request, _))) => request,
            Ok(None) => return ORDERLY,
            Err(_) => return CHANNEL_BROKEN,
        };
        let (answer, descriptor) = spawner.handle(request);
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        match channel.send(&answer, &descriptors) {
            Ok(()) => {}
            Err(Errno::PIPE) => return ORDERLY,
            Err(_) => return CHANNEL_BROKEN,
        }
    }
}

/// Moves the channel away from 0, and fills 0, 1 and 3 with `/dev/null`; 2 stays the server's log.
fn take_descriptors() -> rustix::io::Result<(Channel, OwnedFd, OwnedFd)> {
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // The lowest free number from 3 on: 3 itself at a start by `launch`, which passes nothing above 2.
    let reserved = fcntl_dupfd_cloexec(&null, RESERVED)?;
    let (null, reserved) = if null.as_raw_fd() == RESERVED { (reserved, null) } else { (null, reserved) };
    if reserved.as_raw_fd() != RESERVED {
        return Err(Errno::MFILE);
    }
    let channel = fcntl_dupfd_cloexec(rustix::stdio::stdin(), RESERVED + 1)?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok((Channel::over(channel), reserved, null))
}

fn prepare(
    settings: &Settings,
    channel: &Channel,
    reserved: OwnedFd,
    null: OwnedFd,
) -> Result<Spawner, SetupError> {
    const STEP: Step = Step::SpawnerSetup;
    let proof = SingleThreaded::prove().at(STEP, "count", "the threads")?;
    // A session of its own: an interrupt at the server's terminal is the server's to handle.
    rustix::process::setsid().at(STEP, "setsid", "a new session")?;
    sys::session::ignore_endings().at(STEP, "signal", "SIGINT, SIGTERM and SIGHUP")?;
    let lock = take_lock(&DataDir::on_host(&settings.data_dir).lock(), channel)?;
    sys::session::reap_automatically().at(STEP, "signal", "SIGCHLD")?;
    let boot_id = process::boot_id().at(STEP, "read", "boot_id")?;
    let filter = Filter::compile().map_err(|error| SetupError {
        step: STEP,
        call: "compile".to_owned(),
        subject: format!("the system call filter: {error}"),
        errno: Errno::NOSYS,
    })?;
    if GUEST.is_empty() {
        return Err(Errno::NOEXEC).at(STEP, "find", "the guest: this program was built without one");
    }
    let guest = tree::sealed_program("lazaret-guest".as_ref(), GUEST)?;
    let cgroups = open_cgroups(&settings.cgroup_name).map_err(|error| cgroup_error(STEP, &error))?;
    tree::enter(&settings.data_dir, &settings.lower_roots)?;
    let data = DataDir::in_spawner(&settings.data_dir);
    Ok(Spawner {
        proof,
        _lock: lock,
        data,
        guest,
        filter,
        cgroups,
        boot_id,
        reserved: RefCell::new(reserved),
        null,
        living: HashMap::new(),
    })
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
    fn handle(&mut self, request: Request) -> (Answer, Option<OwnedFd>) {
        let outcome = match request {
            Request::Start(order) => return self.start(&order),
            Request::Adopt { id, run } => return self.adopt(id, &run),
            Request::Sweep => self.sweep(),
            Request::Terminate { id } => self.terminate(&id),
            Request::Measure { id } => self.measure(&id),
            Request::Kill { id } => self.kill(&id),
            Request::Clear { id } => self.clear(&id),
            Request::Freeze { id } => self.freeze(&id),
            Request::Thaw { id } => self.thaw(&id),
        };
        (outcome.unwrap_or_else(|error| Answer::Failed(error.into())), None)
    }

    /// Takes over what an earlier spawner started, if it lives.
    fn adopt(&mut self, id: String, run: &Run) -> (Answer, Option<OwnedFd>) {
        let found = || -> Result<_, SetupError> {
            let Some(pidfd) = process::find(run, &self.boot_id).at(Step::Clone, "find", &id)? else {
                return Ok(None);
            };
            let group = self.group(&id)?.ok_or(Errno::NOENT).at(Step::Cgroup, "find", &id)?;
            let paused = group.is_frozen().map_err(|error| cgroup_error(Step::Freezer, &error))?;
            let for_server = pidfd.try_clone().at(Step::Clone, "dup", "the pidfd")?;
            Ok(Some((Living { pidfd, group }, for_server, paused)))
        };
        match found() {
            Ok(Some((living, for_server, paused))) => {
                self.living.insert(id, living);
                (Answer::Found { alive: true, paused }, Some(for_server))
            }
            Ok(None) => (Answer::Found { alive: false, paused: false }, None),
            Err(error) => (Answer::Failed(error.into()), None),
        }
    }

    /// Ends and removes every group of ours that no living sandbox has.
    fn sweep(&mut self) -> Result<Answer, SetupError> {
        let names = self.cgroups.list().map_err(|error| cgroup_error(Step::Removal, &error))?;
        for name in names.into_iter().filter(|name| !self.living.contains_key(name)) {
            if let Some(group) = self.group(&name)? {
                end_group(&group)?;
            }
        }
        Ok(Answer::Done)
    }

    /// Asks every process but the guest to end; the guest would otherwise take its sandbox along.
    fn terminate(&mut self, id: &str) -> Result<Answer, SetupError> {
        const STEP: Step = Step::Removal;
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        let pids = || living.group.pids().map_err(|error| cgroup_error(STEP, &error));
        let guest = guest_pid(&living.pidfd).at(STEP, "read", "the guest's pid")?;
        for pid in pids()?.into_iter().filter(|pid| Some(*pid) != guest) {
            // A number may be another process's by the time it is used: the descriptor is for a process of this
            // group only if the group still lists the number after the descriptor was made.
            let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if pids()?.contains(&pid) {
                match pidfd_send_signal(&pidfd, Signal::TERM) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => return Err(errno).at(STEP, "signal", id),
                }
            }
        }
        Ok(Answer::Done)
    }

    fn measure(&self, id: &str) -> Result<Answer, SetupError> {
        const STEP: Step = Step::Cgroup;
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        let stats = living.group.stats().map_err(|error| cgroup_error(STEP, &error))?;
        let processes = living.group.pids().map_err(|error| cgroup_error(STEP, &error))?.len();
        let cpu_micros = stats.cpu_time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        Ok(Answer::Usage(Usage {
            memory_bytes: stats.memory_bytes,
            memory_peak_bytes: stats.memory_peak_bytes.unwrap_or(0),
            cpu_micros,
            pids: stats.pids,
            oom_kills: stats.oom_kills,
            processes,
        }))
    }

    /// Kills the guest. The kernel then kills everything in its PID namespace, frozen or not.
    fn kill(&mut self, id: &str) -> Result<Answer, SetupError> {
        const STEP: Step = Step::Removal;
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        match pidfd_send_signal(&living.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(errno).at(STEP, "signal", id),
        }
        // Processes that v1 has frozen die only once they are thawed.
        match living.group.thaw() {
            Ok(()) | Err(cgroup::Error::Missing(_)) => Ok(Answer::Done),
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(Answer::Done),
            Err(error) => Err(cgroup_error(STEP, &error)),
        }
    }

    /// Removes what a dead sandbox left outside its directory, and its socket.
    fn clear(&mut self, id: &str) -> Result<Answer, SetupError> {
        self.living.remove(id);
        if let Some(group) = self.group(id)? {
            end_group(&group)?;
        }
        let socket = self.data.sandboxes().join(id).join(SOCKET);
        match unlink(&socket) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(Answer::Done),
            Err(errno) => Err(errno).at(Step::Removal, "unlink", socket),
        }
    }

    fn freeze(&mut self, id: &str) -> Result<Answer, SetupError> {
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        living.group.freeze(FREEZE_PATIENCE).map_err(|error| cgroup_error(Step::Freezer, &error))?;
        Ok(Answer::Done)
    }

    fn thaw(&mut self, id: &str) -> Result<Answer, SetupError> {
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        living.group.thaw().map_err(|error| cgroup_error(Step::Freezer, &error))?;
        Ok(Answer::Done)
    }

    fn group(&self, id: &str) -> Result<Option<Group>, SetupError> {
        self.cgroups.find(id).map_err(|error| cgroup_error(Step::Cgroup, &error))
    }
}

/// Kills whatever is in a group and removes it.
pub(super) fn end_group(group: &Group) -> Result<(), SetupError> {
    group.kill().map_err(|error| cgroup_error(Step::Removal, &error))?;
    group.remove(REMOVE_PATIENCE).map_err(|error| cgroup_error(Step::Removal, &error))
}

fn open_cgroups(name: &str) -> Result<Cgroups, cgroup::Error> {
    let settings = cgroup::Settings { name: name.to_owned(), ..cgroup::Settings::default() };
    Cgroups::open(&cgroup::Layout::detect()?, &settings)
}

/// The pid that a pidfd stands for; `None` if the process is gone.
fn guest_pid(pidfd: &OwnedFd) -> std::io::Result<Option<Pid>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw))
}

/// A failure of the cgroup module in the words of this one.
pub(super) fn cgroup_error(step: Step, error: &cgroup::Error) -> SetupError {
    SetupError {
        step,
        call: "use".to_owned(),
        subject: error.to_string(),
        errno: error.errno().unwrap_or(match error {
            cgroup::Error::Timeout { .. } => Errno::BUSY,
            cgroup::Error::Missing(_) | cgroup::Error::NotMounted => Errno::OPNOTSUPP,
            _ => Errno::INVAL,
        }),
    }
}
