//! Every template in memory, and the tasks that prepare them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{AccountId, Digest, Template, TemplateId, TemplateState};

/// The templates of all accounts. The store has the same, and is written first.
#[derive(Default)]
pub(in crate::services) struct Templates {
    known: Mutex<BTreeMap<TemplateId, Template>>,
    jobs: Mutex<BTreeMap<TemplateId, Job>>,
    /// Held by whoever changes a record, from the look at it to the last write.
    pub(super) changing: tokio::sync::Mutex<()>,
}

/// A task that prepares a template.
struct Job {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Templates {
    pub(super) fn put(&self, template: Template) {
        lock(&self.known).insert(template.id, template);
    }

    pub(super) fn remove(&self, id: TemplateId) {
        lock(&self.known).remove(&id);
    }

    pub(super) fn find(&self, id: TemplateId) -> Option<Template> {
        lock(&self.known).get(&id).cloned()
    }

    /// The templates of an account, oldest first.
    pub(super) fn of(&self, account: AccountId) -> Vec<Template> {
        let mut found: Vec<Template> =
            lock(&self.known).values().filter(|template| template.account == account).cloned().collect();
        found.sort_by_key(|template| (template.created_at, template.id));
        found
    }

    /// Whether an account has any.
    pub(in crate::services) fn has_any_of(&self, account: AccountId) -> bool {
        lock(&self.known).values().any(|template| template.account == account)
    }

    /// Images that must stay for templates: those of which sandboxes can be made, and those that nobody can bring back.
    pub(in crate::services) fn needed_images(&self) -> BTreeSet<Digest> {
        lock(&self.known)
            .values()
            .filter(|template| needs_image(template))
            .filter_map(|one| one.image)
            .collect()
    }

    /// A template that needs this image.
    pub(in crate::services) fn user_of(&self, image: &Digest) -> Option<TemplateId> {
        let known = lock(&self.known);
        let user = known.values().find(|template| needs_image(template) && template.image == Some(*image));
        user.map(|template| template.id)
    }

    /// Runs a task for a template, in place of an earlier one, which has ended or is being stopped.
    pub(super) fn begin(&self, id: TemplateId, work: impl Future<Output = ()> + Send + 'static) {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = work => {}
            }
        });
        if let Some(earlier) = lock(&self.jobs).insert(id, Job { stop, task }) {
            earlier.stop.cancel();
        }
    }

    /// Stops the task of a template and waits for its end, with which everything that it had begun is undone.
    pub(super) async fn end(&self, id: TemplateId) {
        let job = lock(&self.jobs).remove(&id);
        if let Some(job) = job {
            job.finish().await;
        }
    }

    /// Stops every task and waits for their end. Their templates are prepared by the next server.
    pub(in crate::services) async fn shutdown(&self) {
        let jobs = std::mem::take(&mut *lock(&self.jobs));
        for job in jobs.values() {
            job.stop.cancel();
        }
        for job in jobs.into_values() {
            job.finish().await;
        }
    }

    /// Forgets tasks that have ended.
    pub(in crate::services) fn sweep(&self) {
        lock(&self.jobs).retain(|_, job| !job.task.is_finished());
    }
}

impl Job {
    async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "preparing a template did not end well"
            );
        }
    }
}

fn needs_image(template: &Template) -> bool {
    match template.state {
        TemplateState::Active => true,
        // Also one that is being made anew: its earlier image is better than none.
        TemplateState::Inactive | TemplateState::Error => !template.source.is_replaceable(),
        TemplateState::Pulling | TemplateState::Committing | TemplateState::Building => true,
        TemplateState::Removing => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under this lock")
}
