//! The server's end of the spawner: a thread of its own that passes requests on and answers back, and starts another
//! spawner when the last one is gone.
//!
//! ```text
//!   async callers ──bounded queue, eventfd──▶ this thread ──numbered requests──▶ spawner
//!                 ◀──────── oneshot ─────────             ◀─────── answers ─────
//! ```
//!
//! A request that a spawner died of is not sent again: whether it took effect is not known, and the caller cleans up
//! (see [`crate::runtime`]).

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::network::GatewaySockets;
use crate::record::Run;
use crate::spawner::channel::Channel;
use crate::spawner::wire::{Answer, NetworkState, Numbered, Request, Settings, Verb};
use crate::spawner::{self, Program};
use crate::stopwatch::Stopwatch;

/// Requests that wait for the spawner before a caller has to wait to add one.
const QUEUE: usize = 64;

/// How long the spawner may take for a request. Its own waits are shorter, so that it answers with their failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer with the descriptors that came along.
type Answered = Result<(Answer, Vec<OwnedFd>), Error>;

struct Question {
    request: Request,
    reply: oneshot::Sender<Answered>,
}

/// The sandboxes that a new spawner has to be told about, by id.
type Known = Arc<Mutex<HashMap<String, Run>>>;

/// What the first spawner said about the network, and the sockets that came along.
type Gateway = Arc<Mutex<(NetworkState, Option<GatewaySockets>)>>;

