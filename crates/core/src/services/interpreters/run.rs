//! A run without state: a child of the warm interpreter that behaves like `python3 FILE ARGS...`.
//!
//! | Where the ordinary way is taken instead | Why |
//! | --- | --- |
//! | a variable of the run that an interpreter reads before its first line | the warm one has read its own |
//! | a variable of the sandbox that makes an interpreter talk or stay at its end | it would do so in the driver |
//! | a NUL byte in the source | the two ways word the refusal differently |
//! | no interpreter, or one that cannot fork and freeze as the driver needs (before 3.9) | there is nothing warm |
//! | the driver declined: directory, script file or fork | the ordinary way says what is wrong |
//!
//! An interpreter whose start files have changed (a package installed, another `python3` in `PATH`) is replaced first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::ending::Ending;
use super::figures::Figures;
use super::frame::{Fields, Order, Said};
use super::relay::{Progress, Reader, Relay, Taken};
use super::slot::{Forked, Slot};
use crate::ports::Guest;
use crate::{Clock, ExecEvent, ExecExit, ExecOutput, ExecSession, ExecSpec, Result, SandboxId, limits};

/// SIGTERM.
const TERMINATE: u8 = 15;
/// Between SIGTERM and SIGKILL, as the guest has it for any other command.
const GRACE: Duration = Duration::from_secs(2);

/// Variables that an interpreter, or the C library beneath it, reads before the first line of a program.
const READ_AT_START: [&str; 9] =
    ["PATH", "HOME", "TZ", "TZDIR", "LANG", "LANGUAGE", "LOCPATH", "GCONV_PATH", "GLIBC_TUNABLES"];
/// Beginnings of the names of such variables.
const READ_AT_START_PREFIXES: [&str; 4] = ["PYTHON", "LC_", "LD_", "MALLOC_"];
/// Variables that make an interpreter print or wait around its program.
const TALKATIVE: [&str; 6] = [
    "PYTHONINSPECT",
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDUMPREFS",
    "PYTHONDUMPREFSFILE",
    "PYTHONMALLOCSTATS",
];

/// A script and what it runs with.
pub(in crate::services) struct Script<'a> {
    /// Where its file is while it runs.
    pub(in crate::services) path: &'a str,
    /// Source text.
    pub(in crate::services) code: &'a [u8],
    /// Arguments.
    pub(in crate::services) args: &'a [String],
    /// Its own variables.
    pub(in crate::services) env: &'a BTreeMap<String, String>,
    /// Where its figures go, if it is to print unbuffered and with both streams in one; figures are then seen.
    pub(in crate::services) mixed: Option<Figures>,
}

impl Script<'_> {
    /// Whether a warm interpreter with this environment runs it exactly like a fresh one.
    pub(super) fn suits(&self, base: &ExecSpec) -> bool {
        let is_read_at_start = |name: &String| {
            READ_AT_START.contains(&name.as_str())
                || READ_AT_START_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        !self.code.contains(&0)
            && !self.env.keys().any(is_read_at_start)
            && !TALKATIVE.iter().any(|name| base.env.contains_key(*name))
    }
}

/// Starts a script in the warm interpreter of `slot`; `None` where the ordinary way is to be taken. `base` is the
/// environment and user of the sandbox's execs, `limits` the directory, timeout and output limit of this one.
///
/// # Errors
/// [`crate::Error::Unavailable`] if the interpreter died or fell silent at a moment when the script may have begun.
pub(in crate::services) async fn start(
    slot: &Slot,
    guest: &dyn Guest,
    clock: Arc<dyn Clock>,
    sandbox: SandboxId,
    base: &ExecSpec,
    script: &Script<'_>,
    bounds: &ExecSpec,
) -> Result<Option<ExecSession>> {
    if !script.suits(base) {
        return Ok(None);
    }
    let count = u32::try_from(script.args.len()).unwrap_or(u32::MAX);
    let mut fields = Fields::default();
    fields.push(bounds.cwd.as_deref().unwrap_or("/").as_bytes());
    let prints = u8::from(script.mixed.is_some());
    fields.push(script.path.as_bytes()).push(script.code).push(&[prints]).push(&count.to_le_bytes());
    for argument in script.args {
        fields.push(argument.as_bytes());
    }
    fields.variables(script.env);
    let forked = slot.begin(guest, sandbox, base, Order::Run, fields.as_bytes()).await?;
    let Forked::Child(child) = forked else { return Ok(None) };
    slot.touch(clock.monotonic()).await;
    let (input, inputs) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
    let (events, session_events) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
    let pid = child.pid;
    let ending = Ending::new(clock.monotonic(), bounds.timeout, TERMINATE, GRACE);
    let left = bounds.output_limit_bytes.unwrap_or(u64::MAX);
    let reader = Output { left, truncated: false, figures: script.mixed.clone() };
    let relay = Relay::new(child, events, ending, clock, reader);
    // Ends with the script, or with the driver.
    tokio::spawn(relay.run(inputs));
    Ok(Some(ExecSession::new(pid, input, session_events)))
}

