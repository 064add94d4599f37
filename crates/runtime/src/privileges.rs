//! What the server and the spawner keep of root's powers, and the step that takes the rest from both for good.
//!
//! The spawner makes the sandboxes and is started again if it dies, so whatever it needs the server has to keep. What neither
//! needs is gone before the first thread, the first request and the first sandbox. A sandbox's own user namespace begins with
//! a full set, which `capabilities` reduces; nothing here changes inside.

use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::capabilities::{Kept, reduce_to, union};

/// Everything that the server and the spawner may do beyond an ordinary user.
///
/// Left out, among others: loading modules, raw I/O, the clock, the kernel log, rebooting, auditing, BPF, raw sockets, other
/// security modules' rules.
pub const KEPT: &[Kept] = &[
    kept("CAP_CHOWN", CapabilitySet::CHOWN, "trees of images are unpacked with their owners"),
    kept("CAP_DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE, "folders of images may forbid even their owner"),
    kept("CAP_DAC_READ_SEARCH", CapabilitySet::DAC_READ_SEARCH, "the `host` image reads all of /usr"),
    kept("CAP_FOWNER", CapabilitySet::FOWNER, "modes and attributes of unpacked files"),
    kept("CAP_FSETID", CapabilitySet::FSETID, "set-group-id bits of unpacked files"),
    kept("CAP_KILL", CapabilitySet::KILL, "ending sandboxes, whose processes have other ids"),
    kept("CAP_SETGID", CapabilitySet::SETGID, "mapping a range of groups; becoming root inside"),
    kept("CAP_SETUID", CapabilitySet::SETUID, "mapping a range of users; becoming root inside"),
    kept("CAP_SETPCAP", CapabilitySet::SETPCAP, "dropping capabilities"),
    kept("CAP_SETFCAP", CapabilitySet::SETFCAP, "file capabilities of images; mapping root (Linux 5.12)"),
    kept("CAP_NET_BIND_SERVICE", CapabilitySet::NET_BIND_SERVICE, "listening below port 1024"),
    kept("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN, "interfaces, addresses and packet filters of sandboxes"),
    kept("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN, "namespaces, mounts, loop devices, control groups"),
    kept("CAP_SYS_CHROOT", CapabilitySet::SYS_CHROOT, "entering mount namespaces"),
    kept("CAP_SYS_PTRACE", CapabilitySet::SYS_PTRACE, "opening the namespaces of sandboxes"),
    kept("CAP_SYS_RESOURCE", CapabilitySet::SYS_RESOURCE, "limits, and scores for when memory runs out"),
    kept("CAP_SYS_NICE", CapabilitySet::SYS_NICE, "moving processes between cgroups of real-time hosts"),
    kept("CAP_MKNOD", CapabilitySet::MKNOD, "device nodes for loop devices where nobody else makes them"),
];

const fn kept(name: &'static str, capability: CapabilitySet, why: &'static str) -> Kept {
    Kept { name, capability, why }
}

/// Leaves the calling thread, and all that it starts, with [`KEPT`] and no_new_privs. To be called before there is a second
/// thread, which would keep everything.
///
/// # Errors
/// `EPERM` where capabilities cannot be dropped; the server must not start then. An ordinary user, who has none, succeeds.
pub fn shed() -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return rustix::thread::set_no_new_privs(true).map(drop);
    }
    reduce_to(union(KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_escapes_use_is_not_kept_and_each_row_has_one_capability_and_a_reason() {
        let all = union(KEPT);
        for gone in [
            CapabilitySet::SYS_MODULE,
            CapabilitySet::SYS_RAWIO,
            CapabilitySet::SYS_TIME,
            CapabilitySet::SYS_BOOT,
            CapabilitySet::SYSLOG,
            CapabilitySet::NET_RAW,
            CapabilitySet::MAC_ADMIN,
            CapabilitySet::BPF,
            CapabilitySet::PERFMON,
            CapabilitySet::AUDIT_CONTROL,
        ] {
            assert!(!all.contains(gone), "{gone:?}");
        }
        for row in KEPT {
            assert_eq!(row.capability.bits().count_ones(), 1, "{}", row.name);
            assert!(!row.why.is_empty(), "{}", row.name);
        }
    }
}
