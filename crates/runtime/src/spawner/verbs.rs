//! What the spawner does with sandboxes besides starting them.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open, unlink};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::serve::{Living, Spawner, cgroup_error};
use super::start::{Starting, limits};
use super::wire::{Answer, Usage, Verb};
use crate::cgroup::{self, Group, Limits};
use crate::disk::{open_again, open_to_read, top_directory};
use crate::error::{At, SetupError, Step};
use crate::guard::MountedDisk;
use crate::layout::{DISK, SOCKET};
use crate::network::Reach;
use crate::process;
use crate::record::{NetworkRun, Run};

/// How long a dead sandbox's cgroup may stay busy before that is reported.
const REMOVE_PATIENCE: Duration = Duration::from_secs(1);

/// How long freezing may take before it is given up and undone. It takes a millisecond; other sandboxes wait meanwhile.
const FREEZE_PATIENCE: Duration = Duration::from_secs(1);

impl Spawner {
    /// Handles everything but a start.
    pub(super) fn handle(&mut self, verb: Verb, starting: &[Starting]) -> (Answer, Vec<OwnedFd>) {
        let outcome = match verb {
            Verb::Adopt { id, run } => return self.adopt(id, &run),
            Verb::ShowDisk { id } => return self.show_disk(&id),
            Verb::Sweep => self.sweep(starting),
            Verb::Terminate { id } => self.terminate(&id),
            Verb::Measure { id } => self.measure(&id),
            Verb::Kill { id } => self.kill(&id),
            Verb::Clear { id } => self.clear(&id),
            Verb::Freeze { id } => self.freeze(&id),
            Verb::Thaw { id } => self.thaw(&id),
            Verb::SetLimits { id, memory_bytes, cpu_millis, pids } => {
                self.set_limits(&id, &limits(memory_bytes, cpu_millis, pids, self.cpu_limits))
            }
            Verb::SetNetwork { id, network } => self.set_network(&id, network),
            Verb::Farewell => self.farewell(),
        };
        (outcome.unwrap_or_else(|error| Answer::Failed(error.into())), Vec::new())
    }

    /// Takes over what an earlier spawner started, if it lives.
    fn adopt(&mut self, id: String, run: &Run) -> (Answer, Vec<OwnedFd>) {
        let found = || -> Result<_, SetupError> {
            let Some(pidfd) = process::find(run, &self.boot_id).at(Step::Clone, "find", &id)? else {
                return Ok(None);
            };
            let group = self.group(&id)?.ok_or(Errno::NOENT).at(Step::Cgroup, "find", &id)?;
            let paused = group.is_frozen().map_err(|error| cgroup_error(Step::Freezer, &error))?;
            let mut for_server = vec![pidfd.try_clone().at(Step::Clone, "dup", "the pidfd")?];
            let own = run.loop_device.map(|device| (self.data.sandboxes().join(&id).join(DISK), device));
            let of_volumes =
                run.volumes.iter().map(|volume| (self.data.volume(&volume.id), volume.loop_device));
            let mut disks = Vec::new();
            for (image, device) in own.into_iter().chain(of_volumes) {
                let top = top_directory(open_again(&image, device)?.mount)?;
                for_server.push(top.try_clone().at(Step::Disk, "dup", "the top of the disk")?);
                disks.push(MountedDisk::new(top, device, image));
            }
            let slot = run.network.as_ref().map(|network| network.slot);
            Ok(Some((Living { pidfd, group, disks, slot }, for_server, paused)))
        };
        match found() {
            Ok(Some((living, for_server, paused))) => {
                if let (Some(gateway), Some(NetworkRun { slot, reach })) = (&self.gateway, &run.network) {
                    gateway.borrow_mut().note(*slot, reach);
                }
                self.living.insert(id, living);
                (Answer::Found { alive: true, paused }, for_server)
            }
            Ok(None) => (Answer::Found { alive: false, paused: false }, Vec::new()),
            Err(error) => (Answer::Failed(error.into()), Vec::new()),
        }
    }

