//! The group of one sandbox: getting in, freezing, killing, measuring, removing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::parent::{Hierarchy, Version};
use super::{Cgroups, Controller, Error, Limits, Stats, limits, stats, wait};

/// Longest name of a group: ours are ids of 36 characters at most, and a parent's name is typed by a person.
const NAME_BYTES_MAX: usize = 64;

/// How long one sweep of [`Group::kill`] waits on v1 until nothing in the group can fork any more. A process that
/// is stuck in the kernel for longer cannot fork either.
const FREEZE_TO_KILL: Duration = Duration::from_millis(50);

/// Processes that a sweep holds descriptors of at once.
const PINNED_MAX: usize = 64;

/// One sandbox's group, which may or may not exist any more: this is a name and a way to reach it.
#[derive(Debug, Clone)]
pub struct Group {
    cgroups: Cgroups,
    name: String,
}

/// What a new process needs to be in a group from its first instruction on, opened beforehand.
///
/// cgroup v2 lets `clone3` put the child there, [`Ticket::clone_into`]. In v1 the child has to step over itself,
/// [`Ticket::join`]. A hybrid machine needs both. A cgroup namespace takes the group of the process that makes it
/// as its root, and `CLONE_NEWCGROUP` takes the *parent's*: so unshare it in the child, after `join`.
#[derive(Debug)]
pub struct Ticket {
    unified: Option<OwnedFd>,
    legacy: Vec<OwnedFd>,
}

impl Ticket {
    /// The directory for `clone3` with `CLONE_INTO_CGROUP`, `None` where cgroup v2 is not mounted.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling thread, which must be its process's only one, into the v1 groups. To be called in the
    /// fresh child: one write for each hierarchy, no allocation, no lock. The permission was checked at opening,
    /// so ids and capabilities may have changed since.
    ///
    /// # Errors
    /// What the kernel answers; the process must then not go on, because some limit would not hold.
    pub fn join(&self) -> Result<(), Errno> {
        for tasks in &self.legacy {
            // Zero is the writer itself. A thread that moves itself spares the kernel the lock that stops all
            // forks and exits of the machine while processes are moved by number.
            rustix::io::retry_on_intr(|| rustix::io::write(tasks, b"0"))?;
        }
        Ok(())
    }
}

impl Group {
    pub(super) fn new(cgroups: Cgroups, name: String) -> Self {
        Self { cgroups, name }
    }

    /// The name under our parent.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens what a child needs to enter.
    ///
    /// # Errors
    /// [`Error::Io`] when the group is gone.
    pub fn ticket(&self) -> Result<Ticket, Error> {
        let mut ticket = Ticket { unified: None, legacy: Vec::new() };
        for hierarchy in self.hierarchies() {
            match hierarchy.version {
                Version::Unified => {
                    let dir =
                        hierarchy.parent.open_file("open", &self.name, OFlags::DIRECTORY | OFlags::RDONLY)?;
                    ticket.unified = Some(dir);
                }
                Version::Legacy => {
                    ticket.legacy.push(hierarchy.parent.open_file(
                        "open",
                        &self.file("tasks"),
                        OFlags::WRONLY,
                    )?);
                }
            }
        }
        Ok(ticket)
    }

    /// Moves a process with all its threads in, in every hierarchy. Slower than a [`Ticket`] by milliseconds on a
    /// busy machine, and the process has run outside before.
    ///
    /// # Errors
    /// [`Error::Io`], with `ESRCH` when the process is gone.
    pub fn add(&self, pid: Pid) -> Result<(), Error> {
        let pid = pid.as_raw_nonzero().to_string();
        self.hierarchies().try_for_each(|hierarchy| hierarchy.parent.write(&self.file("cgroup.procs"), &pid))
    }

