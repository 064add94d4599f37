//! One task a sandbox: it alone changes the sandbox's state, one verb at a time, in the order of arrival.
//!
//! ```text
//!   services, reconcilers ──Command──▶ mailbox ──▶ judge ──▶ Runtime ──▶ record in memory, Store, event
//!                                                     ▲
//!   Runtime::wait ── the guest died ──────────────────┘
//! ```
//!
//! A caller that hangs up changes nothing: the task goes on. After `Delete` the task ends and the mailbox closes, which
//! every later sender reads as "not found".

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::context::Context;
use super::network;
use super::roles;
use super::start_command;
use super::table::Entry;
use super::volumes;
use crate::ports::{Death, RuntimeSpec};
use crate::sandbox::check_env;
use crate::{
    Decision, EgressPolicy, Error, EventKind, Kind, Reason, Resources, Result, RoleStatus, Sandbox,
    SandboxChanges, SandboxId, SandboxRole, State, Verb, limits,
};

/// Verbs that may wait at one sandbox; more callers wait for a place.
const MAILBOX_SIZE: usize = 16;

/// Something for the driver to do.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) task: Task,
    pub(super) reply: oneshot::Sender<Result<Sandbox>>,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// A verb of the life cycle.
    Apply {
        verb: Verb,
        reason: Reason,
        /// How long a stop waits before it uses force.
        grace: Duration,
    },
    /// A new network policy.
    SetNetwork(EgressPolicy),
    /// Other labels, time limits, bounds.
    Update(SandboxChanges),
    /// Variables of later execs: names to take away, then values to set.
    SetEnv { unset: Vec<String>, set: BTreeMap<String, String> },
    /// How applying its role ended.
    EndRole(SandboxRole),
}

pub(super) fn mailbox() -> (mpsc::Sender<Command>, mpsc::Receiver<Command>) {
    mpsc::channel(MAILBOX_SIZE)
}

/// Sends a verb to the driver of `entry` and waits until it is done.
pub(super) async fn request(entry: &Entry, verb: Verb, reason: Reason, grace: Duration) -> Result<Sandbox> {
    send(entry, Task::Apply { verb, reason, grace }).await
}

