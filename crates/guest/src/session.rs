//! Killing a whole session: the process groups that a shell with job control made for its children.
//!
//! No system call names a session, so its members are looked up in `/proc`, through the descriptor that the guest
//! opened before any tenant could cover the path.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::sys;

/// How often `/proc` is read again because members were found. A member may fork between being seen and being killed;
/// one that forks faster than this is for the limit on processes.
const ROUNDS: usize = 3;

/// Longest `/proc/<pid>/stat` line that is read, in bytes. The kernel's are some 300.
const STAT_MAX: u64 = 4096;

/// Kills every process of the session that `leader` leads, but `leader`.
///
/// The caller answers for `leader` not having been reaped.
pub(crate) fn kill(proc: impl AsFd, leader: Pid) {
    for _ in 0..ROUNDS {
        if kill_once(proc.as_fd(), leader) == 0 {
            return;
        }
    }
}

fn kill_once(proc: BorrowedFd<'_>, leader: Pid) -> usize {
    let Ok(processes) = Dir::read_from(proc) else { return 0 };
    let mut killed = 0;
    for entry in processes.flatten() {
        let name = entry.file_name().to_str().ok();
        let pid = name.and_then(|name| name.parse::<i32>().ok()).and_then(sys::pid);
        let Some(pid) = pid.filter(|pid| *pid != leader) else { continue };
        // The descriptor first: what is then read of this number is about the process that the descriptor means, or
        // about nobody.
        let Ok(identity) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let is_member = session_of(proc, pid) == Some(leader);
        if is_member && pidfd_send_signal(&identity, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

/// The session of a living process, by its `/proc/<pid>/stat`.
fn session_of(proc: BorrowedFd<'_>, pid: Pid) -> Option<Pid> {
    let path = format!("{}/stat", pid.as_raw_nonzero());
    let file = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut line = Vec::new();
    std::fs::File::from(file).take(STAT_MAX).read_to_end(&mut line).ok()?;
    parse_session(&line)
}

/// Field 6 of a stat line, unless field 3 says that the process is a zombie. See proc_pid_stat(5).
fn parse_session(line: &[u8]) -> Option<Pid> {
    // Field 2, the program's name in brackets, may hold anything, brackets and blanks included: begin after the last.
    let end_of_name = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end_of_name + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let session = fields.nth(2)?;
    if state == "Z" || state == "X" {
        return None;
    }
    session.parse::<i32>().ok().and_then(sys::pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_behind_any_program_name() {
        for (line, want) in [
            ("12 (sh) S 1 12 7 0 -1", Some(7)),
            ("12 (a) b) (c) R 1 12 9 0 -1", Some(9)),
            ("12 (sh) Z 1 12 7 0 -1", None),
            ("12 (sh", None),
            ("12 (sh) S 1", None),
            ("12 (sh) S 1 12 0 0", None),
            ("12 (sh) S 1 12 -1 0", None),
            ("", None),
        ] {
            assert_eq!(parse_session(line.as_bytes()), want.and_then(Pid::from_raw), "{line}");
        }
    }
}
