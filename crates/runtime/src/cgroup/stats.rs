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
            stats.oom_kills = oom_kills(parent, version, name)?;
        }
        (Controller::Memory, Version::Legacy) => {
            stats.memory_bytes = number("memory.usage_in_bytes")?;
            stats.memory_reclaimable_bytes = keyed("memory.stat", "total_inactive_file")?;
            stats.memory_peak_bytes = parent.read_number(&file("memory.max_usage_in_bytes"))?;
            stats.oom_kills = oom_kills(parent, version, name)?;
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

/// Processes of group `name` that the kernel killed for want of memory, from the hierarchy with the memory controller.
pub(super) fn oom_kills(parent: &Dir, version: Version, name: &str) -> Result<u64, Error> {
    let file = match version {
        Version::Unified => "memory.events",
        Version::Legacy => "memory.oom_control",
    };
    Ok(parent.read_keyed(&format!("{name}/{file}"), "oom_kill")?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a stand-in group made of these files.
    fn check(version: Version, files: &[(&str, &str)]) -> Result<Stats, Error> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("box")).unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join("box").join(name), content).unwrap();
        }
        let parent = Dir::open(dir.path()).unwrap();
        let mut stats = Stats::default();
        for controller in Controller::ALL {
            read_into(&mut stats, &parent, version, controller, "box")?;
        }
        Ok(stats)
    }

    const UNIFIED: [(&str, &str); 6] = [
        ("memory.current", "8192\n"),
        ("memory.peak", "12288\n"),
        ("memory.stat", "anon 4096\nfile 4096\ninactive_file 1024\nactive_file 3072\n"),
        ("memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"),
        ("pids.current", "3\n"),
    ];

    const WANTED: Stats = Stats {
        memory_bytes: 8192,
        memory_reclaimable_bytes: 1024,
        memory_peak_bytes: Some(12_288),
        cpu_time: Some(Duration::from_micros(1500)),
        pids: 3,
        oom_kills: 2,
    };

    #[test]
    fn both_versions_read_alike() {
        assert_eq!(check(Version::Unified, &UNIFIED).unwrap(), WANTED);
        let legacy = [
            ("memory.usage_in_bytes", "8192\n"),
            ("memory.max_usage_in_bytes", "12288\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 1024\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ("cpuacct.usage", "1500000\n"),
            ("pids.current", "3\n"),
        ];
        assert_eq!(check(Version::Legacy, &legacy).unwrap(), WANTED);
    }

    #[test]
    fn an_older_kernel_has_no_peak() {
        let files = UNIFIED.into_iter().filter(|(name, _)| *name != "memory.peak").collect::<Vec<_>>();
        assert_eq!(check(Version::Unified, &files).unwrap(), Stats { memory_peak_bytes: None, ..WANTED });
    }

    #[test]
    fn what_is_no_number_is_named_with_its_file() {
        let mut files = UNIFIED;
        files[5].1 = "three\n";
        let error = check(Version::Unified, &files).unwrap_err().to_string();
        assert!(error.ends_with("box/pids.current holds \"three\", which is not a number"), "{error}");
    }
}
