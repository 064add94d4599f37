//! What the spawner does with sandboxes besides starting them.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::fs::unlink;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::serve::{Living, Spawner, cgroup_error};
use super::start::Starting;
use super::wire::{Answer, Usage, Verb};
use crate::cgroup::{self, Group};
use crate::error::{At, SetupError, Step};
use crate::layout::SOCKET;
use crate::process;
use crate::record::Run;

/// How long a dead sandbox's cgroup may stay busy before that is reported.
const REMOVE_PATIENCE: Duration = Duration::from_secs(1);

/// How long freezing may take before it is given up and undone. It takes a millisecond; other sandboxes wait meanwhile.
const FREEZE_PATIENCE: Duration = Duration::from_secs(1);

impl Spawner {
    /// Handles everything but a start.
    pub(super) fn handle(&mut self, verb: Verb, starting: &[Starting]) -> (Answer, Option<OwnedFd>) {
        let outcome = match verb {
            Verb::Adopt { id, run } => return self.adopt(id, &run),
            Verb::Sweep => self.sweep(starting),
            Verb::Terminate { id } => self.terminate(&id),
            Verb::Measure { id } => self.measure(&id),
            Verb::Kill { id } => self.kill(&id),
            Verb::Clear { id } => self.clear(&id),
            Verb::Freeze { id } => self.freeze(&id),
            Verb::Thaw { id } => self.thaw(&id),
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
    fn sweep(&mut self, starting: &[Starting]) -> Result<Answer, SetupError> {
        let names = self.cgroups.list().map_err(|error| cgroup_error(Step::Removal, &error))?;
        let is_ours =
            |name: &String| self.living.contains_key(name) || starting.iter().any(|start| start.is_of(name));
        for name in names.into_iter().filter(|name| !is_ours(name)) {
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

/// The pid that a pidfd stands for; `None` if the process is gone.
fn guest_pid(pidfd: &OwnedFd) -> std::io::Result<Option<Pid>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw))
}
