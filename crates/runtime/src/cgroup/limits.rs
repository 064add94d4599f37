//! The limits of one group, and the files that carry them in either version.

use super::dir::Dir;
use super::parent::Version;
use super::{Controller, Error};

/// What the processes of one group may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, page cache and kernel memory on the group's behalf included, with no swap beyond it. The
    /// kernel rounds down to whole pages.
    pub memory_bytes: u64,
    /// Processes and threads, the guest's own included.
    pub pids: u32,
    /// Share of the processors; `None` leaves it to the scheduler, for machines that cannot limit it.
    pub cpu: Option<CpuLimit>,
}

/// A share of the machine's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuLimit {
    /// Ceiling in thousandths of one processor: 1500 is one and a half.
    pub millis: u32,
    /// Weight against neighbours when there is not enough for all, from 1 to 10,000; 100 is the ordinary one.
    pub weight: u16,
}

/// Whether processors are shared out at all, which the operator says: a host without the controller must not look as if
/// it had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum CpuLimits {
    /// Every sandbox has its limit, and a host that cannot hold it to that makes none.
    #[default]
    Required,
    /// No sandbox has one: any may take every processor for as long as it likes.
    None,
}

/// Smallest memory limit: below this not even the guest starts, and the kernel kills in a loop.
pub const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Smallest limit of processes: the guest, its threads and one command.
pub const PIDS_MIN: u32 = 8;

/// Smallest CPU ceiling: the kernel accepts no quota below one millisecond, see `CPU_PERIOD_US`.
pub const CPU_MILLIS_MIN: u32 = 10;

/// Microseconds over which the CPU ceiling is averaged: the kernel's default. A shorter period lets a throttled
/// sandbox answer sooner, and costs every sandbox more timer interrupts.
const CPU_PERIOD_US: u64 = 100_000;

/// The range of weights that both versions can express.
const WEIGHT_RANGE: std::ops::RangeInclusive<u16> = 1..=10_000;

/// What v1 calls an ordinary weight of 100, and its smallest value (`cpu.shares`).
const SHARES_ORDINARY: u64 = 1024;
const SHARES_MIN: u64 = 2;

impl Limits {
    /// Refuses limits that the kernel would reject, or that no sandbox could live in, naming the field.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |field, reason| Err(Error::Limit { field, reason });
        if self.memory_bytes < MEMORY_BYTES_MIN {
            return refuse("memory_bytes", "must be at least 4 MiB");
        }
        if i64::try_from(self.memory_bytes).is_err() {
            return refuse("memory_bytes", "is more than the kernel can count");
        }
        if self.pids < PIDS_MIN {
            return refuse("pids", "must be at least 8");
        }
        if let Some(cpu) = self.cpu {
            if cpu.millis < CPU_MILLIS_MIN {
                return refuse("cpu.millis", "must be at least 10 thousandths of a processor");
            }
            if !WEIGHT_RANGE.contains(&cpu.weight) {
                return refuse("cpu.weight", "must be between 1 and 10000");
            }
        }
        Ok(())
    }
}

