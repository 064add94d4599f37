//! A process that does nothing but keep a new user namespace alive, for trying out what needs one.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::check;

/// Owns the process: dropping it ends and reaps the process, and with it the namespace if nothing else holds it.
#[derive(Debug)]
pub(crate) struct NamespaceHolder {
    pid: Pid,
    pidfd: OwnedFd,
    /// The process ends when the last copy of this end is closed, so it does not outlive a killed parent.
    _lifeline: OwnedFd,
}

impl NamespaceHolder {
    /// Makes the namespace. Unlike the cloning of a sandbox, this may be called while other threads run.
    ///
    /// # Errors
    /// Those of clone3(2): `EPERM`, `ENOSPC` or `EUSERS` where user namespaces are restricted.
    pub(crate) fn start() -> Result<Self> {
        let (waiting, lifeline) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut pidfd: libc::c_int = -1;
        // SAFETY: `clone_args` is a plain struct of integers, for which all zeroes is a valid value.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = u64::from((libc::CLONE_NEWUSER | libc::CLONE_PIDFD).cast_unsigned());
        args.pidfd = std::ptr::from_mut(&mut pidfd).expose_provenance() as u64;
        args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
        // SAFETY: `args` is initialised, has the size given and outlives the call; `pidfd` in it points to a live
        // integer. CLONE_VM is not set, so the child has its own copy of this memory, in which other threads may have
        // held locks: until it ends it makes system calls only, and neither allocates nor locks.
        let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
        let pid = check(result)?;
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            drop(lifeline);
            // Returns when every copy of the other end is closed; nothing is ever written.
            let _ = rustix::io::retry_on_intr(|| rustix::io::read(&waiting, &mut [0_u8; 1]));
            // SAFETY: `_exit` ends the child without running destructors or handlers copied from the parent.
            unsafe { libc::_exit(0) }
        };
        // SAFETY: the kernel succeeded with CLONE_PIDFD set, so `pidfd` is an open descriptor that nothing else owns.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Ok(Self { pid, pidfd, _lifeline: lifeline })
    }

    /// Maps `count` ids, inside from zero, outside from `first`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETUID` and `CAP_SETGID` over the ids.
    pub(crate) fn map(&self, first: u32, count: u32) -> Result<()> {
        let line = format!("0 {first} {count}");
        for file in ["uid_map", "gid_map"] {
            let map = self.proc_file(file, OFlags::WRONLY)?;
            if rustix::io::write(map, line.as_bytes())? != line.len() {
                return Err(Errno::IO);
            }
        }
        Ok(())
    }

    /// A descriptor of the namespace, which keeps it alive by itself.
    ///
    /// # Errors
    /// Those of open(2).
    pub(crate) fn user_namespace(&self) -> Result<OwnedFd> {
        self.proc_file("ns/user", OFlags::RDONLY)
    }

    /// The process is ours and not yet reaped, so its number cannot be another's.
    fn proc_file(&self, file: &str, flags: OFlags) -> Result<OwnedFd> {
        let path = format!("/proc/{}/{file}", self.pid.as_raw_nonzero());
        rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
    }
}

impl Drop for NamespaceHolder {
    fn drop(&mut self) {
        // Neither can fail for a child of ours that was not reaped, and there is nothing to do about it here.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let wait = || rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        let _ = rustix::io::retry_on_intr(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_and_its_namespace_end_with_the_holder() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: mapping ids needs root");
            return;
        }
        let holder = NamespaceHolder::start().unwrap();
        holder.map(100_000, 1000).unwrap();
        let map = std::fs::read_to_string(format!("/proc/{}/uid_map", holder.pid.as_raw_nonzero())).unwrap();
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"]);
        let namespace = holder.user_namespace().unwrap();
        let own = rustix::fs::stat("/proc/self/ns/user").unwrap();
        assert_ne!(rustix::fs::fstat(&namespace).unwrap().st_ino, own.st_ino);
        let pid = holder.pid;
        drop(holder);
        assert_eq!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
    }
}
