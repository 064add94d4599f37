//! One warm interpreter: a driver process in the sandbox, and the children that it forks.
//!
//! ```text
//!   Child ──order──▶ input ──▶ exec session of the driver ──▶ demux ──by key──▶ Child::said
//!     │                                                        ▲
//!     └── grants: a frame taken is a frame that may come ──────┘ never waits for a child
//! ```
//!
//! The driver lives for as long as someone holds its [`Warm`]: then its session is dropped, and the guest ends it with
//! its whole session of processes. A driver that breaks the rules, or dies, takes its children's channels with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{self, Decoder, Order, Said, WINDOW};
use crate::ports::Guest;
use crate::{Error, ExecEvent, ExecInput, ExecSession, ExecSpec, Result, SandboxId, Stdin};

const LAUNCH: &str = include_str!("launch.py");
const DRIVER: &str = concat!(include_str!("driver.py"), "\n\n", include_str!("figures.py"));

/// How long an interpreter may take to start. A busy sandbox with a small share of the CPU may need seconds.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// How long a fork may take.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Frames that may wait for a child: what it may send, and the one that tells of its end.
const SAID_MAX: usize = WINDOW + 1;
/// SIGKILL.
const KILL: u8 = 9;

/// The driver process of a sandbox.
#[derive(Debug)]
pub(super) struct Warm {
    input: mpsc::Sender<ExecInput>,
    children: Arc<Mutex<Children>>,
    /// Ends the demultiplexer, and with it the session.
    broken: CancellationToken,
    _end: DropGuard,
}

#[derive(Debug, Default)]
struct Children {
    by_key: HashMap<u32, mpsc::Sender<Said>>,
    last_key: u32,
    is_over: bool,
}

/// What came of asking for a child.
pub(super) enum Begun {
    /// It runs.
    Started(Child),
    /// The kernel inside refused, with this errno by the driver's claim.
    Declined(i32),
    /// A fresh interpreter must be asked.
    Stale,
}

/// A process that the driver has forked. Dropping it kills its group.
#[derive(Debug)]
pub(super) struct Child {
    /// Process id inside the sandbox, as the driver claims.
    pub(super) pid: u32,
    /// What it says, in order; closes without [`Said::Exited`] when the driver is gone.
    pub(super) said: mpsc::Receiver<Said>,
    /// It has ended.
    pub(super) has_ended: bool,
    key: u32,
    warm: Arc<Warm>,
}

