//! Coming up and going down: what the last server left is adopted before the first request.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::actions::Actions;
use super::audit::AuditLog;
use super::context::{Context, Ports};
use super::lease::LastUse;
use super::settings::Settings;
use super::table::{Entry, Table};
use super::{
    Accounts, Audit, Builds, Catalogue, Events, Execs, Files, Git, Images, Ingress, Interpreters,
    LanguageServers, Previews, Roles, Sandboxes, Sessions, SignedFiles, Templates, Terminals, Uploads,
    Volumes, builds, driver, events, network, pulls, reconcile, roles, templates, volumes,
};
use crate::ports::Adopted;
use crate::{ImageConfig, Reason, Result, Sandbox, SandboxId, State, Viewer};

/// All services, sharing one context. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Accounts and keys.
    pub accounts: Accounts,
    /// Sandboxes.
    pub sandboxes: Sandboxes,
    /// Execs in sandboxes.
    pub execs: Execs,
    /// The twelve actions of agents.
    pub actions: Actions,
    /// Interpreters in sandboxes that keep their variables.
    pub interpreters: Interpreters,
    /// Language servers in sandboxes.
    pub language_servers: LanguageServers,
    /// Shells in sandboxes that keep their state.
    pub sessions: Sessions,
    /// Terminals in sandboxes.
    pub terminals: Terminals,
    /// Files in sandboxes, by path.
    pub files: Files,
    /// Git in sandboxes.
    pub git: Git,
    /// Files in sandboxes, by id.
    pub catalogue: Catalogue,
    /// Uploaded files.
    pub uploads: Uploads,
    /// Images.
    pub images: Images,
    /// Building images.
    pub builds: Builds,
    /// Saved recipes for sandboxes.
    pub templates: Templates,
    /// Recipes that are applied to new sandboxes.
    pub roles: Roles,
    /// Directories that outlive sandboxes.
    pub volumes: Volumes,
    /// Ports inside sandboxes.
    pub ingress: Ingress,
    /// The same ports for those who have no key.
    pub previews: Previews,
    /// Files for those who have no key.
    pub signed_files: SignedFiles,
    /// Events.
    pub events: Events,
    /// Refused requests, for the operator.
    pub audit: Audit,
    context: Arc<Context>,
    background: Arc<Background>,
}

struct Background {
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Services {
    /// Adopts what is on the host, drops what has no record, and starts the reconcilers.
    ///
    /// # Errors
    /// What the store or the runtime reports; nothing serves requests then.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Self> {
        let context = Arc::new(Context {
            ports,
            settings,
            table: Table::default(),
            events: events::EventLog::default(),
            audit: AuditLog::default(),
            pulls: pulls::Pulls::default(),
            builds: builds::BuildTable::default(),
            templates: templates::Table::default(),
            roles: roles::RoleTasks::default(),
            volumes: Arc::default(),
            images_in_use: Arc::default(),
            images_collected: Mutex::default(),
            wake: tokio::sync::Notify::new(),
            blobs_in_use: Arc::default(),
            unused_blobs: AtomicBool::new(true),
        });
        adopt(&context).await?;
        volumes::adopt(&context).await?;
        templates::adopt(&context).await?;
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(reconcile::run(Arc::clone(&context), stop.clone())),
            tokio::spawn(network::report_denials(Arc::clone(&context), stop.clone())),
        ];
        let shared = || Arc::clone(&context);
        Ok(Self {
            accounts: Accounts { context: shared(), known: Arc::default() },
            sandboxes: Sandboxes { context: shared() },
            execs: Execs { context: shared() },
            actions: Actions {
                context: shared(),
                sandboxes: Sandboxes { context: shared() },
                execs: Execs { context: shared() },
                files: Files { context: shared() },
                git: Git { context: shared() },
                templates: Templates { context: shared() },
            },
            interpreters: Interpreters { context: shared() },
            language_servers: LanguageServers { context: shared() },
            sessions: Sessions { context: shared() },
            terminals: Terminals { context: shared() },
            files: Files { context: shared() },
            git: Git { context: shared() },
            catalogue: Catalogue { context: shared() },
            uploads: Uploads { context: shared() },
            images: Images { context: shared() },
            builds: Builds { context: shared() },
            templates: Templates { context: shared() },
            roles: Roles { context: shared() },
            volumes: Volumes { context: shared() },
            ingress: Ingress { context: shared() },
            previews: Previews { context: shared() },
            signed_files: SignedFiles {
                context: shared(),
                files: Files { context: shared() },
                execs: Execs { context: shared() },
            },
            events: Events { context: shared() },
            audit: Audit { context: shared() },
            background: Arc::new(Background { stop, tasks: Mutex::new(tasks) }),
            context,
        })
    }

    /// One pass of every reconciler, now; the timer's passes go on.
    pub async fn reconcile(&self) {
        reconcile::pass(&self.context).await;
    }

    /// Makes the image of sandboxes whose maker names none ready, so that the first of them does not wait for it; one that
    /// is made meanwhile waits for the same work.
    ///
    /// # Errors
    /// What the images report.
    pub async fn prepare_default_image(&self) -> Result<()> {
        self.context.ports.images.find(&self.context.settings.default_image, Viewer::Server).await.map(drop)
    }

    /// Ends builds, pulls and background tasks, and writes what was not yet written. Sandboxes go on, and roles in them.
    pub async fn shutdown(&self) {
        self.context.roles.shutdown().await;
        self.context.templates.shutdown().await;
        self.context.builds.shutdown().await;
        self.context.pulls.shutdown().await;
        self.background.stop.cancel();
        let tasks = std::mem::take(&mut *self.background.tasks.lock().expect("no panic under this lock"));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a background task did not end well"
                );
            }
        }
    }

    /// Succeeds if the store answers.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn check(&self) -> Result<()> {
        self.context.ports.store.list_accounts().await.map(drop)
    }

    /// What the runtime can do.
    pub fn runtime_capabilities(&self) -> crate::ports::RuntimeCapabilities {
        self.context.ports.runtime.capabilities()
    }
}

