//! Standard streams, signals and the terminal of this process, connected to an exec.

use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::socket::{Listener, Said, Tell, Teller, open};
use crate::client::Client;
use crate::environment::term;
use crate::failure::{Failure, SIGNAL_BASE, TIMED_OUT, say};
use crate::signals::{SIGKILL, Signals};
use crate::stdio::read_stdin;
use crate::terminal::{self, RawMode};
use crate::wire::{ExecRequest, Exited, Tty};

/// How long a killed process may take to be reported. After that the connection is closed, which ends it as well.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// How often the server hears of us. It ends an exec whose client is silent for some forty seconds, and the answers to its
/// own pings wait while standard output does.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(10);
/// Messages towards the process that wait for the network.
const QUEUE: usize = 4;

/// Which local things the exec gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attachment {
    stdin: bool,
    tty: bool,
}

impl Attachment {
    /// Standard input is sent to the exec if `stdin`; it runs in a terminal if `tty`, and with both that terminal is
    /// shown in the local one.
    ///
    /// # Errors
    /// A [`Failure`] if there is no local terminal to show it in.
    pub(crate) fn new(stdin: bool, tty: bool) -> Result<Self> {
        if tty && stdin && !terminal::stdin_is_terminal() {
            return Err(Failure::new("-t with -i needs a terminal, and standard input is none")
                .hint("leave out -t to pipe data in")
                .into());
        }
        Ok(Self { stdin, tty })
    }
}

/// How an attached exec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The server reported its end.
    Exited(Exited),
    /// It was killed by a second signal and its end was not waited for.
    GivenUp,
}

impl Ended {
    /// The exit code that tells this end, as a shell would; what a code cannot say is said on standard error.
    pub(crate) fn exit_code(self) -> u8 {
        let exited = match self {
            Self::Exited(exited) => exited,
            Self::GivenUp => {
                say("killed; its end was not waited for");
                return SIGNAL_BASE + SIGKILL;
            }
        };
        if exited.truncated {
            say("warning: the output was cut at its limit");
        }
        if exited.timed_out {
            say("error: the command ran out of time and was killed");
            say("hint: give it more with --timeout");
            return TIMED_OUT;
        }
        if exited.oom {
            say("error: the sandbox ran out of memory and a process was killed");
            say("hint: give a new sandbox more with --memory");
        }
        exited.exit_code.unwrap_or_else(|| SIGNAL_BASE.saturating_add(exited.signal.unwrap_or_default()))
    }
}

/// Runs `request` in `sandbox` with the local streams until it ends.
///
/// The first signal in `signals` is passed on to the process group, the second kills it.
///
/// # Errors
/// A bare [`io::Error`] if standard output is gone (the process is ended then), else what [`open`] and
/// [`Listener::next`] say.
pub(crate) async fn attach(
    client: &Client,
    sandbox: &str,
    mut request: ExecRequest,
    attachment: Attachment,
    signals: &mut Signals,
) -> Result<Ended> {
    request.stdin_stream = attachment.stdin;
    if attachment.tty {
        let size = terminal::size();
        request.tty = Some(Tty { rows: size.rows, cols: size.cols, term: term() });
    }
    let resized = signal(SignalKind::window_change())?;
    let (teller, listener) = open(client, sandbox, &request).await?;
    let _raw = if attachment.tty && attachment.stdin { Some(RawMode::enter()?) } else { None };

    let (queue, queued) = mpsc::channel(QUEUE);
    tokio::select! {
        ended = show_output(listener) => ended.map(Ended::Exited),
        Err(error) = tell_all(teller, queued) => Err(error),
        Err(error) = send_stdin(attachment.stdin, queue.clone()) => Err(error),
        Err(error) = send_sizes(attachment.tty, resized, queue.clone()) => Err(error),
        Err(error) = show_presence(queue.clone()) => Err(error),
        ended = pass_signals(signals, queue) => Ok(ended),
    }
}

async fn show_output(mut listener: Listener) -> Result<Exited> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        match listener.next().await? {
            Said::Stdout(bytes) => write(&mut stdout, &bytes).await?,
            Said::Stderr(bytes) => write(&mut stderr, &bytes).await?,
            Said::Exited(exited) => return Ok(exited),
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Ends only with an error: the reader decides when the exec is over.
async fn tell_all(mut teller: Teller, mut queued: mpsc::Receiver<Tell>) -> Result<()> {
    while let Some(tell) = queued.recv().await {
        if teller.tell(tell).await.is_err() {
            // The reader sees the same break, after the output that came before it, and knows more about it.
            break;
        }
    }
    std::future::pending().await
}

async fn send_stdin(wanted: bool, queue: mpsc::Sender<Tell>) -> Result<()> {
    if wanted {
        let mut chunks = read_stdin()?;
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|error| Failure::new("cannot read standard input").source(error))?;
            if queue.send(Tell::Stdin(chunk)).await.is_err() {
                break;
            }
        }
        let _over = queue.send(Tell::StdinEnd).await;
    }
    std::future::pending().await
}

async fn send_sizes(wanted: bool, mut resized: Signal, queue: mpsc::Sender<Tell>) -> Result<()> {
    while wanted && resized.recv().await.is_some() && queue.send(terminal::size().into()).await.is_ok() {}
    std::future::pending().await
}

async fn show_presence(queue: mpsc::Sender<Tell>) -> Result<()> {
    let mut ticks = tokio::time::interval(PRESENCE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A full queue is waiting for the process, which the server knows.
        let _full = queue.try_send(Tell::Presence);
    }
}

/// Ends when the process was killed and its end was not reported in time.
async fn pass_signals(signals: &mut Signals, queue: mpsc::Sender<Tell>) -> Ended {
    let first = signals.next().await;
    let pass = async {
        let _over = queue.send(Tell::Signal { signal: first }).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = pass => {}
        _second = signals.next() => {}
    }
    // A process that does not read its input may hold up the queue; the deadline covers that too.
    let _full = queue.try_send(Tell::Signal { signal: SIGKILL });
    tokio::time::sleep(KILL_WAIT).await;
    Ended::GivenUp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_the_exit_code_that_a_shell_shows() {
        let exited = Exited::default();
        for (ended, want) in [
            (Ended::Exited(Exited { exit_code: Some(3), ..exited }), 3),
            (Ended::Exited(Exited { signal: Some(15), ..exited }), 143),
            (Ended::Exited(Exited { signal: Some(9), timed_out: true, ..exited }), 124),
            (Ended::GivenUp, 137),
        ] {
            assert_eq!(ended.exit_code(), want, "{ended:?}");
        }
    }
}