/// Sends something to do to the driver of `entry` and waits until it is done.
pub(super) async fn send(entry: &Entry, task: Task) -> Result<Sandbox> {
    let gone = || Error::not_found(Kind::Sandbox, entry.id);
    let (reply, answer) = oneshot::channel();
    entry.mailbox.send(Command { task, reply }).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// Starts the driver of a sandbox that is in the table.
pub(super) fn spawn(context: Arc<Context>, entry: Arc<Entry>, mailbox: mpsc::Receiver<Command>) {
    tokio::spawn(Driver { context, entry }.run(mailbox));
}

struct Driver {
    context: Arc<Context>,
    entry: Arc<Entry>,
}

type Watch = Pin<Box<dyn Future<Output = Result<Death>> + Send>>;

impl Driver {
    async fn run(self, mut mailbox: mpsc::Receiver<Command>) {
        let mut death = self.watch();
        loop {
            tokio::select! {
                command = mailbox.recv() => {
                    let Some(Command { task, reply }) = command else { return };
                    let before = self.entry.record().state;
                    let result = match task {
                        Task::Apply { verb, reason, grace } => self.apply(verb, reason, grace).await,
                        Task::SetNetwork(policy) => self.set_network(policy).await,
                        Task::Update(changes) => self.update(changes).await,
                        Task::SetEnv { unset, set } => self.set_env(&unset, set).await,
                        Task::EndRole(end) => self.end_role(end).await,
                    };
                    let after = self.entry.record().state;
                    if before.is_live() != after.is_live() {
                        death = self.watch();
                    }
                    // The caller may have hung up; the verb is done all the same.
                    let _ = reply.send(result);
                    if after == State::Deleted {
                        return;
                    }
                }
                ended = &mut death => {
                    let cause = ended.unwrap_or_else(|error| {
                        tracing::warn!(sandbox.id = %self.entry.id, error = &error as &dyn std::error::Error,
                            "the runtime could not watch the guest");
                        Death::Ended
                    });
                    self.guest_died(cause).await;
                    death = self.watch();
                }
            }
        }
    }

    /// Resolves when the guest of a live sandbox dies; never for one that has none.
    fn watch(&self) -> Watch {
        if !self.entry.record().state.is_live() {
            return Box::pin(std::future::pending());
        }
        let runtime = Arc::clone(&self.context.ports.runtime);
        let id = self.entry.id;
        Box::pin(async move { runtime.wait(id).await })
    }

    async fn apply(&self, verb: Verb, reason: Reason, grace: Duration) -> Result<Sandbox> {
        let record = self.entry.record();
        match record.state.judge(verb) {
            Decision::AlreadyThere => return Ok(self.entry.snapshot()),
            Decision::Refuse => {
                return Err(Error::Refused { kind: Kind::Sandbox, state: record.state, verb });
            }
            Decision::Go(_) => {}
        }
        match verb {
            Verb::Use => {}
            Verb::Start => self.start(&record).await?,
            Verb::Stop => self.stop(reason, grace).await?,
            Verb::Pause => {
                self.context.ports.runtime.pause(self.entry.id).await?;
                self.enter(State::Paused, Some(reason)).await?;
            }
            // These change nothing of the sandbox that they are of, or have a task of their own, and do not come here.
            Verb::Fork | Verb::Commit | Verb::Update | Verb::Resize => {}
            Verb::Archive => self.archive(&record, reason).await?,
            Verb::Resume => {
                self.context.ports.runtime.resume(self.entry.id).await?;
                self.entry.activity.touch(&*self.context.ports.clock);
                self.enter(State::Running, None).await?;
            }
            Verb::Expire => {
                self.remove_from_host(&record).await?;
                *self.entry.catalogue.lock().await = None;
                // Nobody can use them any more, and the record stays listed for weeks.
                self.context.ports.store.delete_domain_secrets(self.entry.id).await?;
                self.enter(State::Expired, Some(reason)).await?;
            }
            Verb::Delete => self.delete(&record, reason).await?,
        }
        Ok(self.entry.snapshot())
    }

    async fn start(&self, record: &Sandbox) -> Result<()> {
        let spec = runtime_spec(&self.context, record).await?;
        // Before it runs: what opened its ports until now must not open them for a moment longer.
        self.context.ports.store.count_start(self.entry.id).await?;
        match network::start(&self.context, record, &spec).await {
            Ok(()) => {
                self.entry.activity.touch(&*self.context.ports.clock);
                volumes::note_use(&self.context, &record.volumes).await;
                let begun = start_command::run(&self.context, record, &self.entry.image_config).await;
                // Somebody has to be able to look why, so the sandbox runs all the same.
                let reason = begun.err().map(|error| Reason::StartCommandFailed(error.to_string()));
                self.enter(State::Running, reason).await
            }
            Err(error) => {
                self.enter(State::Error, Some(Reason::StartFailed(error.to_string()))).await?;
                Err(error)
            }
        }
    }

    async fn stop(&self, reason: Reason, grace: Duration) -> Result<()> {
        if self.entry.record().state.is_live() {
            self.enter(State::Stopping, Some(reason.clone())).await?;
            network::dismiss(&self.context, self.entry.id).await;
            // A frozen process cannot answer SIGTERM.
            self.context.ports.runtime.stop(self.entry.id, grace).await?;
        }
        self.enter(State::Stopped, Some(reason)).await
    }

    async fn archive(&self, record: &Sandbox, reason: Reason) -> Result<()> {
        self.enter(State::Archiving, Some(reason.clone())).await?;
        // A server killed before the next record is written is put right by the adoption of its next start, which asks the
        // runtime how the disk is.
        if let Err(error) = self.context.ports.runtime.archive(self.entry.id).await {
            self.enter(State::Stopped, record.reason.clone()).await?;
            return Err(error);
        }
        self.enter(State::Archived, Some(reason)).await
    }

    async fn update(&self, changes: SandboxChanges) -> Result<Sandbox> {
        let record = self.entry.record();
        let refuse = |verb| Err(Error::Refused { kind: Kind::Sandbox, state: record.state, verb });
        if record.state.judge(Verb::Update) == Decision::Refuse {
            return refuse(Verb::Update);
        }
        let age = self.context.now().since(record.created_at);
        let lease = changes.lease.over(record.lease, age).check()?;
        let wanted = changes.resources.over(record.resources);
        if wanted != record.resources {
            if record.state.judge(Verb::Resize) == Decision::Refuse {
                return refuse(Verb::Resize);
            }
            check_growth(record.state, &record.resources, &wanted)?;
            self.context.ports.runtime.set_resources(self.entry.id, &wanted).await?;
        }
        let mut changed = self.entry.snapshot();
        changed.resources = wanted;
        changed.lease = lease;
        changed.labels = changes.labels.unwrap_or(changed.labels);
        changed.public = changes.public.unwrap_or(changed.public);
        self.entry.replace(changed.clone());
        self.context.ports.store.update_sandbox(&changed).await?;
        // Its time may be up already.
        self.context.wake.notify_one();
        Ok(self.entry.snapshot())
    }

    /// The id becomes unusable first; then everything goes. A failure leaves a record that can be deleted again.
    async fn delete(&self, record: &Sandbox, reason: Reason) -> Result<()> {
        let mut gone = record.clone();
        gone.state = State::Deleted;
        gone.reason = Some(reason.clone());
        self.entry.replace(gone);
        let removed = async {
            self.remove_from_host(record).await?;
            self.context.ports.store.delete_sandbox(self.entry.id).await
        };
        if let Err(error) = removed.await {
            self.entry.replace(record.clone());
            self.enter(State::Error, Some(Reason::RemoveFailed(error.to_string()))).await?;
            return Err(error);
        }
        self.context.table.remove(self.entry.id);
        let kind = EventKind::StateChanged { state: State::Deleted, reason: Some(reason) };
        self.context.events.publish(&self.context, self.entry.account, Some(self.entry.id), kind).await;
        Ok(())
    }

    async fn remove_from_host(&self, record: &Sandbox) -> Result<()> {
        if record.state == State::Expired {
            return Ok(());
        }
        network::dismiss(&self.context, self.entry.id).await;
        self.context.ports.runtime.delete(self.entry.id).await
    }

    async fn set_network(&self, policy: EgressPolicy) -> Result<Sandbox> {
        let record = self.entry.record();
        match record.state {
            State::Expired | State::Deleted => {
                let state = record.state;
                return Err(Error::Refused { kind: Kind::Sandbox, state, verb: Verb::Use });
            }
            state if state.is_live() => network::change(&self.context, &record, &policy).await?,
            // The next start reads it from the record.
            _ => {}
        }
        let mut changed = self.entry.snapshot();
        changed.network = Some(policy);
        self.entry.replace(changed.clone());
        self.context.ports.store.update_sandbox(&changed).await?;
        Ok(self.entry.snapshot())
    }

    async fn set_env(&self, unset: &[String], mut set: BTreeMap<String, String>) -> Result<Sandbox> {
        let mut changed = self.entry.snapshot();
        changed.env.retain(|name, _| !unset.contains(name));
        changed.env.append(&mut set);
        check_env(&changed.env)?;
        self.entry.replace(changed.clone());
        self.context.ports.store.update_sandbox(&changed).await?;
        Ok(self.entry.snapshot())
    }

    async fn end_role(&self, end: SandboxRole) -> Result<Sandbox> {
        let mut changed = self.entry.snapshot();
        // Its sandbox may have ended first, and its role with it.
        if changed.role.as_ref().is_none_or(|role| role.status != RoleStatus::Applying) {
            return Ok(changed);
        }
        let told = roles::ended(&end);
        changed.role = Some(end);
        self.entry.replace(changed.clone());
        self.context.ports.store.update_sandbox(&changed).await?;
        self.context.events.publish(&self.context, self.entry.account, Some(self.entry.id), told).await;
        Ok(self.entry.snapshot())
    }

    async fn guest_died(&self, death: Death) {
        let record = self.entry.record();
        if !record.state.is_live() {
            return;
        }
        network::dismiss(&self.context, self.entry.id).await;
        // What is left of it on the host: nothing that runs, but mounts and cgroups want to go.
        if let Err(error) = self.context.ports.runtime.stop(self.entry.id, Duration::ZERO).await {
            tracing::error!(sandbox.id = %self.entry.id, error = &error as &dyn std::error::Error,
                "the remains of a dead sandbox could not be removed");
        }
        let reason = match death {
            Death::Ended => Reason::GuestDied,
            Death::OutOfMemory => Reason::OutOfMemory,
            Death::HostDiskFull => Reason::HostDiskFull,
        };
        if let Err(error) = self.enter(State::Stopped, Some(reason)).await {
            tracing::error!(sandbox.id = %self.entry.id, error = &error as &dyn std::error::Error,
                "the end of a sandbox could not be recorded");
        }
    }

    async fn enter(&self, state: State, reason: Option<Reason>) -> Result<()> {
        let mut record = self.entry.snapshot();
        record.state = state;
        record.reason.clone_from(&reason);
        record.state_since = self.context.now();
        let role = if state.is_live() { None } else { roles::interrupt(&mut record) };
        // Memory first: it is what every request reads, and what the host is now like.
        self.entry.replace(record.clone());
        if !state.is_live() {
            *self.entry.home.lock().expect("no panic under this lock") = None;
            self.entry.interpreters.forget().await;
            self.entry.language_servers.forget();
            self.entry.sessions.forget().await;
            self.entry.terminals.forget();
        }
        self.context.ports.store.update_sandbox(&record).await?;
        for kind in [Some(EventKind::StateChanged { state, reason }), role].into_iter().flatten() {
            self.context.events.publish(&self.context, self.entry.account, Some(self.entry.id), kind).await;
        }
        if record.lease.delete_stopped_after == Some(Duration::ZERO) {
            self.context.wake.notify_one();
        }
        Ok(())
    }
}

/// Refuses bounds that the disk or the processes of a sandbox in this state may have outgrown.
fn check_growth(state: State, now: &Resources, wanted: &Resources) -> Result<()> {
    if wanted.disk_bytes < now.disk_bytes {
        return Err(Error::invalid("disk_bytes", format!("a disk does not shrink from {}", now.disk_bytes)));
    }
    if !state.is_live() {
        return Ok(());
    }
    if wanted.disk_bytes != now.disk_bytes {
        return Err(Error::invalid("disk_bytes", "a disk grows while its sandbox is stopped"));
    }
    if wanted.memory_bytes < now.memory_bytes {
        let reason = format!("may not fall below {} while the sandbox runs", now.memory_bytes);
        return Err(Error::invalid("memory_bytes", reason));
    }
    Ok(())
}

/// What the runtime is told about a sandbox.
pub(super) async fn runtime_spec(context: &Context, record: &Sandbox) -> Result<RuntimeSpec> {
    let rootfs = context.ports.images.rootfs(&record.image_digest).await?;
    Ok(RuntimeSpec {
        id: record.id,
        rootfs,
        resources: record.resources,
        hostname: hostname(&record.name, record.id),
        network: network::policy_of(context, record),
        volumes: record.volumes.clone(),
    })
}

/// A host name from a sandbox's name: letters, digits and hyphens, at most 63 (RFC 1123); the id where nothing is left.
fn hostname(name: &str, id: SandboxId) -> String {
    let kept: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(63)
        .collect();
    let trimmed = kept.trim_matches('-');
    if trimmed.is_empty() { id.to_string() } else { trimmed.to_owned() }
}

/// The default time between SIGTERM and SIGKILL.
pub(super) const DEFAULT_GRACE: Duration = limits::STOP_GRACE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_makes_a_valid_host_name() {
        let id = SandboxId::from_bytes([7; 16]);
        for (name, want) in [
            ("Report 7", "report-7"),
            ("été", "t"),
            ("--", id.to_string().as_str()),
            ("x".repeat(80).as_str(), "x".repeat(63).as_str()),
        ] {
            assert_eq!(hostname(name, id), want);
        }
    }
}
