//! Roles: which ones there are, and applying one inside a sandbox after its first start.
//!
//! ```text
//!   create ──▶ outlook ── applied or failed at once
//!                  └── applying ──▶ task: background exec of driver.sh ──▶ events
//!   stop, death ──▶ the sandbox's driver: failed          └── its end ──▶ the sandbox's driver: applied or failed
//!   the server ends ──▶ the exec goes on; the next server attaches to it by its id
//! ```
//!
//! Not here: what the script's words mean (`progress.rs`).

mod progress;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::progress::{News, Progress, too_long};
use super::context::Context;
use super::lease::InUse;
use super::sandboxes::use_current;
use super::table::Entry;
use super::{driver, execs, network};
use crate::{
    Activity, Caller, EgressPolicy, Error, EventKind, ExecEvent, ExecId, ExecProblem, ExecSession, ExecSpec,
    Image, Keep, PackageManager, Removal, Result, Role, RoleStatus, RoleStep, Sandbox, SandboxId,
    SandboxRole, Scope, limits,
};

/// Applies a role, as its header says.
const DRIVER: &str = include_str!("driver.sh");
/// How much later than the guest the server gives a role up: a guest that keeps its time has told by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Roles of this server; all accounts share them.
#[derive(Clone)]
pub struct Roles {
    pub(super) context: Arc<Context>,
}

impl Roles {
    /// Every role, by id.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub fn list(&self, caller: &Caller) -> Result<Vec<Role>> {
        caller.need(Scope::SandboxesRead)?;
        Ok(self.context.settings.roles.iter().cloned().collect())
    }
}

/// The roles that are being applied.
#[derive(Default)]
pub(super) struct RoleTasks {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl RoleTasks {
    /// Lets go of every role that is being applied: inside, it goes on.
    pub(super) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The role of this id.
///
/// # Errors
/// [`Error::Invalid`] naming those that there are.
pub(super) fn find<'a>(context: &'a Context, id: &str) -> Result<&'a Role> {
    context.settings.roles.get(id).ok_or_else(|| {
        let known: Vec<&str> = context.settings.roles.iter().map(|role| role.id.as_str()).collect();
        let reason = match known.as_slice() {
            [] => "this server has no roles".to_owned(),
            known => format!("'{}' is not one of {}", id.escape_debug(), known.join(", ")),
        };
        Error::invalid("role", reason)
    })
}

/// How it stands with a role for a sandbox that is about to be made. What cannot work is told before it is tried, since
/// package managers find out after minutes.
pub(super) fn outlook(context: &Context, role: &Role, image: &Image, record: &Sandbox) -> SandboxRole {
    let id = role.id.clone();
    if role.is_empty() {
        return SandboxRole { id, status: RoleStatus::Applied, message: None };
    }
    if role.installs() && image.built_in {
        let why =
            format!("nothing can be installed in the image {}: its /usr is the host's own", record.image);
        return SandboxRole::failed(&id, why);
    }
    if role.installs() && network::policy_of(context, record) == EgressPolicy::Disabled {
        return SandboxRole::failed(&id, "no network: the sandbox's policy is disabled");
    }
    SandboxRole { id, status: RoleStatus::Applying, message: None }
}

/// Tells how it stands with the role of a new sandbox, and begins to apply it if that is to be done.
pub(super) async fn begin(context: &Arc<Context>, made: &Sandbox) {
    let (Some(role), Some(entry)) = (&made.role, context.table.find(made.id)) else { return };
    if role.status != RoleStatus::Applying {
        context.events.publish(context, made.account, Some(made.id), ended(role)).await;
        return;
    }
    let news = News { step: RoleStep::Started, packages: None };
    tell(context, &entry, &role.id, news).await;
    go_on(context, &entry);
}

/// Goes on with the role of a sandbox, if it is being applied.
pub(super) fn go_on(context: &Arc<Context>, entry: &Arc<Entry>) {
    let record = entry.record();
    let Some(role) = record.role.as_ref().filter(|role| role.status == RoleStatus::Applying) else { return };
    let (context, entry, id) = (Arc::clone(context), Arc::clone(entry), role.id.clone());
    let tasks = context.roles.tasks.clone();
    tasks.spawn(async move {
        let stop = context.roles.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = apply(&context, &entry, &id) => {}
        }
    });
}

/// A sandbox that does not live has no role that is being applied. Tells of the end, if there is one.
pub(super) fn interrupt(record: &mut Sandbox) -> Option<EventKind> {
    let role = record.role.as_mut().filter(|role| role.status == RoleStatus::Applying)?;
    *role = SandboxRole::failed(&role.id, "interrupted: the sandbox has stopped");
    Some(ended(role))
}

/// The event that tells how it ended with a role.
pub(super) fn ended(role: &SandboxRole) -> EventKind {
    let step = match role.status {
        RoleStatus::Applying | RoleStatus::Applied => RoleStep::Applied,
        RoleStatus::Failed => RoleStep::Failed,
    };
    EventKind::RoleProgress { role: role.id.clone(), step, packages: None, message: role.message.clone() }
}

/// The id of the exec that applies the role of this sandbox. The sandbox's own is that of its start command, and this is
/// the one beside it.
const fn exec_id(sandbox: SandboxId) -> ExecId {
    let mut bytes = *sandbox.as_bytes();
    bytes[15] ^= 1;
    ExecId::from_bytes(bytes)
}

