//! One external program as a step of a chore: announced, bounded in time, killed whole, loud when it fails.
//!
//! A step stays in our process group, so that Ctrl-C in a terminal ends it with us. One that runs out of time is killed
//! with its descendants, which are looked up then.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lazaret_tests::wait::timed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Runs `command` with its output going to ours, and fails unless it succeeds within `limit`.
///
/// It gets an empty standard input. A time-out ends its children too.
///
/// # Errors
/// If it cannot be started, takes longer than `limit`, or ends with anything but exit code 0.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let what = describe(command);
    eprintln!("+ {what}");
    command.stdin(Stdio::null());
    let child = command.spawn().with_context(|| format!("start {what}"))?;
    let status = wait(child, limit).with_context(|| format!("run {what}"))?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}

/// Runs `command` silently and gives the time from its start to its end.
///
/// # Errors
/// As [`run`]; the message ends with what the program wrote to its standard error.
pub(crate) fn measure(command: &mut Command, limit: Duration) -> Result<Duration> {
    let what = describe(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (ended, took) = timed(|| {
        let mut child = command.spawn().with_context(|| format!("start {what}"))?;
        let stderr = child.stderr.take();
        wait(child, limit).with_context(|| format!("run {what}")).map(|status| (status, stderr))
    });
    let (status, stderr) = ended?;
    if !status.success() {
        let mut said = String::new();
        if let Some(mut stderr) = stderr {
            stderr.read_to_string(&mut said).with_context(|| format!("read what {what} said"))?;
        }
        bail!("{what}: {status}: {}", said.trim());
    }
    Ok(took)
}

/// True if `program` with `arguments` can be started and succeeds; its output is thrown away.
pub(crate) fn probe(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What `program` with `arguments` writes to its standard output.
///
/// # Errors
/// If it cannot be started or does not succeed; the message ends with what it wrote to its standard error.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("start {}", describe(&command)))?;
    if !output.status.success() {
        bail!(
            "{}: {}: {}",
            describe(&command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} writes what is not UTF-8", describe(&command)))
}

/// The command line as a person would type it, without quoting.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}

fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id out of range")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("open a pidfd")?;
    let limit_of_poll = Timespec::try_from(limit).context("a time limit out of range")?;
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit_of_poll)).context("wait for a program")?
        == 0
    {
        for pid in with_descendants(pid) {
            // One that ended meanwhile needs no killing.
            let _ = kill_process(pid, Signal::KILL);
        }
        child.wait().context("reap what was killed")?;
        bail!("not finished after {} s", limit.as_secs());
    }
    Ok(child.wait()?)
}

/// The process and what it has started, parents first. What has left its parent is not found; no step daemonises.
fn with_descendants(pid: Pid) -> Vec<Pid> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let path = format!("/proc/{pid}/task/{pid}/children", pid = pid.as_raw_nonzero());
        let children = fs::read_to_string(path).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use lazaret_tests::wait::until;

    use super::*;

    #[test]
    fn a_step_that_fails_is_reported_with_its_command_line_and_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"]), Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3: exit status: 3");
    }

    #[test]
    fn a_step_that_takes_too_long_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ && sleep 1000 & sleep 1000"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pid = String::new();
        // The subshell of the background job prints the pid of the shell that waits for it.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let children = with_descendants(Pid::from_raw(pid.trim().parse().unwrap()).unwrap());
        assert!(children.len() >= 2, "{children:?}");
        let error = wait(child, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.to_string(), "not finished after 0 s");
        for child in &children[1..] {
            let gone = || {
                fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()))
                    .map_or(true, |stat| stat.contains(") Z "))
            };
            until("a child to be gone", Duration::from_secs(10), || gone().then_some(()));
        }
    }
}
