//! The one system call of the benchmark that no safe wrapper offers.

use std::io;

use rustix::process::Pid;

/// Forks into new user, mount, PID, network, UTS, IPC and cgroup namespaces; `None` in the child.
pub(crate) fn clone_with_all_namespaces() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWCGROUP;
    let arguments = libc::clone_args {
        flags: u64::from(flags.unsigned_abs()),
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: `arguments` is initialised, outlives the call and is passed with its own size. No flag shares memory with
    // the child, which gets a copy of this stack as with fork. The program has one thread, so no lock is held by
    // another one and the child may allocate.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    match i32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}
