//! The capabilities that a sandbox keeps, and the step that takes the others away for good.
//!
//! Every capability here counts inside the sandbox's own user namespace only: it acts on files, processes and
//! ids that the sandbox's id range owns, never on the host's. The list is short all the same, because a kernel
//! bug is most often reached through a capability that a user namespace hands out. The system call filter
//! (`seccomp`) is the other half; what neither of them holds are mounts and ids, which `sandbox` sets up first.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities,
};

/// One capability that stays, and who inside a sandbox would miss it.
#[derive(Debug)]
pub struct Kept {
    /// The kernel's name for it.
    pub name: &'static str,
    /// Its bit.
    pub capability: CapabilitySet,
    /// What stops working without it.
    pub why: &'static str,
}

/// Everything that root inside a sandbox may hold; what is not listed is gone from the bounding set.
///
/// Left out although other runtimes keep them: `CAP_MKNOD` and `CAP_AUDIT_WRITE` mean nothing outside the first
/// user namespace; `CAP_NET_RAW` opens packet sockets, and ping works without it; `CAP_DAC_READ_SEARCH` opens
/// files by handle; `CAP_SYS_PTRACE` is needed only to trace processes of other users.
pub const KEPT: &[Kept] = &[
    Kept {
        name: "CAP_CHOWN",
        capability: CapabilitySet::CHOWN,
        why: "package managers and tar give files away",
    },
    Kept {
        name: "CAP_DAC_OVERRIDE",
        capability: CapabilitySet::DAC_OVERRIDE,
        why: "root expects to read and write every file in its own tree",
    },
    Kept {
        name: "CAP_FOWNER",
        capability: CapabilitySet::FOWNER,
        why: "chmod, utimes and xattrs on files that root does not own; dpkg does all three",
    },
    Kept {
        name: "CAP_FSETID",
        capability: CapabilitySet::FSETID,
        why: "set-group-id bits survive a package manager's chmod of another group's file",
    },
    Kept {
        name: "CAP_KILL",
        capability: CapabilitySet::KILL,
        why: "service managers signal other users' processes",
    },
    Kept { name: "CAP_SETGID", capability: CapabilitySet::SETGID, why: "daemons and apt drop to a group" },
    Kept {
        name: "CAP_SETUID",
        capability: CapabilitySet::SETUID,
        why: "daemons, apt and the guest itself drop to a user",
    },
    Kept {
        name: "CAP_SETPCAP",
        capability: CapabilitySet::SETPCAP,
        why: "daemons empty their own bounding set; it can only shrink",
    },
    Kept {
        name: "CAP_NET_BIND_SERVICE",
        capability: CapabilitySet::NET_BIND_SERVICE,
        why: "servers listen on ports below 1024 of their own network namespace",
    },
    Kept {
        name: "CAP_SYS_CHROOT",
        capability: CapabilitySet::SYS_CHROOT,
        why: "sshd, debootstrap and build tools",
    },
    Kept {
        name: "CAP_SETFCAP",
        capability: CapabilitySet::SETFCAP,
        why: "packages set file capabilities, which count in this user namespace only",
    },
];

/// Bits in the kernel's two capability words; the numbers in use end earlier (`cap_last_cap`).
const CAPABILITY_BITS: u32 = u64::BITS;

/// The union of [`KEPT`].
pub const fn kept() -> CapabilitySet {
    union(KEPT)
}

/// The capabilities of all `rows`.
pub(crate) const fn union(rows: &[Kept]) -> CapabilitySet {
    let mut bits = 0;
    let mut index = 0;
    while index < rows.len() {
        bits |= rows[index].capability.bits();
        index += 1;
    }
    CapabilitySet::from_bits_retain(bits)
}

/// Leaves the calling thread with [`KEPT`] as bounding, permitted and effective set, and with empty inheritable
/// and ambient sets, so that no later exec, by whatever user, can gain anything else.
///
/// To be called in a fresh child between the last privileged step of its set-up and the system call filter: it
/// makes only system calls, without allocating or locking. It sets no_new_privs too, without which a file
/// capability could still raise a process from less than the kept set to all of it.
///
/// # Errors
/// `EPERM` when the caller does not hold `CAP_SETPCAP` in its user namespace. The thread must then not go on:
/// some of the sets may be reduced and others not.
pub fn reduce() -> Result<(), Errno> {
    reduce_to(kept())
}

/// As [`reduce`], to another set. What of it the thread does not hold already, it does not gain.
pub(crate) fn reduce_to(kept: CapabilitySet) -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    for bit in 0..CAPABILITY_BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel knows no capability of this number, and numbers have no gaps.
            Err(Errno::INVAL) if bit > CapabilitySet::SETFCAP.bits().trailing_zeros() => break,
            Err(errno) => return Err(errno),
        }
    }
    // Last, because dropping from the bounding set needs a capability that an operator's list may leave out.
    let held = rustix::thread::capabilities(None)?.permitted & kept;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: held, permitted: held, inheritable })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line `<field>:\t<hex>` of the calling thread's status.
    fn status(field: &str) -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    }

    /// Capabilities belong to a thread, so a test may reduce one and throw it away.
    fn reduced<T: Send>(then: impl FnOnce() -> T + Send) -> Option<T> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: reducing capabilities needs root");
            return None;
        }
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    reduce().unwrap();
                    Some(then())
                })
                .join()
                .unwrap()
        })
    }

    #[test]
    fn a_reduced_thread_holds_the_kept_set_and_no_way_to_another() {
        reduced(|| {
            assert_eq!(status("CapBnd"), kept().bits());
            assert_eq!(status("CapPrm"), kept().bits());
            assert_eq!(status("CapEff"), kept().bits());
            assert_eq!(status("CapInh"), 0);
            assert_eq!(status("CapAmb"), 0);
            assert_eq!(status("NoNewPrivs"), 1);
        });
    }

    #[test]
    fn a_program_run_as_root_after_it_gains_nothing_back() {
        reduced(|| {
            let out =
                std::process::Command::new("grep").args(["^Cap", "/proc/self/status"]).output().unwrap();
            let text = String::from_utf8(out.stdout).unwrap();
            let want = format!("{:016x}", kept().bits());
            for (line, value) in
                text.lines().zip(["0000000000000000", &want, &want, &want, "0000000000000000"])
            {
                assert!(line.ends_with(value), "{line} should end with {value}");
            }
            assert_eq!(text.lines().count(), 5, "{text}");
        });
    }

    #[test]
    fn what_a_dropped_capability_guards_is_refused() {
        reduced(|| {
            assert_eq!(rustix::system::sethostname(b"lazaret-must-not"), Err(Errno::PERM));
            assert_eq!(
                rustix::process::chroot("/").map(|()| "chroot is kept"),
                Ok("chroot is kept"),
                "a kept capability must still work"
            );
        });
    }

    #[test]
    fn a_daemon_can_still_give_files_away_and_drop_to_a_user() {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65_534;
        reduced(|| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::os::unix::fs::chown(file.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            let out = std::process::Command::new("id").arg("-u").uid(NOBODY).gid(NOBODY).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), "65534\n");
        });
    }

    #[test]
    fn the_kept_set_is_what_the_decision_names() {
        assert_eq!(kept().bits(), 0x8004_05fb, "update docs/decisions/0005 when this changes");
        for row in KEPT {
            assert_eq!(row.capability.bits().count_ones(), 1, "{} must be one bit", row.name);
            assert!(!row.why.is_empty(), "{} needs a reason", row.name);
        }
    }
}
