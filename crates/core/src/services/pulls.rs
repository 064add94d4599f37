//! Pulls that are under way: one for each image, whoever waits for it.
//!
//! ```text
//!   first waiter ─▶ task: Images::pull ──▶ outcome ─▶ every waiter
//!   further waiters of the same reference join ┘
//!   the last waiter gone before the end ─▶ cancelled, nothing is kept
//! ```
//!
//! Not here: whether an image needs to be pulled (`images`), and the transfer (the adapter).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::Context;
use crate::{
    AccountId, Error, EventKind, Image, ImageReference, LayerStep, PullProgress, PullStep, Result, limits,
};

/// What every waiter gets.
type Outcome = std::result::Result<Image, Arc<Error>>;

/// The table of pulls.
pub(super) struct Pulls {
    running: Mutex<BTreeMap<ImageReference, Arc<Running>>>,
    places: Semaphore,
    tasks: TaskTracker,
}

impl Default for Pulls {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            places: Semaphore::new(limits::PULLS_MAX),
            tasks: TaskTracker::new(),
        }
    }
}

/// A pull that is under way.
struct Running {
    progress: watch::Sender<PullProgress>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Changes under the lock of the table only.
    waiters: Mutex<Waiters>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Waiters {
    count: usize,
    /// Whom events tell.
    accounts: BTreeSet<AccountId>,
}

/// A place among those who wait for a pull. When the last of them is dropped before the end, the pull is cancelled.
pub struct Pull {
    context: Arc<Context>,
    reference: ImageReference,
    running: Arc<Running>,
}

impl Pull {
    /// How far it is; the latest value is always there.
    pub fn progress(&self) -> watch::Receiver<PullProgress> {
        self.running.progress.subscribe()
    }

    /// The image, when it is here.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the registry has no such image; [`Error::Upstream`]; [`Error::Invalid`] naming what is wrong
    /// with the image; [`Error::LimitReached`] for its size or the host's disk. Nothing is kept then.
    pub async fn wait(&self) -> Result<Image> {
        let mut outcome = self.running.outcome.subscribe();
        let outcome = outcome.wait_for(Option::is_some).await.map_err(Error::internal)?;
        match outcome.as_ref().expect("it was waited for") {
            Ok(image) => Ok(image.clone()),
            Err(error) => Err(Error::for_another(error)),
        }
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let mut table = lock(&self.context.pulls.running);
        let mut waiters = lock(&self.running.waiters);
        waiters.count -= 1;
        if waiters.count == 0 {
            self.running.stop.cancel();
            forget(&mut table, &self.reference, &self.running);
        }
    }
}

/// Joins the pull of an image, or starts it.
pub(super) fn join(context: &Arc<Context>, account: AccountId, reference: &ImageReference) -> Pull {
    let mut table = lock(&context.pulls.running);
    let running = table.entry(reference.clone()).or_insert_with(|| {
        let running = Arc::new(Running {
            progress: watch::Sender::default(),
            outcome: watch::Sender::new(None),
            waiters: Mutex::default(),
            stop: CancellationToken::new(),
        });
        let task = run(Arc::clone(context), reference.clone(), Arc::clone(&running));
        context.pulls.tasks.spawn(task);
        running
    });
    let mut waiters = lock(&running.waiters);
    waiters.count += 1;
    waiters.accounts.insert(account);
    drop(waiters);
    Pull { context: Arc::clone(context), reference: reference.clone(), running: Arc::clone(running) }
}

impl Pulls {
    /// Cancels every pull and waits for their end.
    pub(super) async fn shutdown(&self) {
        for running in lock(&self.running).values() {
            running.stop.cancel();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn run(context: Arc<Context>, reference: ImageReference, running: Arc<Running>) {
    let outcome = tokio::select! {
        biased;
        () = running.stop.cancelled() => Err(Error::Unavailable {
            retry_after: None,
            source: "the pull was cancelled".into(),
        }),
        outcome = pull(&context, &reference, &running) => outcome,
    };
    let (step, reason) = match &outcome {
        Ok(_) => (PullStep::Finished, None),
        Err(error) => (PullStep::Failed, Some(error.to_string())),
    };
    publish(&context, &reference, &running, step, None, reason).await;
    forget(&mut lock(&context.pulls.running), &reference, &running);
    running.outcome.send_replace(Some(outcome.map_err(Arc::new)));
}

async fn pull(context: &Context, reference: &ImageReference, running: &Running) -> Result<Image> {
    let _place = context.pulls.places.acquire().await.map_err(Error::internal)?;
    publish(context, reference, running, PullStep::Started, None, None).await;
    let mut progress = running.progress.subscribe();
    let pull = context.ports.images.pull(reference, running.progress.clone());
    tokio::pin!(pull);
    let mut told = Vec::new();
    let outcome = loop {
        tokio::select! {
            outcome = &mut pull => break outcome,
            Ok(()) = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                tell(context, reference, running, &mut told, &now).await;
            }
        }
    };
    let last = progress.borrow_and_update().clone();
    tell(context, reference, running, &mut told, &last).await;
    outcome
}

/// Publishes what layers have done since `told`.
async fn tell(
    context: &Context,
    reference: &ImageReference,
    running: &Running,
    told: &mut Vec<LayerStep>,
    now: &PullProgress,
) {
    told.resize(now.layers.len(), LayerStep::Waiting);
    for (layer, told) in now.layers.iter().zip(told) {
        let passed = |step| *told < step && step <= layer.step;
        let fetched = passed(LayerStep::Fetched) && layer.step != LayerStep::Shared;
        let steps = [
            (fetched, PullStep::LayerFetched),
            (passed(LayerStep::Done) || passed(LayerStep::Shared), PullStep::LayerReady),
        ];
        *told = layer.step;
        for (_, step) in steps.into_iter().filter(|(passed, _)| *passed) {
            publish(context, reference, running, step, Some(layer.digest), None).await;
        }
    }
}

async fn publish(
    context: &Context,
    reference: &ImageReference,
    running: &Running,
    step: PullStep,
    layer: Option<crate::Digest>,
    reason: Option<String>,
) {
    let accounts = lock(&running.waiters).accounts.clone();
    for account in accounts {
        let (reference, reason) = (reference.to_string(), reason.clone());
        let kind = EventKind::ImagePull { reference, step, layer, reason };
        context.events.publish(context, account, None, kind).await;
    }
}

/// Takes a pull out of the table, unless another has its place by now.
fn forget(
    table: &mut BTreeMap<ImageReference, Arc<Running>>,
    reference: &ImageReference,
    running: &Arc<Running>,
) {
    if table.get(reference).is_some_and(|other| Arc::ptr_eq(other, running)) {
        table.remove(reference);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under this lock")
}
