//! `clone3`: a child in new namespaces, as a copy of this process.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::process::Pid;

use super::check;

/// Proof that this process has one thread, without which a clone would be a trap.
///
/// A child copied from a threaded process may only make async-signal-safe calls, because another thread may have held
/// the allocator's lock at that moment. A child copied from a process with one thread is an ordinary program.
#[derive(Debug)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// The proof, if the kernel counts one thread. The holder must not start threads from then on.
    ///
    /// # Errors
    /// `EDEADLK` if there are more, and whatever reading `/proc` gives.
    pub(crate) fn prove() -> Result<Self> {
        let tasks = std::fs::read_dir("/proc/self/task")
            .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))?;
        if tasks.count() == 1 { Ok(Self(())) } else { Err(Errno::DEADLK) }
    }
}

/// Which side of the clone this is.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// The caller, with the child's pid and a descriptor that stands for it.
    Parent {
        /// The child.
        pid: Pid,
        /// Its pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// Every namespace that a sandbox has of its own, but the cgroup namespace: that one must be made after the process was
/// put into its cgroup, because it shows the cgroup of that moment as the root.
const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC;

/// Copies this process into new user, mount, PID, network, UTS and IPC namespaces.
///
/// With a cgroup v2 directory, the child is born in that cgroup, which saves the lock that moving it would take.
///
/// # Errors
/// Those of clone3(2); `ENOSPC` or `EUSERS` when a namespace limit is reached, `EAGAIN` when there are too many processes.
pub(crate) fn into_new_namespaces(_: &SingleThreaded, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: `clone_args` is a plain struct of integers, for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from((NAMESPACES | libc::CLONE_PIDFD).cast_unsigned());
    args.pidfd = std::ptr::from_mut(&mut pidfd).expose_provenance() as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: `args` is initialised, has the size given and outlives the call; `pidfd` in it points to a live integer.
    // Neither CLONE_VM nor CLONE_SETTLS nor a stack is set, so the child goes on in its own copy of this memory. The
    // process has one thread (the proof is an argument), so no lock is held by a thread that the copy lacks.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    let pid = check(result)?;
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(Cloned::Child);
    };
    // SAFETY: the kernel succeeded with CLONE_PIDFD set, so `pidfd` is an open descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid, pidfd })
}

/// Flag of clone3(2) since Linux 5.7; beyond the 32 bits of `libc`'s other clone flags.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Leaves for a cgroup namespace whose root is the cgroup that this process is in now.
///
/// # Errors
/// Those of unshare(2).
pub(crate) fn unshare_cgroup_namespace() -> Result<()> {
    // SAFETY: the flag concerns namespaces only; no descriptor table or address space that Rust relies on is unshared.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWCGROUP) }).map(drop)
}

/// Leaves for a mount namespace that starts as a copy of the caller's.
///
/// # Errors
/// Those of unshare(2).
pub(crate) fn unshare_mount_namespace() -> Result<()> {
    // SAFETY: as above; CLONE_NEWNS implies CLONE_FS, which gives this thread its own root and working directory, and
    // the callers have one thread.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNS) }).map(drop)
}

/// Leaves for a network namespace that is new and empty.
///
/// # Errors
/// Those of unshare(2).
pub(crate) fn unshare_network_namespace() -> Result<()> {
    // SAFETY: the flag concerns namespaces only; open sockets stay what they are.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNET) }).map(drop)
}
