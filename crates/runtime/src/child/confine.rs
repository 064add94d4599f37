//! The last bounds before the guest: resource limits, capabilities, no_new_privs and the system call filter.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::set_no_new_privs;

use crate::capabilities;
use crate::error::{At, SetupError, Step};
use crate::seccomp::Filter;

const STEP: Step = Step::Confine;

/// Open files of one process: what databases and language servers ask for.
const OPEN_FILES: u64 = 65_536;

/// Bytes of a core dump. One, not none: with a limit of one the kernel also refuses to pipe the dump into the host's
/// `core_pattern` program, which would run as the host's root on a tenant's word (core(5)).
const CORE_BYTES: u64 = 1;

/// Bytes that a process may lock in memory, the kernel's own default: a few buffers of a cryptographic library.
const LOCKED_BYTES: u64 = 8 * 1024 * 1024;

/// Confines the calling process and everything that comes from it; there is no way back.
pub(super) fn apply(filter: &Filter) -> Result<(), SetupError> {
    for (resource, name, wanted) in [
        (Resource::Nofile, "open files", OPEN_FILES),
        (Resource::Core, "core dumps", CORE_BYTES),
        (Resource::Memlock, "locked memory", LOCKED_BYTES),
    ] {
        // The host's own limit may be lower already, and only a capability of the host raises it.
        let bound = getrlimit(resource).maximum.map_or(wanted, |highest| highest.min(wanted));
        setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) }).at(
            STEP,
            "setrlimit",
            name,
        )?;
    }
    capabilities::reduce().at(STEP, "drop", "capabilities")?;
    set_no_new_privs(true).at(STEP, "prctl", "no_new_privs")?;
    filter.apply().at(STEP, "seccomp", "the filter")
}
