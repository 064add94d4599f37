//! Who has died, and reaping them. rustix has `waitid`, but does not tell whose status it is.

use std::mem::MaybeUninit;

use lazaret_protocol::ExitStatus;
use rustix::process::Pid;

/// A child that has ended and is still a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dead {
    /// Its number, which nobody else can have until it is reaped.
    pub(crate) pid: Pid,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Any child that has ended, without reaping it; `None` when there is none.
pub(crate) fn find_dead() -> Option<Dead> {
    let mut details = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `details` is valid for writing one `siginfo_t`; the kernel writes nothing else.
    let code = unsafe { libc::waitid(libc::P_ALL, 0, details.as_mut_ptr(), options) };
    if code != 0 {
        return None;
    }
    // SAFETY: zeroed memory is a valid `siginfo_t`, all integers, whether or not the kernel has written it.
    let details = unsafe { details.assume_init() };
    // SAFETY: after `waitid` the fields of SIGCHLD are the ones in use, or all are zero.
    let pid = unsafe { details.si_pid() };
    // SAFETY: as above.
    let status = unsafe { details.si_status() };
    let pid = super::pid(pid)?;
    let status = u8::try_from(status).unwrap_or(u8::MAX);
    let status = if details.si_code == libc::CLD_EXITED {
        ExitStatus::Code(status)
    } else {
        ExitStatus::Signal(status)
    };
    Some(Dead { pid, status })
}

/// Reaps a child that [`find_dead`] has found; its number is free afterwards.
pub(crate) fn reap(dead: Dead) {
    let mut details = MaybeUninit::<libc::siginfo_t>::zeroed();
    let pid = dead.pid.as_raw_nonzero().get().unsigned_abs();
    // SAFETY: `details` is valid for writing one `siginfo_t`. The only error is ECHILD, and then it is reaped.
    unsafe { libc::waitid(libc::P_PID, pid, details.as_mut_ptr(), libc::WEXITED | libc::WNOHANG) };
}
