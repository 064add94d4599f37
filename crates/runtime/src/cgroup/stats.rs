//! What the processes of one group have used, read from either version's files.

use std::time::Duration;

use super::dir::Dir;
use super::parent::Version;
use super::{Controller, Error};

/// A reading of one group's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes charged now, page cache included.
    pub memory_bytes: u64,
    /// The part of `memory_bytes` that the kernel would give back first: cached file pages not used lately.
    pub memory_reclaimable_bytes: u64,
    /// Highest `memory_bytes` so far; `None` before Linux 5.19 on cgroup v2.
    pub memory_peak_bytes: Option<u64>,
    /// Processor time used so far; `None` on a v1 machine that does not count it.
    pub cpu_time: Option<Duration>,
    /// Processes and threads now.
    pub pids: u64,
    /// Processes that the kernel killed in this group for want of memory.
    pub oom_kills: u64,
}

/// Adds what `controller` of this hierarchy knows of group `name`.
pub(super) fn read_into(
    stats: &mut Stats,
    parent: &Dir,
    version: Version,
    controller: Controller,
    name: &str,
) -> Result<(), Error> {
    let file = |file: &str| format!("{name}/{file}");
    let number = |path: &str| parent.read_number(&file(path)).map(Option::unwrap_or_default);
    let keyed = |path: &str, key: &str| parent.read_keyed(&file(path), key).map(Option::unwrap_or_default);
    match (controller, version) {
        (Controller::Memory, Version::Unified) => {
            stats.memory_bytes = number("memory.current")?;
            stats.memory_reclaimable_bytes = keyed("memory.stat", "inactive_file")?;
            stats.memory_peak_bytes = if parent.has(&file("memory.peak")) {
                parent.read_number(&file("memory.peak"))?
            } else {
                None
            };
            stats.oom_kills = keyed("memory.events", "oom_kill")?;
        }
        (Controller::Memory, Version::Legacy) => {
            stats.memory_bytes = number("memory.usage_in_bytes")?;
            stats.memory_reclaimable_bytes = keyed("memory.stat", "total_inactive_file")?;
            stats.memory_peak_bytes = parent.read_number(&file("memory.max_usage_in_bytes"))?;
            stats.oom_kills = keyed("memory.oom_control", "oom_kill")?;
        }
        (Controller::CpuAccounting, Version::Unified) => {
            stats.cpu_time = Some(Duration::from_micros(keyed("cpu.stat", "usage_usec")?));
        }
        (Controller::CpuAccounting, Version::Legacy) => {
            stats.cpu_time = Some(Duration::from_nanos(number("cpuacct.usage")?));
        }
        (Controller::Pids, _) => stats.pids = number("pids.current")?,
        (Controller::Cpu | Controller::Freezer, _) => {}
    }
    Ok(())
}