    /// Replaces the limits of the living group.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Missing`]; [`Error::Io`] with `EBUSY` on v1 when more memory is in use than the
    /// new limit allows and it cannot be reclaimed. v2 kills in that case.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), Error> {
        self.cgroups.check(limits)?;
        self.hierarchies().try_for_each(|hierarchy| {
            limits::write(&hierarchy.parent, hierarchy.version, &hierarchy.controllers, &self.name, limits)
        })
    }

    /// A reading of all counters.
    ///
    /// # Errors
    /// [`Error::Io`] when the group is gone; [`Error::Malformed`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut reading = Stats::default();
        for hierarchy in self.hierarchies() {
            for controller in &hierarchy.controllers {
                stats::read_into(
                    &mut reading,
                    &hierarchy.parent,
                    hierarchy.version,
                    *controller,
                    &self.name,
                )?;
            }
        }
        Ok(reading)
    }

    /// Processes that the kernel killed here for want of memory: [`Stats::oom_kills`] alone, from one file.
    ///
    /// # Errors
    /// As [`Group::stats`].
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let home = self.cgroups.inner().home(Controller::Memory);
        home.map_or(Ok(0), |home| stats::oom_kills(&home.parent, home.version, &self.name))
    }

    /// The processes inside, as numbers of the caller's PID namespace, in no order. Empty when the group is gone.
    /// They are a moment's view: only in a frozen group is a number still the same process when it is used.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pids(&self) -> Result<Vec<Pid>, Error> {
        // Every hierarchy is asked, because a process that died while joining may be in some of them only.
        let mut pids = Vec::new();
        for hierarchy in self.hierarchies() {
            let text = match hierarchy.parent.read(&self.file("cgroup.procs")) {
                Err(error) if is_gone(&error) => continue,
                other => other?,
            };
            // The kernel shows a process of a foreign PID namespace as zero, which is no process to act on.
            pids.extend(text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)));
        }
        pids.sort_by_key(|pid| pid.as_raw_nonzero());
        pids.dedup();
        Ok(pids)
    }

    /// Whether no living process is inside, or the group is gone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        for hierarchy in self.hierarchies() {
            let populated = match hierarchy.version {
                Version::Unified => hierarchy
                    .parent
                    .read_keyed(&self.file("cgroup.events"), "populated")
                    .map(|value| value == Some(1)),
                Version::Legacy => {
                    hierarchy.parent.read(&self.file("cgroup.procs")).map(|text| !text.trim().is_empty())
                }
            };
            match populated {
                Ok(false) => {}
                Ok(true) => return Ok(false),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Stops all processes where they are, and returns when the last one stands. One that joins later stops too.
    ///
    /// # Errors
    /// [`Error::Missing`] without a freezer; [`Error::Timeout`] when `patience` ran out, after which the group
    /// runs again; [`Error::Io`].
    pub fn freeze(&self, patience: Duration) -> Result<(), Error> {
        self.request_freeze(true)?;
        if wait::until(patience, || self.is_frozen())? {
            return Ok(());
        }
        self.thaw()?;
        Err(Error::Timeout { name: self.name.clone(), awaited: "frozen", patience })
    }

    /// Lets all processes run again; nothing happens to a group that is not frozen.
    ///
    /// # Errors
    /// [`Error::Missing`] without a freezer; [`Error::Io`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.request_freeze(false)
    }

    /// Whether every process stands still.
    ///
    /// # Errors
    /// [`Error::Missing`] without a freezer; [`Error::Io`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        let freezer = self.freezer()?;
        match freezer.version {
            Version::Unified => {
                Ok(freezer.parent.read_keyed(&self.file("cgroup.events"), "frozen")? == Some(1))
            }
            Version::Legacy => Ok(freezer.parent.read(&self.file("freezer.state"))?.trim() == "FROZEN"),
        }
    }

    /// Kills every process inside, frozen or not. It does not wait for them to be gone: see [`Group::is_empty`],
    /// [`Group::remove`].
    ///
    /// On cgroup v2 this is one step of the kernel's. Before Linux 5.14, and on v1, it is a sweep: freeze, so that
    /// nothing forks and no number is reused, signal each, thaw.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn kill(&self) -> Result<(), Error> {
        let kill_file = self.file("cgroup.kill");
        let killer = self
            .hierarchies()
            .find(|hierarchy| hierarchy.version == Version::Unified && hierarchy.parent.has(&kill_file));
        match killer {
            Some(hierarchy) => ignore_gone(hierarchy.parent.write(&kill_file, "1")),
            None => self.sweep(),
        }
    }

    /// Removes the group from every hierarchy, waiting until its last process is gone. It kills nothing. Removing
    /// what is gone already succeeds.
    ///
    /// # Errors
    /// [`Error::Timeout`] when processes are left after `patience`: the group is then still there in some
    /// hierarchies, and this can be called again. [`Error::Io`].
    pub fn remove(&self, patience: Duration) -> Result<(), Error> {
        let removed = wait::until(patience, || {
            let mut all = true;
            for hierarchy in self.hierarchies() {
                match hierarchy.parent.remove(&self.name) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::BUSY) => all = false,
                    Err(source) => return Err(hierarchy.parent.error("remove", &self.name, source)),
                }
            }
            Ok(all)
        })?;
        if removed {
            Ok(())
        } else {
            Err(Error::Timeout { name: self.name.clone(), awaited: "empty", patience })
        }
    }

    fn sweep(&self) -> Result<(), Error> {
        let freezes = self.cgroups.serves(Controller::Freezer);
        if freezes {
            ignore_gone(self.request_freeze(true))?;
            // Whether all stand still or not, they are signalled: what is left over is for the next sweep.
            ignore_gone(wait::until(FREEZE_TO_KILL, || self.is_frozen()))?;
        }
        let swept = self.signal_all();
        if freezes {
            // v1 keeps a killed process frozen until it is thawed.
            ignore_gone(self.request_freeze(false))?;
        }
        swept
    }

    /// Kills by number without ever hitting a process that took over a number: it is pinned first, and must then
    /// still be listed here.
    fn signal_all(&self) -> Result<(), Error> {
        let failed =
            |source| Error::Io { action: "kill processes of", path: self.name.clone().into(), source };
        for chunk in self.pids()?.chunks(PINNED_MAX) {
            let mut pinned = Vec::with_capacity(chunk.len());
            for &pid in chunk {
                match pidfd_open(pid, PidfdFlags::empty()) {
                    Ok(pidfd) => pinned.push((pid, pidfd)),
                    // `EINVAL` is a thread without its leader, which dies with its process.
                    Err(Errno::SRCH | Errno::INVAL) => {}
                    Err(source) => return Err(failed(source)),
                }
            }
            let still_here = self.pids()?;
            for (_, pidfd) in pinned.iter().filter(|(pid, _)| still_here.contains(pid)) {
                match pidfd_send_signal(pidfd, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(source) => return Err(failed(source)),
                }
            }
        }
        Ok(())
    }

    fn request_freeze(&self, freeze: bool) -> Result<(), Error> {
        let freezer = self.freezer()?;
        match (freezer.version, freeze) {
            (Version::Unified, true) => freezer.parent.write(&self.file("cgroup.freeze"), "1"),
            (Version::Unified, false) => freezer.parent.write(&self.file("cgroup.freeze"), "0"),
            (Version::Legacy, true) => freezer.parent.write(&self.file("freezer.state"), "FROZEN"),
            (Version::Legacy, false) => freezer.parent.write(&self.file("freezer.state"), "THAWED"),
        }
    }

    fn freezer(&self) -> Result<&Hierarchy, Error> {
        self.cgroups.inner().home(Controller::Freezer).ok_or(Error::Missing(Controller::Freezer))
    }

    fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        self.cgroups.inner().hierarchies.iter()
    }

    fn file(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }
}

/// Whether a step failed because the group is not there, which for killing and counting is as good as empty.
fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV))
}

/// The default value in place of a failure that means the group is not there.
fn ignore_gone<T: Default>(result: Result<T, Error>) -> Result<T, Error> {
    match result {
        Err(error) if is_gone(&error) => Ok(T::default()),
        other => other,
    }
}

/// Names of v1's files that lack the dot which all other kernel files have.
const KERNEL_FILES: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];

/// Accepts what can be a directory's name of ours: nothing that climbs, hides or collides with a kernel file.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && !KERNEL_FILES.contains(&name)
    {
        Ok(())
    } else {
        Err(Error::Name(name.to_owned()))
    }
}
