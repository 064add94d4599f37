//! What a process inherits besides descriptors: signal dispositions, keyrings, groups.

use rustix::io::Result;

use super::check;

/// Gives every signal its default action and unblocks all of them. Ignored signals would otherwise stay ignored in
/// every program that the sandbox ever runs.
///
/// # Errors
/// Those of sigprocmask(2).
pub(crate) fn reset_signals() -> Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is not a handler, so no code of ours can run on a signal. The numbers that the C library
        // keeps for itself, SIGKILL and SIGSTOP are refused with an error, which is why the result is not looked at.
        let _: libc::sighandler_t = unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `sigset_t` is an array of integers, for which all zeroes is valid: the empty set on Linux.
    let empty: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `empty` is initialised and outlives the call; a null pointer says that the old mask is not wanted.
    let result = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut()) };
    check(result.into()).map(drop)
}

/// Ignores the signals that end a service or come from a terminal.
///
/// # Errors
/// Those of signal(2).
pub(crate) fn ignore_endings() -> Result<()> {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().try_for_each(ignore)
}

/// Lets the kernel reap children by itself, so that a dead sandbox is never a zombie.
///
/// # Errors
/// Those of signal(2).
pub(crate) fn reap_automatically() -> Result<()> {
    ignore(libc::SIGCHLD)
}

fn ignore(signal: libc::c_int) -> Result<()> {
    // SAFETY: SIG_IGN is not a handler, so no code of ours can run on a signal.
    let previous = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if previous == libc::SIG_ERR { Err(rustix::io::Errno::INVAL) } else { Ok(()) }
}

/// Enters a new, empty session keyring: the one of the host's session would be usable by possession.
///
/// # Errors
/// Those of keyctl(2), but not `ENOSYS`: a kernel without keyrings has none to leave.
pub(crate) fn join_empty_keyring() -> Result<()> {
    // SAFETY: a null name asks for an anonymous keyring; the call reads no memory then.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(KEYCTL_JOIN_SESSION_KEYRING),
            std::ptr::null::<u8>(),
        )
    };
    match check(result) {
        Err(rustix::io::Errno::NOSYS) => Ok(()),
        other => other.map(drop),
    }
}

/// `KEYCTL_JOIN_SESSION_KEYRING` of linux/keyctl.h.
const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
