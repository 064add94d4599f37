//! Control groups: what a sandbox may use, and the handle by which it is frozen, killed and measured as a whole.
//!
//! ```text
//!   unified (v2)           legacy (v1), one tree per controller      hybrid: both, each controller in one of them
//!   <mount>/                <mount>/memory/   <mount>/pids/ ...
//!     lazaret/                lazaret/          lazaret/             our parent: made at the server's start
//!       <sandbox>/              <sandbox>/        <sandbox>/         one per sandbox: limits, processes
//! ```
//!
//! One type, [`Cgroups`], covers all three: at its opening it finds which hierarchy serves which [`Controller`],
//! and every later step asks that map instead of a version. Where cgroup v2 is mounted at all, freezing, killing
//! and CPU accounting come from it, because they need no controller there and work better than in v1.
//!
//! An out-of-memory kill inside a sandbox takes one process, not the group (`memory.oom.group` stays 0): the
//! largest one, so that the guest survives to report it.
//!
//! Deliberately not here: cgroup namespaces and the view that a sandbox has of itself (`sandbox`), the choice of
//! limits (tiers in `core`), device rules (a user namespace opens no device), I/O limits.

mod dir;
mod group;
mod layout;
mod limits;
mod parent;
mod stats;
mod wait;

use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

pub use group::{Group, Ticket};
pub use layout::{Layout, LegacyMount, UnifiedMount};
pub use limits::{CPU_MILLIS_MIN, CpuLimit, CpuLimits, Limits, MEMORY_BYTES_MIN, PIDS_MIN};
pub use parent::{Cgroups, Place, Settings};
pub use stats::Stats;

/// A thing that the kernel does for a group, wherever it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Memory and swap limits.
    Memory,
    /// CPU quota and weight.
    Cpu,
    /// The number of processes and threads.
    Pids,
    /// Freezing all processes at once; a controller of its own in v1, part of every group in v2 since Linux 5.2.
    Freezer,
    /// CPU time used; a controller of its own in v1, part of every group in v2.
    CpuAccounting,
}

impl Controller {
    /// All of them, in the order in which a lack of one is reported.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Cpu, Self::Pids, Self::Freezer, Self::CpuAccounting];

    /// The kernel's name, as in `cgroup.controllers` and in the options of a v1 mount.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Freezer => "freezer",
            Self::CpuAccounting => "cpuacct",
        }
    }
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a step on a group failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused an operation on a file or directory.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel answered.
        source: Errno,
    },
    /// A file of the kernel's does not read as documented.
    #[error("{} holds {content:?}, which is not {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The part of its content that was not understood.
        content: String,
        /// What should be there.
        expected: &'static str,
    },
    /// No control groups are mounted.
    #[error("no cgroup file system is mounted")]
    NotMounted,
    /// A limit was asked for that no hierarchy here can enforce.
    #[error("the {0} cgroup controller is not available, so its limit cannot be enforced")]
    Missing(Controller),
    /// The name cannot be a directory of ours.
    #[error("{0:?} cannot name a cgroup: 1 to 64 letters, digits, hyphens and underscores are allowed")]
    Name(String),
    /// A limit that the kernel would reject or that means nothing.
    #[error("{field}: {reason}")]
    Limit {
        /// The field of [`Limits`].
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A group of this name is there already.
    #[error("cgroup {0} already exists")]
    Exists(String),
    /// A bounded wait ran out.
    #[error("cgroup {name} was not {awaited} within {patience:?}")]
    Timeout {
        /// The group.
        name: String,
        /// The state that did not come.
        awaited: &'static str,
        /// How long it was waited for.
        patience: Duration,
    },
}

impl Error {
    /// The errno, where the kernel refused something.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } => Some(*source),
            _ => None,
        }
    }
}
