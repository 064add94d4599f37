//! Signal masks, dispositions and sending.

use std::mem::MaybeUninit;
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

/// Number of the highest signal.
const LAST: i32 = 64;

/// Returns every disposition to the default, except those the guest itself needs, and blocks SIGCHLD, which
/// [`wait_for_child`] then receives.
///
/// A disposition of "ignore" survives `execve`: were SIGCHLD ignored by whoever started us, children would vanish
/// before they could be reaped. SIGPIPE stays ignored, because a program that closes its input must not end PID 1;
/// SIGSEGV and SIGBUS keep the handlers with which Rust tells of a stack overflow.
pub(crate) fn prepare() -> rustix::io::Result<()> {
    let kept = [libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE, libc::SIGSEGV, libc::SIGBUS];
    for signal in (1..=LAST).filter(|signal| !kept.contains(signal)) {
        set_default(signal)?;
    }
    let set = child_only();
    // SAFETY: `set` is initialised, and a null pointer for the old mask is allowed.
    let code = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
    if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code)) }
}

/// The default disposition, of any signal: libc's wrapper refuses the two that it reserves for itself.
fn set_default(signal: i32) -> rustix::io::Result<()> {
    // The kernel's `sigaction`: handler, flags, restorer and mask, of which zero is the default everywhere.
    let action = [0_u64; 4];
    let mask_bytes = size_of::<u64>();
    // SAFETY: `action` is at least as long as the kernel's structure, and names no handler that could be called wrongly;
    // a null pointer for the old disposition is allowed.
    let code = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null_mut::<u64>(), mask_bytes)
    };
    if code == 0 { Ok(()) } else { Err(last_error()) }
}

/// Returns when at least one child may have changed its state. Spurious returns happen.
pub(crate) fn wait_for_child() {
    let set = child_only();
    // SAFETY: `set` is initialised, and a null pointer for the details is allowed. A failure (EINTR) is a spurious
    // return.
    let _signal = unsafe { libc::sigwaitinfo(&set, ptr::null_mut()) };
}

/// Sends `signal` to all processes of the group of `leader`.
///
/// The caller answers for `leader` not having been reaped; only then does the number still mean that group.
pub(crate) fn kill_group(leader: Pid, signal: i32) -> rustix::io::Result<()> {
    // SAFETY: `kill` takes integers only. The pid is positive, so its negation names one group, never "all".
    let code = unsafe { libc::kill(-leader.as_raw_nonzero().get(), signal) };
    if code == 0 { Ok(()) } else { Err(last_error()) }
}

/// For the child between fork and exec: no blocked signal, SIGPIPE back to its default.
pub(crate) fn reset_in_child() -> rustix::io::Result<()> {
    let set = empty();
    // SAFETY: `set` is initialised, and a null pointer for the old mask is allowed; async-signal-safe.
    if unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut()) } != 0 {
        return Err(last_error());
    }
    // SAFETY: installs no handler; async-signal-safe.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) } == libc::SIG_ERR {
        return Err(last_error());
    }
    Ok(())
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is valid for writing a whole `sigset_t`.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: `sigemptyset` has just written all of it; it cannot fail on a valid pointer.
    unsafe { set.assume_init() }
}

fn child_only() -> libc::sigset_t {
    let mut set = empty();
    // SAFETY: `set` is initialised and SIGCHLD is a valid signal.
    unsafe { libc::sigaddset(&mut set, libc::SIGCHLD) };
    set
}

/// The error of the libc call that has just failed on this thread.
pub(super) fn last_error() -> Errno {
    // `last_os_error` of the standard library reads `errno` and allocates nothing.
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
