//! One external program as a step of a chore: announced, bounded in time, killed whole, loud when it fails.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long the reader threads and the kernel may take to hand over a program that was just killed.
const REAP_LIMIT: Duration = Duration::from_secs(10);

/// Runs `command` with its output going to ours, and fails unless it succeeds within `limit`.
///
/// It gets an empty standard input and a process group of its own, so that a time-out ends its children too.
///
/// # Errors
/// If it cannot be started, takes longer than `limit`, or ends with anything but exit code 0.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let what = describe(command);
    eprintln!("+ {what}");
    command.stdin(Stdio::null()).process_group(0);
    let child = command.spawn().with_context(|| format!("start {what}"))?;
    let status = wait(child, limit).with_context(|| format!("run {what}"))?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}

/// True if `program` with `arguments` can be started and succeeds; its output is thrown away.
pub(crate) fn probe(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The command line as a person would type it, without quoting.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}

fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus> {
    let group =
        i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id out of range")?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(child.wait()));
    match receiver.recv_timeout(limit) {
        Ok(status) => Ok(status?),
        Err(_) => {
            kill_process_group(group, Signal::KILL).context("kill what ran out of time")?;
            receiver.recv_timeout(REAP_LIMIT).context("wait for what was killed")??;
            bail!("not finished after {} s", limit.as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_is_reported_with_its_command_line_and_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"]), Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3: exit status: 3");
    }

    #[test]
    fn a_step_that_takes_too_long_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        let error = run(&mut command, Duration::from_millis(100)).unwrap_err();
        assert_eq!(format!("{error:#}"), "run sh -c sleep 1000 & sleep 1000: not finished after 0 s");
    }
}
