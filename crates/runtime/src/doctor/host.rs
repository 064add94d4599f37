//! Who we are, and how much of the machine is left: rights, disk, memory, descriptors.

use rustix::process::Resource;

use super::{Finding, Status, Subject};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Free disk below which the first image or a few sandboxes fill it.
const DISK_WARN_BYTES: u64 = 10 * GIB;
/// Free disk below which the store itself may not be able to write. A server with little more than that still has to
/// start: its sandboxes are there, and deleting some is what makes room.
const DISK_FAIL_BYTES: u64 = 16 * MIB;
/// Free inodes below which unpacking an image may fail: a distribution's has some 10,000 files.
const INODES_WARN: u64 = 100_000;

/// Memory below which a sandbox with the smallest tier, 1 GiB, pushes others out.
const MEMORY_WARN_BYTES: u64 = 2 * GIB;
/// Memory below which the server and one interpreter do not fit.
const MEMORY_FAIL_BYTES: u64 = 256 * MIB;

/// Descriptors that 1,000 sandboxes with a few connections each take.
const DESCRIPTORS_WARN: u64 = 16_384;

pub(super) fn root() -> Finding {
    const NAME: &str = "root";
    let user = rustix::process::geteuid();
    if user.is_root() {
        Finding::ok(NAME, "running as root")
    } else {
        Finding::fail(
            NAME,
            format!("running as user {}", user.as_raw()),
            "run as root: sandboxes need id ranges, mounts and cgroups of their own",
        )
    }
}

pub(super) fn disk(subject: &Subject) -> Finding {
    const NAME: &str = "disk";
    let dir = subject.existing_dir();
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            // File systems that make inodes as needed, such as btrfs, report none at all.
            let inodes = (stat.f_files > 0).then_some(stat.f_favail);
            judge_disk(&dir.display().to_string(), free, inodes)
        }
        Err(errno) => Finding::fail(
            NAME,
            format!("cannot tell the free space of {}: {errno}", dir.display()),
            "choose another data directory with --data-dir",
        ),
    }
}

fn judge_disk(dir: &str, free: u64, inodes: Option<u64>) -> Finding {
    const NAME: &str = "disk";
    let detail = format!("{:.1} GiB free in {dir}", in_gib(free));
    let remedy = "free some space, or choose a data directory on a larger disk with --data-dir";
    if free < DISK_FAIL_BYTES {
        Finding::fail(NAME, detail, remedy)
    } else if free < DISK_WARN_BYTES {
        Finding::warn(NAME, detail, remedy)
    } else if let Some(inodes) = inodes.filter(|inodes| *inodes < INODES_WARN) {
        Finding::warn(NAME, format!("{detail}, but only {inodes} inodes"), remedy)
    } else {
        Finding::ok(NAME, detail)
    }
}

pub(super) fn memory() -> Finding {
    const NAME: &str = "memory";
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match available_memory(&text) {
        Some(bytes) => judge_memory(bytes),
        None => Finding::warn(
            NAME,
            "cannot read MemAvailable from /proc/meminfo",
            "mount proc, and check by hand that memory is left",
        ),
    }
}

/// The line reads `MemAvailable:    123456 kB`.
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn judge_memory(available: u64) -> Finding {
    const NAME: &str = "memory";
    let detail = format!("{:.1} GiB available", in_gib(available));
    if available >= MEMORY_WARN_BYTES {
        return Finding::ok(NAME, detail);
    }
    let status = if available < MEMORY_FAIL_BYTES { Status::Fail } else { Status::Warn };
    let remedy = "end other programs, or use a machine with more memory: a sandbox may use all of its limit";
    Finding { name: NAME, status, detail, remedy: Some(remedy.to_owned()) }
}

pub(super) fn descriptors() -> Finding {
    // The soft limit is ours to raise, so the hard one counts. No limit at all is `None`.
    judge_descriptors(rustix::process::getrlimit(Resource::Nofile).maximum)
}

fn judge_descriptors(most: Option<u64>) -> Finding {
    const NAME: &str = "descriptors";
    match most {
        None => Finding::ok(NAME, "no limit on open files"),
        Some(most) if most < DESCRIPTORS_WARN => Finding::warn(
            NAME,
            format!("at most {most} open files, enough for some {} sandboxes", most / 16),
            format!(
                "raise the hard limit to {DESCRIPTORS_WARN} or more (LimitNOFILE= in the unit, or ulimit -Hn)"
            ),
        ),
        Some(most) => Finding::ok(NAME, format!("at most {most} open files")),
    }
}

/// For people: the last digit may be off.
#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal for a person to read")]
fn in_gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_memory_and_descriptors_are_judged_at_their_bounds() {
        use Status::{Fail, Ok, Warn};
        for (free, inodes, want) in [
            (DISK_FAIL_BYTES - 1, Some(u64::MAX), Fail),
            (DISK_FAIL_BYTES, Some(u64::MAX), Warn),
            (DISK_WARN_BYTES, Some(u64::MAX), Ok),
            (DISK_WARN_BYTES, Some(INODES_WARN - 1), Warn),
            (DISK_WARN_BYTES, None, Ok),
        ] {
            assert_eq!(judge_disk("/data", free, inodes).status, want, "{free} {inodes:?}");
        }
        for (available, want) in
            [(MEMORY_FAIL_BYTES - 1, Fail), (MEMORY_FAIL_BYTES, Warn), (MEMORY_WARN_BYTES, Ok)]
        {
            assert_eq!(judge_memory(available).status, want, "{available}");
        }
        for (most, want) in [(Some(1024), Warn), (Some(DESCRIPTORS_WARN), Ok), (None, Ok)] {
            assert_eq!(judge_descriptors(most).status, want, "{most:?}");
        }
    }

    #[test]
    fn available_memory_is_read_in_kibibytes() {
        let text = "MemTotal:       24683524 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(available_memory(text), Some(20_000_000 * 1024));
        for broken in ["", "MemAvailable: x kB\n", "MemAvailable: 5\n"] {
            assert_eq!(available_memory(broken), None, "{broken}");
        }
    }
}
