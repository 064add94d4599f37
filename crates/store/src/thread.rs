//! A thread that owns a connection and runs jobs on it, one after the other.
//!
//! ```text
//!   run(job) ──bounded channel──▶ thread: job(&mut connection) ──oneshot──▶ run's answer
//! ```
//!
//! A caller that goes away does not stop its job: work that changes state finishes. A job that panics is answered with
//! an error and the thread goes on; the unwinding has rolled its transaction back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// Jobs that wait before callers have to; about the number of requests that the slowest flush keeps waiting.
const QUEUE_JOBS: usize = 256;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread with its own state `S`. Dropping it waits until the queued jobs are done.
pub(crate) struct OwnerThread<S> {
    jobs: Option<mpsc::Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Send + 'static> OwnerThread<S> {
    /// Starts the thread `name`, which owns `state`.
    ///
    /// # Errors
    /// The kernel's, if it gives no thread.
    pub(crate) fn spawn(name: &str, mut state: S) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job<S>>(QUEUE_JOBS);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // What a panicking job can leave half-done in `state` is a transaction, and unwinding rolls that back.
                // The panic itself has been reported by the panic hook; the caller sees its reply dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut state)));
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` on the thread and returns its answer.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Panicked`] if it panicked, [`Error::Stopped`] if the thread is gone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            // Nobody listens if the caller has gone away, which is no failure of the job.
            let _ = reply.send(work(state));
        });
        let jobs = self.jobs.as_ref().ok_or(Error::Stopped)?;
        jobs.send(job).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Panicked)?
    }

    /// Runs `work` on the thread and waits for it, from a thread that may block.
    pub(crate) fn wait(&self, work: impl FnOnce(&mut S) + Send + 'static) {
        let (reply, answer) = oneshot::channel::<()>();
        let job: Job<S> = Box::new(move |state| {
            work(state);
            drop(reply);
        });
        if let Some(jobs) = &self.jobs
            && jobs.blocking_send(job).is_ok()
        {
            // The reply is dropped when the job is over, whether it returned or panicked.
            let _ = answer.blocking_recv();
        }
    }

    /// Queues `work` without waiting for it; drops it if the queue is full.
    pub(crate) fn nudge(&self, work: impl FnOnce(&mut S) + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.try_send(Box::new(work));
        }
    }
}

impl<S> Drop for OwnerThread<S> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a database thread panicked outside a job");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_is_answered_and_the_next_one_runs() {
        let thread = OwnerThread::spawn("test", 41).unwrap();
        let answer = thread.run(|_| -> Result<(), Error> { panic!("on purpose") }).await;
        assert!(matches!(answer, Err(Error::Panicked)), "{answer:?}");
        let answer = thread.run(|state| {
            *state += 1;
            Ok(*state)
        });
        assert!(matches!(answer.await, Ok(42)));
    }

    #[tokio::test]
    async fn a_job_whose_caller_went_away_is_still_done() {
        let thread = OwnerThread::spawn("test", Vec::new()).unwrap();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        {
            let mut blocked = Box::pin(thread.run(move |done: &mut Vec<u8>| {
                gate.recv().map_err(|_| Error::Stopped)?;
                done.push(1);
                Ok(())
            }));
            // One poll queues the job; then its caller is dropped.
            assert!(futures_util::poll!(&mut blocked).is_pending());
        }
        open.send(()).unwrap();
        assert!(matches!(thread.run(|done| Ok(done.clone())).await, Ok(done) if done == [1]));
    }
}