/// Applies the role to its end, and has the sandbox's driver write down how it ended.
async fn apply(context: &Arc<Context>, entry: &Arc<Entry>, id: &str) {
    // Paused, it can wait; ended, its driver has said so.
    let guard = loop {
        if !entry.runs().await {
            return;
        }
        match use_current(context, entry.id, Activity::Counts).await {
            Ok((_, guard)) => break guard,
            Err(Error::Refused { .. }) => {}
            Err(_) => return,
        }
    };
    let end = match context.settings.roles.get(id) {
        Some(role) => {
            let bounded =
                tokio::time::timeout(limits::ROLE_TIMEOUT + PATIENCE, run(context, entry, role, &guard));
            tokio::select! {
                end = bounded => end.unwrap_or_else(|_| SandboxRole::failed(id, too_long())),
                // Its driver says so.
                _ = entry.ended() => return,
            }
        }
        None => SandboxRole::failed(id, "interrupted: the server came back without this role"),
    };
    tracing::info!(sandbox.id = %entry.id, role = id, status = %end.status, "a role came to its end");
    // What it printed can be read as long as there is something to find out.
    let forget = end.status == RoleStatus::Applied && end.message.is_none();
    // It may be gone by now, with its role.
    let _ = driver::send(entry, driver::Task::EndRole(end)).await;
    if forget {
        // As it ended, nothing depends on this.
        let _ = context.ports.guest.remove_exec(entry.id, exec_id(entry.id), Removal::Kill).await;
    }
}

async fn run(context: &Context, entry: &Entry, role: &Role, guard: &InUse) -> SandboxRole {
    let session = match guard.counted(attach_or_start(context, entry, role).await).await {
        Ok(session) => session,
        Err(Error::Exec { problem: ExecProblem::ProgramNotFound, .. }) => {
            return SandboxRole::failed(&role.id, "no shell in the image");
        }
        Err(error) => return SandboxRole::failed(&role.id, format!("could not be begun: {error}")),
    };
    // The input is held to the end: a closed one would read as somebody who hung up.
    let ExecSession { input: _held, mut events, .. } = session;
    let mut progress = Progress::new(role);
    let mut counted: Option<Duration> = None;
    while let Some(Ok(event)) = events.recv().await {
        match event {
            ExecEvent::Stdout(bytes) => {
                for news in progress.said(&bytes) {
                    if is_due(&mut counted, news, context.ports.clock.monotonic()) {
                        tell(context, entry, &role.id, news).await;
                    }
                }
            }
            ExecEvent::Stderr(bytes) => progress.complained(&bytes),
            ExecEvent::Skipped(_) => progress.skipped(),
            ExecEvent::Exited(output) => return progress.end(&output),
        }
    }
    let error = ExecSession::broken_off(Some(guard)).await;
    SandboxRole::failed(&role.id, format!("interrupted: {error}"))
}

/// Whether there shall be an event of it. The first and the last count are told, and between them not every one of them.
fn is_due(counted: &mut Option<Duration>, news: News, now: Duration) -> bool {
    let Some(count) = news.packages else { return true };
    let is_last = count.installed == count.wanted;
    if !is_last && counted.is_some_and(|last| now.saturating_sub(last) < limits::ROLE_EVENT_INTERVAL) {
        return false;
    }
    *counted = Some(now);
    true
}

/// The exec of the role: the one that an earlier server has started, or a new one.
async fn attach_or_start(context: &Context, entry: &Entry, role: &Role) -> Result<ExecSession> {
    let (guest, exec) = (&context.ports.guest, exec_id(entry.id));
    match guest.attach(entry.id, exec, 0).await {
        Err(Error::NotFound { .. }) => {}
        attached => return attached,
    }
    let spec = execs::complete(entry, exec_spec(role));
    guest.exec_background(entry.id, exec, &spec, &Keep::default()).await
}

fn exec_spec(role: &Role) -> ExecSpec {
    let mut env = BTreeMap::from([("LAZARET_ROLE".to_owned(), DRIVER.to_owned())]);
    for manager in PackageManager::ALL {
        let name = format!("LAZARET_ROLE_{}", manager.name().to_ascii_uppercase());
        env.insert(name, role.packages_for(manager).join(" "));
    }
    let installs = if role.installs() { "yes" } else { "" };
    env.insert("LAZARET_ROLE_INSTALLS".to_owned(), installs.to_owned());
    env.insert("LAZARET_ROLE_SCRIPT".to_owned(), role.script.clone().unwrap_or_default());
    ExecSpec {
        // Short, since listings of execs show it.
        command: ["sh", "-c", "eval \"$LAZARET_ROLE\"", "lazaret-role"].map(str::to_owned).to_vec(),
        cwd: Some("/".to_owned()),
        env,
        user: Some("0:0".to_owned()),
        timeout: Some(limits::ROLE_TIMEOUT),
        output_limit_bytes: Some(limits::ROLE_OUTPUT_MAX_BYTES),
        ..ExecSpec::default()
    }
}

async fn tell(context: &Context, entry: &Entry, role: &str, news: News) {
    let News { step, packages } = news;
    let kind = EventKind::RoleProgress { role: role.to_owned(), step, packages, message: None };
    context.events.publish(context, entry.account, Some(entry.id), kind).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackageCount;

    #[test]
    fn counts_are_told_first_last_and_seldom_between_and_steps_always() {
        let mut counted = None;
        let count = |installed| News {
            step: RoleStep::Packages,
            packages: Some(PackageCount { installed, wanted: 9 }),
        };
        let told: Vec<u32> = (0..=9)
            .filter(|number| {
                let at = Duration::from_millis(200) * *number;
                assert!(is_due(&mut counted, News { step: RoleStep::Index, packages: None }, at));
                is_due(&mut counted, count(*number), at)
            })
            .collect();
        assert_eq!(told, [0, 3, 6, 9]);
    }

    #[test]
    fn the_exec_of_a_role_is_not_that_of_the_start_command() {
        let sandbox = SandboxId::from_bytes([7; 16]);
        assert_ne!(exec_id(sandbox), super::super::start_command::exec_id(sandbox));
    }
}