/// What a run's reader gets.
struct Output {
    /// Bytes that are still wanted.
    left: u64,
    truncated: bool,
    figures: Option<Figures>,
}

impl Reader for Output {
    type Event = ExecEvent;

    fn take(&mut self, said: Said, progress: Progress, events: &mut VecDeque<ExecEvent>) -> Taken {
        match said {
            Said::Out(bytes) => events.extend(self.cut(bytes).map(ExecEvent::Stdout)),
            Said::Err(bytes) => events.extend(self.cut(bytes).map(ExecEvent::Stderr)),
            Said::Exited(status, cut) => {
                events.push_back(ExecEvent::Exited(ExecOutput {
                    exit: exit(status),
                    timed_out: progress.timed_out,
                    // The driver cannot know; who waits for the run compares what the kernel counts.
                    oom: false,
                    truncated: self.truncated || cut,
                    duration: progress.duration,
                }));
                return Taken::Last;
            }
            Said::Result(bytes) => match &self.figures {
                Some(figures) => self.truncated |= !figures.push(&bytes),
                None => return Taken::Violation,
            },
            _ => return Taken::Violation,
        }
        Taken::More
    }

    fn discarded(&mut self) {
        self.truncated = true;
    }
}

impl Output {
    /// The part of the output that is within the limit.
    fn cut(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.truncated |= kept < bytes.len();
        self.left = self.left.saturating_sub(kept as u64);
        bytes.truncate(kept);
        (kept > 0).then_some(bytes)
    }
}

/// How a child ended: the driver tells a code, or minus a signal; anything else is a lie and reads as a failure.
pub(super) fn exit(status: i32) -> ExecExit {
    match u8::try_from(status) {
        Ok(code) => ExecExit::Code(code),
        Err(_) => match u8::try_from(status.unsigned_abs()) {
            Ok(signal) if status < 0 => ExecExit::Signal(signal),
            _ => ExecExit::Code(u8::MAX),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suits(code: &str, own: &[&str], sandbox: &[&str]) -> bool {
        let env = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        let own: BTreeMap<String, String> = env(own);
        let base = ExecSpec { env: env(sandbox), ..ExecSpec::default() };
        Script { path: "/tmp/x.py", code: code.as_bytes(), args: &[], env: &own, mixed: None }.suits(&base)
    }

    #[test]
    fn what_an_interpreter_would_read_at_its_start_is_left_to_a_fresh_one() {
        assert!(suits("print(1)", &["NAME", "TMPDIR"], &["PYTHONUNBUFFERED", "PYTHONPATH", "HOME", "LANG"]));
        for own in
            ["PYTHONPATH", "PYTHONHASHSEED", "PATH", "HOME", "TZ", "LC_ALL", "LD_PRELOAD", "MALLOC_ARENA_MAX"]
        {
            assert!(!suits("print(1)", &[own], &[]), "{own}");
        }
        assert!(!suits("print(1)", &[], &["PYTHONINSPECT"]));
        assert!(!suits("print(1)\0", &[], &[]));
    }

    #[test]
    fn an_end_is_a_code_or_a_signal_whatever_the_driver_claims() {
        for (status, want) in [
            (0, ExecExit::Code(0)),
            (255, ExecExit::Code(255)),
            (-9, ExecExit::Signal(9)),
            (256, ExecExit::Code(255)),
            (-256, ExecExit::Code(255)),
            (i32::MIN, ExecExit::Code(255)),
        ] {
            assert_eq!(exit(status), want, "{status}");
        }
    }
}