/// The spawner, as the server sees it.
#[derive(Debug)]
pub(crate) struct Client {
    /// `None` only while dropping.
    questions: Option<mpsc::Sender<Question>>,
    /// Tells the thread that there is a question, or that there will be no more.
    wake: Arc<OwnedFd>,
    known: Known,
    gateway: Gateway,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts a spawner and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::HostUnfit`] if it cannot prepare itself on this host.
    pub(crate) fn launch(program: Program, settings: Settings) -> Result<Self, Error> {
        let unfit =
            |what: &str, error: std::io::Error| Error::HostUnfit(format!("cannot make {what}: {error}"));
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = Arc::new(wake.map_err(|errno| unfit("an eventfd", errno.into()))?);
        let known = Known::default();
        let gateway = Gateway::default();
        let mut connection = Connection {
            program,
            settings,
            known: known.clone(),
            gateway: gateway.clone(),
            wake: wake.clone(),
            live: None,
            waiting: HashMap::new(),
            next_number: 0,
        };
        connection.connect()?;
        let (questions, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("spawner-client".to_owned())
            .spawn(move || connection.run(queue))
            .map_err(|error| unfit("a thread", error))?;
        Ok(Self { questions: Some(questions), wake, known, gateway, thread: Some(thread) })
    }

    /// Asks the spawner.
    ///
    /// # Errors
    /// [`Error::SpawnerGone`] or [`Error::SpawnerSilent`]; [`Error::Setup`] for what it could not do.
    pub(crate) async fn ask(&self, request: impl Into<Request>) -> Answered {
        let gone = || Error::SpawnerGone("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or_else(gone)?;
        questions.send(Question { request: request.into(), reply }).await.map_err(|_| gone())?;
        self.wake();
        understood(answer.await.map_err(|_| gone())?)
    }

    /// As [`Client::ask`], for a thread of its own.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) fn ask_and_block(&self, request: impl Into<Request>) -> Answered {
        let gone = || Error::SpawnerGone("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or_else(gone)?;
        questions.blocking_send(Question { request: request.into(), reply }).map_err(|_| gone())?;
        self.wake();
        understood(answer.blocking_recv().map_err(|_| gone())?)
    }

    /// The gateway's sockets, once.
    pub(crate) fn take_gateway_sockets(&self) -> Option<GatewaySockets> {
        self.gateway.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }

    /// Whether sandboxes may have a network.
    pub(crate) fn network(&self) -> NetworkState {
        self.gateway.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Remembers a living sandbox for a spawner that has to be started later.
    pub(crate) fn remember(&self, id: String, run: Run) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, run);
    }

    /// Forgets a sandbox that is dead.
    pub(crate) fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is woken already.
        let _: rustix::io::Result<usize> = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

/// What the spawner could not do, as an error.
fn understood(answered: Answered) -> Answered {
    match answered? {
        (Answer::Failed(failure), _) => Err(Error::Setup { failure: failure.error, undo: failure.undo }),
        other => Ok(other),
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.questions.take());
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _: std::thread::Result<()> = thread.join();
        }
    }
}

/// A request that has been sent.
struct Waiting {
    reply: oneshot::Sender<Answered>,
    since: Stopwatch,
}

impl Waiting {
    /// A caller that went away does not want the answer; what was done stays done and is recorded.
    fn answer(self, answer: Answered) {
        let _: Result<(), Answered> = self.reply.send(answer);
    }
}

/// The thread's side.
struct Connection {
    program: Program,
    settings: Settings,
    known: Known,
    gateway: Gateway,
    wake: Arc<OwnedFd>,
    live: Option<(Channel, Child)>,
    /// By number.
    waiting: HashMap<u64, Waiting>,
    next_number: u64,
}

impl Connection {
    /// Until there are no more questions and the last one is answered.
    fn run(mut self, mut queue: mpsc::Receiver<Question>) {
        let mut more_to_come = true;
        while more_to_come || !self.waiting.is_empty() {
            loop {
                match queue.try_recv() {
                    Ok(question) => self.send(question),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        more_to_come = false;
                        break;
                    }
                }
            }
            if more_to_come || !self.waiting.is_empty() {
                self.wait();
            }
        }
        self.say_farewell();
        self.disconnect(&not_connected());
    }

    /// Lets the spawner put away what only a living server needs, and waits for it.
    fn say_farewell(&mut self) {
        let number = self.number();
        if let Some((channel, _)) = self.live.as_mut()
            && channel.send(&Numbered { number, body: Request::from(Verb::Farewell) }, &[]).is_ok()
        {
            match reply::<Numbered<Answer>>(channel) {
                Ok((Numbered { body: Answer::Failed(failure), .. }, _)) => {
                    tracing::warn!(error = %failure.error, "the gateway could not be removed");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the spawner did not answer a farewell"),
            }
        }
    }

    fn send(&mut self, question: Question) {
        let waiting = Waiting { reply: question.reply, since: Stopwatch::start() };
        let number = self.number();
        let sent = self.connect().and_then(|()| {
            let (channel, _) = self.live.as_ref().ok_or_else(not_connected)?;
            channel.send(&Numbered { number, body: question.request }, &[]).map_err(gone)
        });
        match sent {
            Ok(()) => {
                self.waiting.insert(number, waiting);
            }
            Err(error) => {
                waiting.answer(Err(error));
                self.give_up(|| Error::SpawnerGone("its channel broke".to_owned()));
            }
        }
    }

    /// Waits for a question, an answer or the end of the patience with an answer, and deals with the last two.
    fn wait(&mut self) {
        let patience =
            self.waiting.values().map(|waiting| PATIENCE.saturating_sub(waiting.since.elapsed())).min();
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut wanted = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        wanted.extend(self.live.as_ref().map(|(channel, _)| PollFd::new(channel, PollFlags::IN)));
        if let Err(errno) = retry_on_intr(|| poll(&mut wanted, timeout.as_ref())) {
            return self.give_up(|| gone(errno));
        }
        let has_answer = wanted.get(1).is_some_and(|channel| !channel.revents().is_empty());
        let mut counter = [0; 8];
        // Nothing to read is fine: then it was not the eventfd.
        let _: rustix::io::Result<usize> = rustix::io::read(&*self.wake, &mut counter);
        if has_answer {
            self.receive();
        }
        if self.waiting.values().any(|waiting| waiting.since.elapsed() >= PATIENCE) {
            self.give_up(|| Error::SpawnerSilent(PATIENCE));
        }
    }

    fn receive(&mut self) {
        let Some((channel, _)) = self.live.as_mut() else { return };
        match channel.receive::<Numbered<Answer>>(Some(PATIENCE)) {
            Ok(Some((Numbered { number, body }, descriptors))) => {
                if let Some(waiting) = self.waiting.remove(&number) {
                    waiting.answer(Ok((body, descriptors)));
                }
            }
            Ok(None) => self.give_up(|| Error::SpawnerGone("it closed its channel".to_owned())),
            Err(errno) => self.give_up(|| gone(errno)),
        }
    }

    /// Lets the spawner go, and tells everyone who waits for it.
    fn give_up(&mut self, error: impl Fn() -> Error) {
        self.disconnect(&error());
        for (_, waiting) in self.waiting.drain() {
            waiting.answer(Err(error()));
        }
    }

    /// Starts a spawner if there is none, and tells it about every living sandbox.
    fn connect(&mut self) -> Result<(), Error> {
        if self.live.is_some() {
            return Ok(());
        }
        let (mut channel, mut process) = spawner::launch(&self.program)?;
        match self.introduce(&mut channel) {
            Ok(()) => {
                self.live = Some((channel, process));
                Ok(())
            }
            Err(error) => {
                drop(channel);
                end(&mut process, &error);
                Err(error)
            }
        }
    }

    /// Gives a new spawner its settings and what it has to know.
    fn introduce(&mut self, channel: &mut Channel) -> Result<(), Error> {
        channel.send(&self.settings, &[]).map_err(gone)?;
        let (answer, descriptors) = reply::<Answer>(channel)?;
        match answer {
            Answer::Ready { network } => self.note_network(network, descriptors)?,
            Answer::Failed(failure) => {
                let hint = failure.error.remedy().map_or_else(String::new, |hint| format!("; {hint}"));
                let errno = failure.error.errno;
                return Err(Error::HostUnfit(format!("{}: {errno}{hint}", failure.error)));
            }
            other => return Err(Error::SpawnerGone(format!("unexpected answer {other:?}"))),
        }
        let known: Vec<(String, Run)> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().map(|(id, run)| (id.clone(), run.clone())).collect()
        };
        for (id, run) in known {
            let number = self.number();
            channel
                .send(&Numbered { number, body: Request::from(Verb::Adopt { id, run }) }, &[])
                .map_err(gone)?;
            // A sandbox that died meanwhile is found out by its pidfd, which the server holds.
            reply::<Numbered<Answer>>(channel)?;
        }
        Ok(())
    }

    /// Keeps what the spawner said about the network. The sockets are those of the first one; the next ones are told
    /// that they are held.
    fn note_network(&mut self, network: NetworkState, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        let mut gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = &mut self.settings.network
            && network == NetworkState::Up
            && !order.sockets_held
        {
            let sockets = GatewaySockets::from_descriptors(descriptors);
            let missing = || Error::SpawnerGone("it sent no sockets of the gateway".to_owned());
            gateway.1 = Some(sockets.ok_or_else(missing)?);
            order.sockets_held = true;
        }
        gateway.0 = network;
        Ok(())
    }

    /// Closes the channel, at which the spawner ends.
    fn disconnect(&mut self, why: &Error) {
        if let Some((channel, mut process)) = self.live.take() {
            drop(channel);
            end(&mut process, why);
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

fn reply<T: serde::de::DeserializeOwned>(channel: &mut Channel) -> Result<(T, Vec<OwnedFd>), Error> {
    match channel.receive(Some(PATIENCE)) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Error::SpawnerGone("it closed its channel".to_owned())),
        Err(Errno::TIMEDOUT) => Err(Error::SpawnerSilent(PATIENCE)),
        Err(errno) => Err(gone(errno)),
    }
}

/// Reaps a spawner whose channel is closed. One that did not answer may be stuck in the kernel and is not waited for; it
/// keeps the lock of the data directory, so that the next one says what is the matter.
fn end(process: &mut Child, why: &Error) {
    // What can fail here is that the process is gone already.
    if matches!(why, Error::SpawnerSilent(_)) {
        let _: std::io::Result<()> = process.kill();
        let _: std::io::Result<Option<std::process::ExitStatus>> = process.try_wait();
    } else {
        let _: std::io::Result<std::process::ExitStatus> = process.wait();
    }
}

fn gone(errno: Errno) -> Error {
    Error::SpawnerGone(errno.to_string())
}

fn not_connected() -> Error {
    Error::SpawnerGone("it is not connected".to_owned())
}
