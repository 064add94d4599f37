//! Starting a planned program: pipes or a terminal, the fork, and the report whether it became its program.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use lazaret_protocol::{ErrorKind, Failure, Stderr};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid};

use super::input::Input;
use super::output::{Output, Stream};
use super::plan::Plan;
use super::terminal;
use crate::processes::Process;
use crate::serve::Guest;
use crate::sys::child::{Program, REPORT_BYTES, Step};

/// A running program and the guest's ends of its standard descriptors.
pub(crate) struct Launched {
    /// The main process.
    pub(crate) process: Arc<Process>,
    /// Standard input.
    pub(crate) input: Input,
    /// Standard output and error, or the terminal alone.
    pub(crate) outputs: Vec<Output>,
}

/// The guest's ends, and the program's.
struct Ends {
    input: Input,
    outputs: Vec<Output>,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// Starts the program, which is in `file` if that is given, and returns when it runs.
///
/// # Errors
/// Why it does not: every kind of the exec family.
pub(crate) fn launch(guest: &Guest, plan: &Plan, file: Option<BorrowedFd<'_>>) -> Result<Launched, Failure> {
    let ends = match &plan.tty {
        Some(tty) => terminal_ends(terminal::open(tty.rows, tty.columns, plan.identity.uid)?),
        None => pipe_ends(guest, plan),
    };
    let Ends { input, outputs, stdin, stdout, stderr } = ends.map_err(no_resources)?;
    let (report, child_report) = pipe_with(PipeFlags::CLOEXEC).map_err(no_resources)?;
    let groups: Vec<Gid> = plan.identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let process = guest.processes.start(&Program {
        file,
        candidates: &plan.candidates,
        argv: &plan.argv,
        env: &plan.env,
        cwd: &plan.cwd,
        groups: &groups,
        gid: Gid::from_raw(plan.identity.gid),
        uid: Uid::from_raw(plan.identity.uid),
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        controlling_terminal: plan.tty.is_some(),
        report: child_report.as_fd(),
    });
    let process = process.map_err(no_resources)?;
    // The program's ends must be the program's alone: only then does reading tell when it has let go of them, and the
    // report ends.
    drop((stdin, stdout, stderr, child_report));
    match read_report(&report) {
        None => Ok(Launched { process, input, outputs }),
        Some((step, errno)) => Err(explain(plan, step, errno)),
    }
}

fn pipe_ends(guest: &Guest, plan: &Plan) -> rustix::io::Result<Ends> {
    let (stdin, input) = if plan.stdin {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        give(&reader, plan)?;
        (reader, Input::pipe(writer)?)
    } else {
        (guest.null.try_clone().map_err(|_| Errno::MFILE)?, Input::none())
    };
    let (out_reader, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    give(&stdout, plan)?;
    let mut outputs = vec![Output::pipe(Stream::Stdout, out_reader)?];
    let stderr = match plan.stderr {
        Some(Stderr::WithStdout) => stdout.try_clone().map_err(|_| Errno::MFILE)?,
        None => {
            let (err_reader, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
            give(&stderr, plan)?;
            outputs.push(Output::pipe(Stream::Stderr, err_reader)?);
            stderr
        }
    };
    Ok(Ends { input, outputs, stdin, stdout, stderr })
}

fn terminal_ends(terminal: terminal::Terminal) -> rustix::io::Result<Ends> {
    let terminal::Terminal { master, slave } = terminal;
    let clone = |fd: &OwnedFd| fd.try_clone().map_err(|_| Errno::MFILE);
    let input = Input::terminal(clone(&master)?);
    let outputs = vec![Output::terminal(master)];
    Ok(Ends { input, outputs, stdin: clone(&slave)?, stdout: clone(&slave)?, stderr: slave })
}

/// Makes the user the owner of a pipe, so that opening `/dev/stdout` works for whoever the program runs as.
fn give(pipe: &OwnedFd, plan: &Plan) -> rustix::io::Result<()> {
    let (uid, gid) = (plan.identity.uid, plan.identity.gid);
    if uid == 0 {
        return Ok(());
    }
    rustix::fs::fchown(pipe, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// Waits for the child to become its program; `None` when it did.
fn read_report(report: &OwnedFd) -> Option<(Step, Errno)> {
    let mut bytes = [0; REPORT_BYTES];
    loop {
        match rustix::io::read(report, &mut bytes) {
            Ok(REPORT_BYTES) => return Some(Step::read(bytes)),
            Err(Errno::INTR) => {}
            // The child is its program now, or was killed before; then its end tells.
            _ => return None,
        }
    }
}

/// No process, pipe or memory: a limit of the sandbox.
fn no_resources(errno: Errno) -> Failure {
    let (kind, sentence) = match errno {
        Errno::AGAIN => (ErrorKind::TooManyProcesses, "the sandbox is at its limit of processes"),
        Errno::NOMEM => (ErrorKind::OutOfMemory, "the sandbox is out of memory"),
        Errno::MFILE | Errno::NFILE => (ErrorKind::OutOfMemory, "the guest is out of descriptors"),
        // From `fchown` of a pipe: the id is not one of the sandbox's.
        Errno::INVAL | Errno::OVERFLOW => (ErrorKind::UnknownUser, "the user's id is outside the sandbox"),
        _ => (ErrorKind::Other, "the program could not be started"),
    };
    Failure::new(kind, sentence).with_errno(errno.raw_os_error())
}

/// What the child's report means to the caller.
fn explain(plan: &Plan, step: Step, errno: Errno) -> Failure {
    let program = plan.argv.strings().first().map(|name| name.to_bytes()).unwrap_or_default();
    let failure = match (step, errno) {
        (Step::Cwd, _) => {
            let failure = Failure::new(ErrorKind::BadCwd, "the working directory cannot be entered");
            failure.with_path(plan.cwd.to_bytes())
        }
        (Step::Identity, _) => Failure::new(ErrorKind::UnknownUser, "the user's id is outside the sandbox"),
        (Step::Setup, _) => Failure::new(ErrorKind::Other, "the program's descriptors could not be set up"),
        (Step::Interpreter, _) => {
            Failure::new(ErrorKind::InterpreterNotFound, "the program's interpreter or loader does not exist")
                .with_path(program)
        }
        (Step::Exec, Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => {
            Failure::new(ErrorKind::CommandNotFound, "no such program").with_path(program)
        }
        (Step::Exec, Errno::TOOBIG) => {
            Failure::new(ErrorKind::BadArguments, "arguments and environment are too long")
        }
        (Step::Exec, Errno::NOMEM) => Failure::new(ErrorKind::OutOfMemory, "the sandbox is out of memory"),
        (Step::Exec, Errno::AGAIN) => {
            Failure::new(ErrorKind::TooManyProcesses, "the user is at its limit of processes")
        }
        (Step::Exec, _) => {
            Failure::new(ErrorKind::NotExecutable, "the program cannot be executed").with_path(program)
        }
    };
    failure.with_errno(errno.raw_os_error())
}