    fn show_disk(&self, id: &str) -> (Answer, Vec<OwnedFd>) {
        match open_to_read(&self.data.sandboxes().join(id).join(DISK)) {
            Ok(top) => (Answer::Done, vec![top]),
            Err(error) => (Answer::Failed(error.into()), Vec::new()),
        }
    }

    /// Ends and removes every group of ours that no living sandbox has, and takes back what the gateway lets pass for
    /// any other.
    fn sweep(&mut self, starting: &[Starting]) -> Result<Answer, SetupError> {
        let names = self.cgroups.list().map_err(|error| cgroup_error(Step::Removal, &error))?;
        let is_ours =
            |name: &String| self.living.contains_key(name) || starting.iter().any(|start| start.is_of(name));
        for name in names.into_iter().filter(|name| !is_ours(name)) {
            if let Some(group) = self.group(&name)? {
                end_group(&group)?;
            }
        }
        if let Some(gateway) = &self.gateway {
            gateway.borrow_mut().settle()?;
        }
        Ok(Answer::Done)
    }

    fn set_limits(&self, id: &str, limits: &Limits) -> Result<Answer, SetupError> {
        let Some(living) = self.living.get(id) else { return Ok(Answer::Unknown) };
        living.group.set_limits(limits).map_err(|error| cgroup_error(Step::Cgroup, &error))?;
        Ok(Answer::Done)
    }

    /// Changes what a living sandbox may reach.
    fn set_network(&mut self, id: &str, network: NetworkRun) -> Result<Answer, SetupError> {
        const STEP: Step = Step::Network;
        let Some(living) = self.living.get_mut(id) else { return Ok(Answer::Unknown) };
        let gateway = self.gateway.as_ref().ok_or(Errno::OPNOTSUPP).at(STEP, "find", "the gateway")?;
        let guest = guest_pid(&living.pidfd).at(STEP, "read", "the guest's pid")?;
        let Some(guest) = guest else { return Ok(Answer::Unknown) };
        let namespace = network_namespace(guest)?;
        // The number may be another process's by now, unless the guest still lives.
        if process::is_dead(&living.pidfd, Duration::ZERO).at(STEP, "poll", "the pidfd")? {
            return Ok(Answer::Unknown);
        }
        living.slot = Some(network.slot);
        gateway.borrow_mut().attach(network.slot, namespace.as_fd(), &network.reach)?;
        Ok(Answer::Done)
    }

    /// Removes the gateway if no living sandbox is cabled to it.
    pub(super) fn farewell(&mut self) -> Result<Answer, SetupError> {
        let is_alive = |living: &Living| !process::is_dead(&living.pidfd, Duration::ZERO).unwrap_or(false);
        let in_use = self.living.values().any(|living| living.slot.is_some() && is_alive(living));
        if !in_use
            && let Some(gateway) = self.gateway.take()
            && let Some(gateway) = Rc::into_inner(gateway)
        {
            gateway.into_inner().remove()?;
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
        if let Some(living) = self.living.remove(id)
            && let (Some(slot), Some(gateway)) = (living.slot, &self.gateway)
        {
            gateway.borrow_mut().permit(slot, &Reach::Nothing)?;
        }
        let mut oom_kills = 0;
        if let Some(group) = self.group(id)? {
            // A group that is half gone tells nothing any more.
            oom_kills = group.stats().map_or(0, |stats| stats.oom_kills);
            end_group(&group)?;
        }
        let socket = self.data.sandboxes().join(id).join(SOCKET);
        match unlink(&socket) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(Answer::Cleared { oom_kills }),
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

/// The network namespace of a process.
pub(super) fn network_namespace(pid: Pid) -> Result<OwnedFd, SetupError> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
    open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at(Step::Network, "open", &path)
}

/// The pid that a pidfd stands for; `None` if the process is gone.
fn guest_pid(pidfd: &OwnedFd) -> std::io::Result<Option<Pid>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw))
}
