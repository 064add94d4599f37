//! From a thread of the guest to a program of the tenant: fork, credentials, exec.
//!
//! ```text
//!   guest ── clone ──▶ child: signals ▸ session ▸ terminal ▸ stdio ▸ close all else ▸ groups ▸ gid ▸ uid ▸ cwd ▸ exec
//!     ▲                                                                                                      │
//!     └──────── report pipe: closed by exec = success, or the step and errno ◀───────────────────────────────┘
//! ```
//!
//! The child is a copy of a process with many threads, of which it has only one: any lock may be held by a thread that
//! does not exist in it. So it allocates nothing, takes no lock and makes system calls only; all memory it reads was
//! prepared before. Plain `clone` and not `vfork`, because a child that shares PID 1's memory while it already runs as
//! the tenant's user is a way into PID 1.

use std::ffi::{CStr, CString, c_char, c_long};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Gid, Pid, Uid};

use super::signals;

/// Exit code of a child that could not become its program. Nobody sees it: the report says more.
const EXIT_NOT_STARTED: i32 = 127;

/// Where the child keeps the report pipe until exec closes it.
const REPORT_FD: i32 = 3;

/// Where the child keeps the program that is a descriptor until exec closes it.
const FILE_FD: i32 = 4;

/// What the child becomes. Everything is allocated before the fork.
pub(crate) struct Program<'a> {
    /// The program itself, instead of a path; close-on-exec.
    pub(crate) file: Option<BorrowedFd<'a>>,
    /// Paths to try in turn.
    pub(crate) candidates: &'a [CString],
    /// Arguments, program name first.
    pub(crate) argv: &'a CStringArray,
    /// Environment.
    pub(crate) env: &'a CStringArray,
    /// Working directory, entered as the user.
    pub(crate) cwd: &'a CStr,
    /// Supplementary groups.
    pub(crate) groups: &'a [Gid],
    /// Group.
    pub(crate) gid: Gid,
    /// User.
    pub(crate) uid: Uid,
    /// Standard input, output and error; all numbers are above [`REPORT_FD`].
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Standard input is a terminal that becomes the session's own.
    pub(crate) controlling_terminal: bool,
    /// Where failure is reported; close-on-exec.
    pub(crate) report: BorrowedFd<'a>,
}

/// Strings with the array of pointers to them that `execve` wants.
pub(crate) struct CStringArray {
    /// Ends with a null pointer. Points into `strings`, whose buffers never move while this lives.
    pointers: Vec<*const c_char>,
    strings: Vec<CString>,
}

impl CStringArray {
    /// Takes the strings.
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, strings }
    }

    /// The strings.
    pub(crate) fn strings(&self) -> &[CString] {
        &self.strings
    }
}

/// The step at which a child gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Signals, session or terminal.
    Setup = 1,
    /// Groups, group or user.
    Identity = 2,
    /// Working directory.
    Cwd = 3,
    /// `execve`, of a file that is not there.
    Exec = 4,
    /// `execve`, of a file that is there, so that something it names is not.
    Interpreter = 5,
}

/// Bytes of a report: the step and the errno.
pub(crate) const REPORT_BYTES: usize = 5;

impl Step {
    /// What a child has written into the report pipe.
    pub(crate) fn read(report: [u8; REPORT_BYTES]) -> (Self, Errno) {
        let [step, a, b, c, d] = report;
        let step = match step {
            2 => Self::Identity,
            3 => Self::Cwd,
            4 => Self::Exec,
            5 => Self::Interpreter,
            _ => Self::Setup,
        };
        (step, Errno::from_raw_os_error(i32::from_le_bytes([a, b, c, d])))
    }

    fn write(self, errno: Errno) -> [u8; REPORT_BYTES] {
        let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
        [self as u8, a, b, c, d]
    }
}

/// Forks a child that becomes `program`. Whether it did is told by the report pipe.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`.
pub(crate) fn start(program: &Program<'_>) -> rustix::io::Result<Pid> {
    let flags = c_long::from(libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has its own copy of the memory, and with a null stack it goes on with that copy
    // of ours; the other pointers are null because no flag asks for them. It makes only async-signal-safe calls and
    // ends in `execve` or `_exit`, so no destructor runs twice. `clone` and not `clone3`, which common seccomp
    // filters refuse.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    if pid == 0 {
        become_or_die(program);
    }
    super::pid(pid).ok_or_else(signals::last_error)
}