impl Warm {
    /// Starts a driver with this exec's environment and user; `None` if the image has no interpreter that can be one.
    pub(super) async fn start(guest: &dyn Guest, sandbox: SandboxId, spec: ExecSpec) -> Option<Arc<Self>> {
        let command = ["python3", "-c", LAUNCH, DRIVER].map(str::to_owned).to_vec();
        let spec =
            ExecSpec { command, cwd: Some("/".to_owned()), stdin: Stdin::Stream, timeout: None, ..spec };
        let session = guest.exec(sandbox, &spec).await.ok()?;
        let ExecSession { input, events, .. } = session;
        let children = Arc::<Mutex<Children>>::default();
        let broken = CancellationToken::new();
        let (ready, hello) = oneshot::channel();
        let demux = Demux { children: Arc::clone(&children), ready: Some(ready) };
        // Ends when the driver does, or when nobody holds it any more.
        tokio::spawn(broken.clone().run_until_cancelled_owned(demux.run(events)));
        let warm = Arc::new(Self { input, children, _end: broken.clone().drop_guard(), broken });
        match tokio::time::timeout(HELLO_PATIENCE, hello).await {
            Ok(Ok(())) => Some(warm),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// It has ended, or is being ended.
    pub(super) fn is_over(&self) -> bool {
        self.broken.is_cancelled() || self.lock().is_over
    }

    /// Nobody runs in it.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().by_key.is_empty()
    }

    /// Asks for a child.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the driver ends or does not answer: whether the child ran is then not known.
    pub(super) async fn begin(self: &Arc<Self>, order: Order, fields: &[u8]) -> Result<Begun> {
        let (sender, said) = mpsc::channel(SAID_MAX);
        let key = {
            let mut children = self.lock();
            if children.is_over {
                return Ok(Begun::Stale);
            }
            children.last_key = children.last_key.wrapping_add(1);
            let key = children.last_key;
            children.by_key.insert(key, sender);
            key
        };
        let mut child = Child { pid: 0, said, has_ended: false, key, warm: Arc::clone(self) };
        let answer = async {
            child.order(order, fields).await?;
            child.said.recv().await.ok_or_else(gone)
        };
        let answer = tokio::time::timeout(START_PATIENCE, answer).await;
        match answer.map_err(|_| unavailable("the interpreter did not fork in time"))?? {
            Said::Started(pid) => {
                child.pid = pid;
                Ok(Begun::Started(child))
            }
            Said::Declined(errno) => {
                child.has_ended = true;
                Ok(Begun::Declined(errno))
            }
            Said::Stale => {
                child.has_ended = true;
                Ok(Begun::Stale)
            }
            _ => Err(self.violated()),
        }
    }

    /// Ends the driver and everything in it at once.
    pub(super) fn break_off(&self) {
        self.broken.cancel();
        self.lock().end();
    }

    /// The error of a driver that does not keep to the rules, which is ended for it.
    pub(super) fn violated(&self) -> Error {
        self.break_off();
        unavailable("the interpreter broke its protocol")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Children> {
        self.children.lock().expect("no panic under this lock")
    }
}

impl Children {
    fn end(&mut self) {
        self.is_over = true;
        self.by_key.clear();
    }
}

impl Child {
    /// Sends an order about this child.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the driver is gone.
    pub(super) async fn order(&self, order: Order, payload: &[u8]) -> Result<()> {
        let frame = frame::order(order, self.key, payload);
        self.warm.input.send(ExecInput::Stdin(frame)).await.map_err(|_| gone())
    }

    /// Lets the child send as much again as was just taken.
    pub(super) async fn grant(&self, frames: u32) {
        // A driver that is gone needs none; the closed channel tells of it.
        let _ = self.order(Order::Credit, &frames.to_le_bytes()).await;
    }

    /// Sends a signal to the child's group.
    pub(super) async fn signal(&self, signal: u8) {
        let _ = self.order(Order::Kill, &[signal]).await;
    }

    /// The driver that it belongs to.
    pub(super) fn warm(&self) -> &Arc<Warm> {
        &self.warm
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.warm.lock().by_key.remove(&self.key);
        if !self.has_ended {
            let frame = frame::order(Order::Kill, self.key, &[KILL]);
            let warm = Arc::clone(&self.warm);
            // Ends when the driver has read the order, or is gone.
            tokio::spawn(async move {
                let _ = warm.input.send(ExecInput::Stdin(frame)).await;
            });
        }
    }
}

/// Hands what the driver says to those whom it concerns.
struct Demux {
    children: Arc<Mutex<Children>>,
    ready: Option<oneshot::Sender<()>>,
}

impl Demux {
    async fn run(mut self, mut events: mpsc::Receiver<Result<ExecEvent>>) {
        let mut decoder = Decoder::default();
        while let Some(event) = events.recv().await {
            let keep_on = match event {
                Ok(ExecEvent::Stdout(bytes)) => self.hand_out(&mut decoder, &bytes),
                // Nothing of ours: what a program says to a terminal that it does not have.
                Ok(ExecEvent::Stderr(_) | ExecEvent::Skipped(_)) => true,
                Ok(ExecEvent::Exited(_)) | Err(_) => false,
            };
            if !keep_on {
                break;
            }
        }
    }

    /// Whether the driver has kept to the rules.
    fn hand_out(&mut self, decoder: &mut Decoder, bytes: &Bytes) -> bool {
        decoder.push(bytes);
        loop {
            let (key, said) = match decoder.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return true,
                Err(_) => return false,
            };
            if said == Said::Hello {
                // Who waits may have lost patience.
                let Some(ready) = self.ready.take() else { return false };
                let _ = ready.send(());
                continue;
            }
            let children = self.children.lock().expect("no panic under this lock");
            // A child that nobody waits for any more is being killed.
            if let Some(child) = children.by_key.get(&key)
                && let Err(mpsc::error::TrySendError::Full(_)) = child.try_send(said)
            {
                // More than it was granted.
                return false;
            }
        }
    }
}

impl Drop for Demux {
    fn drop(&mut self) {
        self.children.lock().expect("no panic under this lock").end();
    }
}

fn gone() -> Error {
    unavailable("the interpreter ended")
}

fn unavailable(what: &'static str) -> Error {
    Error::Unavailable { retry_after: None, source: what.into() }
}
