//! The server's end of the spawner: a thread of its own that sends one request after another, and starts another spawner
//! when the last one is gone.
//!
//! ```text
//!   async callers ──bounded queue──▶ this thread ──channel──▶ spawner
//!                 ◀──── oneshot ────             ◀─────────
//! ```
//!
//! Requests are answered in the order of their sending. A request that a spawner died of is not sent again: whether it
//! took effect is not known, and the caller cleans up (see [`crate::runtime`]).

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::record::Run;
use crate::spawner::channel::Channel;
use crate::spawner::wire::{Answer, Request, Settings};
use crate::spawner::{self, Program};

/// Requests that wait for the spawner before a caller has to wait to add one.
const QUEUE: usize = 64;

/// How long the spawner may take for one request. Its own waits are shorter, so that it answers with their failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer with the descriptor that came along.
type Answered = Result<(Answer, Option<OwnedFd>), Error>;

struct Question {
    request: Request,
    reply: oneshot::Sender<Answered>,
}

/// The sandboxes that a new spawner has to be told about, by id.
type Known = Arc<Mutex<HashMap<String, Run>>>;

/// The spawner, as the server sees it.
#[derive(Debug)]
pub(crate) struct Client {
    /// `None` only while dropping.
    questions: Option<mpsc::Sender<Question>>,
    known: Known,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts a spawner and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::HostUnfit`] if it cannot prepare itself on this host.
    pub(crate) fn launch(program: Program, settings: Settings) -> Result<Self, Error> {
        let known = Known::default();
        let mut connection = Connection { program, settings, known: known.clone(), live: None };
        connection.connected()?;
        let (questions, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("spawner-client".to_owned())
            .spawn(move || connection.serve(queue))
            .map_err(|error| Error::HostUnfit(format!("cannot start a thread: {error}")))?;
        Ok(Self { questions: Some(questions), known, thread: Some(thread) })
    }

    /// Asks the spawner.
    ///
    /// # Errors
    /// [`Error::SpawnerGone`] or [`Error::SpawnerSilent`]; [`Error::Setup`] for what it could not do.
    pub(crate) async fn ask(&self, request: Request) -> Answered {
        let gone = || Error::SpawnerGone("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or_else(gone)?;
        questions.send(Question { request, reply }).await.map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())?? {
            (Answer::Failed(failure), _) => Err(Error::Setup { failure: failure.error, undo: failure.undo }),
            other => Ok(other),
        }
    }

    /// Remembers a living sandbox for a spawner that has to be started later.
    pub(crate) fn remember(&self, id: String, run: Run) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, run);
    }

    /// Forgets a sandbox that is dead.
    pub(crate) fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _: std::thread::Result<()> = thread.join();
        }
    }
}

/// The thread's side.
struct Connection {
    program: Program,
    settings: Settings,
    known: Known,
    live: Option<(Channel, Child)>,
}

impl Connection {
    fn serve(mut self, mut queue: mpsc::Receiver<Question>) {
        while let Some(question) = queue.blocking_recv() {
            let answer = self.ask(&question.request);
            // A caller that went away does not want the answer; what was done stays done and is recorded.
            let _: Result<(), Answered> = question.reply.send(answer);
        }
        self.disconnect();
    }

    fn ask(&mut self, request: &Request) -> Answered {
        let channel = self.connected()?;
        let outcome = exchange(channel, request);
        if matches!(outcome, Err(Error::SpawnerGone(_) | Error::SpawnerSilent(_))) {
            self.disconnect();
        }
        outcome
    }

    /// The channel to a living spawner, which is started if there is none and told about every living sandbox.
    fn connected(&mut self) -> Result<&mut Channel, Error> {
        if self.live.is_none() {
            let (mut channel, process) = spawner::launch(&self.program)?;
            let known: Vec<(String, Run)> = {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.iter().map(|(id, run)| (id.clone(), run.clone())).collect()
            };
            match exchange(&mut channel, &self.settings)? {
                (Answer::Ready, _) => {}
                (Answer::Failed(failure), _) => {
                    let hint = failure.error.remedy().map_or_else(String::new, |hint| format!("; {hint}"));
                    let errno = failure.error.errno;
                    return Err(Error::HostUnfit(format!("{}: {errno}{hint}", failure.error)));
                }
                (other, _) => return Err(Error::SpawnerGone(format!("unexpected answer {other:?}"))),
            }
            for (id, run) in known {
                // A sandbox that died meanwhile is found out by its pidfd, which the server holds.
                exchange(&mut channel, &Request::Adopt { id, run })?;
            }
            self.live = Some((channel, process));
        }
        self.live
            .as_mut()
            .map(|(channel, _)| channel)
            .ok_or_else(|| Error::SpawnerGone("not connected".to_owned()))
    }

    /// Closes the channel, at which the spawner ends, and reaps it.
    fn disconnect(&mut self) {
        if let Some((channel, mut process)) = self.live.take() {
            drop(channel);
            // Only an error of the wait itself is possible, and then there is nothing to reap.
            let _: std::io::Result<std::process::ExitStatus> = process.wait();
        }
    }
}

fn exchange<T: serde::Serialize>(channel: &mut Channel, request: &T) -> Answered {
    let gone = |errno: Errno| Error::SpawnerGone(errno.to_string());
    channel.send(request, &[]).map_err(gone)?;
    match channel.receive::<Answer>(Some(PATIENCE)) {
        Ok(Some((answer, descriptors))) => Ok((answer, descriptors.into_iter().next())),
        Ok(None) => Err(Error::SpawnerGone("it closed its channel".to_owned())),
        Err(Errno::TIMEDOUT) => Err(Error::SpawnerSilent(PATIENCE)),
        Err(errno) => Err(gone(errno)),
    }
}