/// The whole life of the child.
fn become_or_die(program: &Program<'_>) -> ! {
    // SAFETY: both numbers are integers, and the target is at most the listening socket, which this process, a copy,
    // does not need.
    let moved = unsafe { libc::dup3(program.report.as_raw_fd(), REPORT_FD, libc::O_CLOEXEC) };
    if moved == REPORT_FD {
        let Err((step, errno)) = become_program(program);
        // SAFETY: the number is open since `dup3`, `close_range` spares it, and there is no other thread to close it.
        let report = unsafe { BorrowedFd::borrow_raw(REPORT_FD) };
        let _ = rustix::io::write(report, &step.write(errno));
    }
    // SAFETY: takes an integer and does not return; no destructor or exit handler of the copied process runs.
    unsafe { libc::_exit(EXIT_NOT_STARTED) }
}

fn become_program(program: &Program<'_>) -> Result<Never, (Step, Errno)> {
    set_up(program).map_err(|errno| (Step::Setup, errno))?;
    take_identity(program).map_err(|errno| (Step::Identity, errno))?;
    // As the user, who may not be allowed in.
    rustix::process::chdir(program.cwd).map_err(|errno| (Step::Cwd, errno))?;
    Err(execute(program))
}

/// Session, terminal and descriptors.
fn set_up(program: &Program<'_>) -> rustix::io::Result<()> {
    signals::reset_in_child()?;
    // A session of its own, so that the guest can signal the whole group and no terminal is shared by accident.
    rustix::process::setsid()?;
    let [stdin, stdout, stderr] = program.stdio;
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)?;
    if program.controlling_terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    if let Some(file) = program.file.filter(|file| file.as_raw_fd() != FILE_FD) {
        // SAFETY: both numbers are integers, and a descriptor of the guest's that was at the target is not used by this
        // process, a copy.
        let moved = unsafe { libc::dup3(file.as_raw_fd(), FILE_FD, libc::O_CLOEXEC) };
        if moved != FILE_FD {
            return Err(signals::last_error());
        }
    }
    let first_unused = if program.file.is_some() { FILE_FD + 1 } else { FILE_FD };
    // Everything is close-on-exec; closing at once also keeps a slow exec from holding pipes of other execs open.
    // SAFETY: takes integers only. This process is a copy with one thread, whose values that own descriptors are never
    // used or dropped.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first_unused, u32::MAX, 0) };
    if closed == 0 { Ok(()) } else { Err(signals::last_error()) }
}

/// The order is the kernel's: groups and group need a privilege that goes with the user.
fn take_identity(program: &Program<'_>) -> rustix::io::Result<()> {
    let &Program { groups, gid, uid, .. } = program;
    rustix::thread::set_thread_groups(groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    // Also empties the capability sets, unless the user is root, whose sets the host has bounded.
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Tries every candidate. Returns only on failure, with the reason that helps most.
fn execute(program: &Program<'_>) -> (Step, Errno) {
    if program.file.is_some() {
        return (Step::Exec, execute_file(program));
    }
    let mut best = (Step::Exec, Errno::NOENT);
    for candidate in program.candidates {
        let argv = program.argv.pointers.as_ptr();
        let env = program.env.pointers.as_ptr();
        // SAFETY: the path is a C string, both arrays hold pointers to live C strings and end with null.
        unsafe { libc::execve(candidate.as_ptr(), argv, env) };
        let errno = signals::last_error();
        match errno {
            // A file that is there and still "not found" names an interpreter or a loader that is not.
            Errno::NOENT if rustix::fs::stat(candidate.as_c_str()).is_ok() => {
                return (Step::Interpreter, errno);
            }
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => {}
            // As a shell does: a later directory may have one that may be executed.
            Errno::ACCESS => best = (Step::Exec, errno),
            _ => return (Step::Exec, errno),
        }
    }
    best
}

/// Becomes the program that is a descriptor. Returns only on failure.
fn execute_file(program: &Program<'_>) -> Errno {
    // SAFETY: the empty path with AT_EMPTY_PATH means the descriptor, which [`set_up`] has put there; both arrays hold
    // pointers to live C strings and end with null.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            FILE_FD,
            c"".as_ptr(),
            program.argv.pointers.as_ptr(),
            program.env.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    signals::last_error()
}

/// No value: `execve` does not return on success.
enum Never {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_pipe() {
        for step in [Step::Setup, Step::Identity, Step::Cwd, Step::Exec, Step::Interpreter] {
            assert_eq!(Step::read(step.write(Errno::ACCESS)), (step, Errno::ACCESS));
        }
    }

    #[test]
    fn a_string_array_ends_with_null() {
        let array = CStringArray::new(vec![c"a".to_owned(), c"b".to_owned()]);
        assert_eq!(array.strings().len(), 2);
        assert_eq!(array.pointers.len(), 3);
        assert!(array.pointers[2].is_null());
    }
}
