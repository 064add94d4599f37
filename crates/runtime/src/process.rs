//! Which process is meant: a pid with the moment of its start, since pids are used again.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::record::Run;

/// The kernel's name for this boot of the machine.
pub(crate) fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// The start of a process in clock ticks since boot; `None` if there is no such process.
pub(crate) fn start_ticks(pid: Pid) -> std::io::Result<Option<u64>> {
    let stat = match std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(parse_start_ticks(&stat))
}

/// Field 22 of proc_pid_stat(5). The name, field 2, may hold spaces and parentheses, so fields are counted from the
/// last closing one.
fn parse_start_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(after_name + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A descriptor for the process of a recorded run, if that very process lives. One that is dead and that nobody has
/// reaped yet does not.
///
/// # Errors
/// Those of pidfd_open(2) and of reading `/proc`, but not that the process is gone.
pub(crate) fn find(run: &Run, boot_id: &str) -> std::io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(run.pid).filter(|_| run.boot_id == boot_id) else { return Ok(None) };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    // Looked at after the descriptor was opened: if the start is the recorded one now, the descriptor is for it.
    let same = start_ticks(pid)? == Some(run.start_ticks);
    Ok((same && !is_dead(&pidfd, Duration::ZERO)?).then_some(pidfd))
}

/// Whether a process is dead, or dies within `patience`.
///
/// # Errors
/// Those of poll(2).
pub(crate) fn is_dead(pidfd: &OwnedFd, patience: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
    let mut wanted = [PollFd::new(pidfd, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut wanted, Some(&timeout)))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id_range::{IdRanges, IdSpace};

    #[test]
    fn the_start_is_read_past_a_name_that_looks_like_fields() {
        let stat = b"12 (a) R 1 (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20\n";
        assert_eq!(parse_start_ticks(stat), Some(777));
        assert_eq!(parse_start_ticks(b"12 (a"), None);
    }

    #[test]
    fn a_pid_of_another_start_or_another_boot_is_not_found() {
        let boot_id = boot_id().unwrap();
        let pid = rustix::process::getpid();
        let run = Run {
            boot_id: boot_id.clone(),
            pid: pid.as_raw_nonzero().get(),
            start_ticks: start_ticks(pid).unwrap().unwrap(),
            id_range: IdRanges::new(IdSpace::default()).take().unwrap(),
            network: None,
            loop_device: None,
            volumes: Vec::new(),
        };
        assert!(find(&run, &boot_id).unwrap().is_some());
        assert!(find(&run, "another boot").unwrap().is_none());
        assert!(find(&Run { start_ticks: run.start_ticks + 1, ..run }, &boot_id).unwrap().is_none());
    }

    #[test]
    fn a_process_that_is_dead_and_not_reaped_is_not_found() {
        let boot_id = boot_id().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert!(is_dead(&pidfd, Duration::from_secs(10)).unwrap());
        let run = Run {
            boot_id: boot_id.clone(),
            pid: pid.as_raw_nonzero().get(),
            start_ticks: start_ticks(pid).unwrap().expect("a zombie still has its numbers"),
            id_range: IdRanges::new(IdSpace::default()).take().unwrap(),
            network: None,
            loop_device: None,
            volumes: Vec::new(),
        };
        assert!(find(&run, &boot_id).unwrap().is_none());
        child.wait().unwrap();
    }
}