/// Writes what `controllers` of this hierarchy are responsible for into group `name` below `parent`.
pub(super) fn write(
    parent: &Dir,
    version: Version,
    controllers: &[Controller],
    name: &str,
    limits: &Limits,
) -> Result<(), Error> {
    let set = |file: &str, value: &str| parent.write(&format!("{name}/{file}"), value);
    for controller in controllers {
        match (controller, version) {
            (Controller::Memory, Version::Unified) => unified_memory(parent, name, limits.memory_bytes)?,
            (Controller::Memory, Version::Legacy) => legacy_memory(parent, name, limits.memory_bytes)?,
            (Controller::Pids, _) => set("pids.max", &limits.pids.to_string())?,
            (Controller::Cpu, Version::Unified) => {
                if let Some(cpu) = limits.cpu {
                    set("cpu.max", &format!("{} {CPU_PERIOD_US}", quota_us(cpu)))?;
                    set("cpu.weight", &cpu.weight.to_string())?;
                }
            }
            (Controller::Cpu, Version::Legacy) => {
                if let Some(cpu) = limits.cpu {
                    set("cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
                    set("cpu.cfs_quota_us", &quota_us(cpu).to_string())?;
                    set("cpu.shares", &shares(cpu).to_string())?;
                }
            }
            (Controller::Freezer | Controller::CpuAccounting, _) => {}
        }
    }
    Ok(())
}

fn unified_memory(parent: &Dir, name: &str, bytes: u64) -> Result<(), Error> {
    // Swap first, so that at no moment there is a limit that swapping gets around. The file is missing from
    // kernels that do not account for swap; `doctor` reports those.
    if parent.has(&format!("{name}/memory.swap.max")) {
        parent.write(&format!("{name}/memory.swap.max"), "0")?;
    }
    parent.write(&format!("{name}/memory.max"), &bytes.to_string())
}

/// v1 limits memory, and memory and swap together; the second may never be below the first, so the order in which
/// they are written depends on the direction of the change.
fn legacy_memory(parent: &Dir, name: &str, bytes: u64) -> Result<(), Error> {
    let memory = format!("{name}/memory.limit_in_bytes");
    let with_swap = format!("{name}/memory.memsw.limit_in_bytes");
    let value = bytes.to_string();
    if !parent.has(&with_swap) {
        // Without swap accounting the most that can be had is that the group is swapped out last.
        parent.write(&format!("{name}/memory.swappiness"), "0")?;
        return parent.write(&memory, &value);
    }
    let grows = parent.read_number(&with_swap)?.is_some_and(|current| current < bytes);
    let order = if grows { [&with_swap, &memory] } else { [&memory, &with_swap] };
    order.into_iter().try_for_each(|file| parent.write(file, &value))
}

/// Microseconds of processor time in each period.
fn quota_us(cpu: CpuLimit) -> u64 {
    u64::from(cpu.millis) * CPU_PERIOD_US / 1000
}

/// v1's scale: proportional, with the ordinary weight at its ordinary value.
fn shares(cpu: CpuLimit) -> u64 {
    (u64::from(cpu.weight) * SHARES_ORDINARY / 100).max(SHARES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { memory_bytes: 1 << 30, pids: 256, cpu: Some(CpuLimit { millis: 1500, weight: 50 }) };

    /// Writes the limits into a stand-in group that has these files, and gives what they then hold.
    fn check(version: Version, limits: &Limits, files: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("box")).unwrap();
        let paths = files.iter().map(|name| dir.path().join("box").join(name)).collect::<Vec<_>>();
        for path in &paths {
            std::fs::write(path, "").unwrap();
        }
        let parent = Dir::open(dir.path()).unwrap();
        write(&parent, version, &Controller::ALL, "box", limits).unwrap();
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn the_unified_files_carry_a_ceiling_without_swap() {
        let files = ["memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpu.weight"];
        assert_eq!(
            check(Version::Unified, &LIMITS, &files),
            ["1073741824", "0", "256", "150000 100000", "50"]
        );
    }

    #[test]
    fn a_kernel_that_does_not_count_swap_gets_what_it_can_enforce() {
        let unlimited_cpu = Limits { cpu: None, ..LIMITS };
        assert_eq!(
            check(Version::Unified, &unlimited_cpu, &["memory.max", "pids.max"]),
            ["1073741824", "256"]
        );
        let files = ["memory.limit_in_bytes", "memory.swappiness", "pids.max"];
        assert_eq!(check(Version::Legacy, &unlimited_cpu, &files), ["1073741824", "0", "256"]);
    }

    #[test]
    fn the_legacy_files_carry_the_same_on_their_own_scales() {
        let files =
            ["memory.limit_in_bytes", "pids.max", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares"];
        let with_swap = [&files[..], &["memory.swappiness"]].concat();
        let values = check(Version::Legacy, &LIMITS, &with_swap);
        assert_eq!(values, ["1073741824", "256", "100000", "150000", "512", "0"]);
    }
}