/// Compares the records with the host and makes them agree.
async fn adopt(context: &Arc<Context>) -> Result<()> {
    let runtime = &context.ports.runtime;
    let mut found: HashMap<SandboxId, Adopted> =
        runtime.adopt().await?.into_iter().map(|adopted| (adopted.id, adopted)).collect();
    for record in context.ports.store.list_sandboxes().await? {
        let adopted = found.remove(&record.id);
        let record = settle(context, record, adopted).await?;
        let was_networked = adopted.is_some_and(|adopted| adopted.addresses.is_some());
        let record = settle_network(context, record, was_networked).await?;
        let record = settle_role(context, record).await?;
        let image = context.ports.images.find(&record.image_digest.to_string(), Viewer::Server).await?;
        let image_config = image.map_or_else(ImageConfig::default, |image| image.config);
        let activity = LastUse::since(record.last_active_at, &*context.ports.clock);
        let (sender, mailbox) = driver::mailbox();
        let entry = Arc::new(Entry::new(record, image_config, activity, sender));
        context.table.insert(Arc::clone(&entry));
        driver::spawn(Arc::clone(context), Arc::clone(&entry), mailbox);
        roles::go_on(context, &entry);
    }
    for orphan in found.into_keys() {
        tracing::warn!(sandbox.id = %orphan, "removing a sandbox that has no record");
        runtime.delete(orphan).await?;
    }
    Ok(())
}

/// A sandbox whose policy cannot be enforced any more must not go on.
async fn settle_network(context: &Context, record: Sandbox, was_networked: bool) -> Result<Sandbox> {
    if !record.state.is_live() {
        return Ok(record);
    }
    let Err(error) = network::adopt(context, &record, was_networked).await else { return Ok(record) };
    tracing::error!(sandbox.id = %record.id, error = &error as &dyn std::error::Error,
        "the network policy of an adopted sandbox cannot be enforced; it is stopped");
    context.ports.runtime.stop(record.id, Duration::ZERO).await?;
    let reason = Reason::StartFailed(format!("its network policy cannot be enforced: {error}"));
    let stopped = Sandbox { state: State::Error, reason: Some(reason), state_since: context.now(), ..record };
    context.ports.store.update_sandbox(&stopped).await?;
    Ok(stopped)
}

/// A role that was being applied in what does not live any more came to nothing.
async fn settle_role(context: &Context, mut record: Sandbox) -> Result<Sandbox> {
    if !record.state.is_live()
        && let Some(told) = roles::interrupt(&mut record)
    {
        context.ports.store.update_sandbox(&record).await?;
        context.events.publish(context, record.account, Some(record.id), told).await;
    }
    Ok(record)
}

/// The record as the host says it is.
async fn settle(context: &Context, mut record: Sandbox, adopted: Option<Adopted>) -> Result<Sandbox> {
    let runtime = &context.ports.runtime;
    let alive = adopted.is_some_and(|adopted| adopted.alive);
    let packed = adopted.is_some_and(|adopted| adopted.archived);
    let (state, reason) = match record.state {
        // The last server died while it packed or unpacked the disk: what is on the host is what it is.
        State::Archiving | State::Archived if !alive => {
            (if packed { State::Archived } else { State::Stopped }, record.reason.clone())
        }
        // The last server died while it stopped or deleted this one; a delete that was not answered is not done.
        State::Stopping
        | State::Stopped
        | State::Archiving
        | State::Archived
        | State::Error
        | State::Deleted => {
            if alive {
                runtime.stop(record.id, Duration::ZERO).await?;
            }
            match record.state {
                State::Stopping | State::Archiving | State::Archived => {
                    (State::Stopped, record.reason.clone())
                }
                state => (state, record.reason.clone()),
            }
        }
        State::Expired => {
            if adopted.is_some() {
                runtime.delete(record.id).await?;
            }
            (State::Expired, record.reason.clone())
        }
        State::Creating | State::Running | State::Paused if alive => {
            let paused = adopted.is_some_and(|adopted| adopted.paused);
            (if paused { State::Paused } else { State::Running }, record.reason.clone())
        }
        State::Creating | State::Running | State::Paused => {
            if adopted.is_some() {
                runtime.stop(record.id, Duration::ZERO).await?;
            }
            (State::Stopped, Some(Reason::LostWithHost))
        }
    };
    if state != record.state {
        tracing::info!(sandbox.id = %record.id, was = %record.state, is = %state, "adopted");
        record.state = state;
        record.reason = reason;
        record.state_since = context.now();
        context.ports.store.update_sandbox(&record).await?;
    }
    Ok(record)
}
