//! Making, finding, listing and ending sandboxes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::audit;
use super::context::Context;
use super::driver;
use super::image_collection::{HeldImage, hold, obtain_held};
use super::lease::{self, InUse, LastUse};
use super::roles;
use super::start_command;
use super::table::{Entry, Place};
use super::templates;
use super::volumes::HeldVolumes;
use crate::ports::{EgressUsage, Usage};
use crate::sandbox::check_env;
use crate::{
    Activity, Caller, Decision, DomainSecrets, EgressPolicy, Error, EventKind, FileScope, Kind, NameUse,
    Order, Page, PageRequest, Reason, Refusal, Result, Sandbox, SandboxId, SandboxSpec, Scope, SeedFile,
    State, Template, TemplateSource, Upload, Verb, WriteOptions, limits,
};

/// Which sandboxes a listing shows.
#[derive(Debug, Clone, Default)]
pub struct SandboxFilter {
    /// Exactly this name.
    pub name: Option<String>,
    /// In one of these states; empty for any.
    pub states: Vec<State>,
    /// With all of these labels.
    pub labels: Vec<(String, String)>,
}

impl SandboxFilter {
    fn admits(&self, sandbox: &Sandbox) -> bool {
        self.name.as_ref().is_none_or(|name| *name == sandbox.name)
            && (self.states.is_empty() || self.states.contains(&sandbox.state))
            && self.labels.iter().all(|(key, value)| sandbox.labels.get(key) == Some(value))
    }
}

/// What a sandbox uses, with a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// What it uses now.
    pub usage: Usage,
    /// CPU time in the last moment, of what it may have in it, in percent.
    pub cpu_percent: f64,
    /// When that was.
    pub at: crate::Timestamp,
}

/// Sandboxes of the caller's account.
#[derive(Clone)]
pub struct Sandboxes {
    pub(super) context: Arc<Context>,
}

impl Sandboxes {
    /// Makes a sandbox and returns it running, with its files in place; or makes nothing. Its role is applied from then on, and
    /// [`Sandbox::role`] says how it stands.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a field out of its range or the tier's; [`Error::NotFound`] for an image, upload or volume;
    /// [`Error::Upstream`] if an image that is not here cannot be pulled;
    /// [`Error::AlreadyExists`] for a name that is to be unique and is not;
    /// [`Error::LimitReached`] for the account's quota or the host's disk; [`Error::Exec`] for its start command; what the
    /// runtime reports.
    pub async fn create(&self, caller: &Caller, spec: SandboxSpec) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        spec.check()?;
        let tier = self.context.settings.tier(&caller.tier);
        tier.allow(&spec.resources)?;
        let wanted = spec.network.as_ref().unwrap_or(&self.context.settings.default_network);
        super::network::check(&self.context, wanted)?;
        let role = spec.role.as_deref().map(|id| roles::find(&self.context, id)).transpose()?;
        let template = match &spec.template {
            Some(name) => Some(templates::usable(&self.context, caller, name)?),
            None => None,
        };
        let seeds = self.find_seeds(caller, &spec.files).await?;
        let (volumes, held_volumes) = super::volumes::resolve(&self.context, caller, &spec.volumes).await?;
        let (image_name, image) = match &template {
            Some(template) => self.image_of(template).await?,
            None => {
                let name = spec.image.as_deref().unwrap_or(&self.context.settings.default_image);
                (name.to_owned(), obtain_held(&self.context, caller.account, name).await?)
            }
        };
        let recipe = template.as_ref().map(|template| template.recipe.clone()).unwrap_or_default();
        let mut env = recipe.env;
        env.extend(spec.env.clone());
        check_env(&env)?;

        let now = self.context.now();
        let id = SandboxId::from_bytes(self.context.ports.ids.next(now));
        let record = Sandbox {
            id,
            account: caller.account,
            name: spec.name.clone().unwrap_or_else(|| default_name(id)),
            image: image_name,
            image_digest: image.image.digest,
            resources: spec.resources,
            env,
            cwd: spec.cwd.as_ref().map(crate::FilePath::to_text).or(recipe.cwd),
            user: spec.user.clone().or(recipe.user),
            network: spec.network.clone(),
            template: template.as_ref().map(|template| template.name.clone()),
            start_command: spec.start_command.clone().unwrap_or(recipe.start_command),
            role: None,
            volumes,
            labels: spec.labels.clone(),
            public: spec.public,
            lease: spec.lease,
            state: State::Running,
            reason: None,
            created_at: now,
            last_active_at: now,
            state_since: now,
            sequence: 0,
        };
        let secrets = super::secrets::make(&self.context, &spec)?;
        let mut record = record;
        record.role = role.map(|role| roles::outlook(&self.context, role, &image.image, &record));
        if let Some(secrets) = &secrets {
            super::secrets::announce(secrets, &mut record.env);
        }
        let (context, account) = (Arc::clone(&self.context), caller.account);
        if spec.name_use == NameUse::Unique {
            // Told before an image is pulled for nothing; decided with the place.
            self.context.table.check_name(account, &record.name)?;
        }
        // A task of its own: a client that hangs up half-way must not leave half a sandbox.
        let made = tokio::spawn(async move {
            let unique = (spec.name_use == NameUse::Unique).then_some(record.name.as_str());
            let place = context.table.reserve(account, tier.sandboxes_max, unique)?;
            let creation = Creation {
                context: &context,
                record,
                secrets,
                image,
                seeds,
                origin: None,
                volumes: held_volumes,
                place,
            };
            let made = creation.run().await?;
            roles::begin(&context, &made).await;
            Ok::<_, Error>(made)
        });
        let made = made.await.map_err(Error::internal)??;
        if let Some(template) = template {
            templates::note_use(&self.context, template.id).await;
        }
        Ok(made)
    }

    /// The image of a template, held, and what a sandbox of it says that its image is.
    async fn image_of(&self, template: &Template) -> Result<(String, HeldImage)> {
        let missing = || Error::not_found(Kind::Image, format!("of template {}", template.name));
        let digest = template.image.ok_or_else(missing)?;
        let held = hold(&self.context, &digest).await?.ok_or_else(missing)?;
        let name = match &template.source {
            TemplateSource::Image(name) => name.clone(),
            TemplateSource::Sandbox(_) | TemplateSource::Build => digest.to_string(),
        };
        Ok((name, held))
    }

    async fn find_seeds(&self, caller: &Caller, files: &[SeedFile]) -> Result<Vec<(SeedFile, Upload)>> {
        let mut seeds = Vec::with_capacity(files.len());
        for file in files {
            seeds.push((file.clone(), super::uploads::find(&self.context, caller, file.upload).await?));
        }
        Ok(seeds)
    }

    /// Bounds of a sandbox whose maker names none; a dialect fills in what its caller left out.
    pub fn default_resources(&self) -> crate::Resources {
        self.context.settings.default_resources
    }

    /// What a sandbox may reach, whether its maker said so or the server's settings do.
    pub fn network_of(&self, sandbox: &Sandbox) -> EgressPolicy {
        super::network::policy_of(&self.context, sandbox)
    }

    /// Who programs of a sandbox run as, by its maker's word or its image's; `None` for root.
    pub fn user_of(&self, sandbox: &Sandbox) -> Option<String> {
        let of_image = || self.context.table.find(sandbox.id)?.image_config.user.clone();
        sandbox.user.clone().or_else(of_image)
    }

    /// A sandbox as it is now. Does not count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not this account's.
    pub async fn get(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        caller.need(Scope::SandboxesRead)?;
        Ok(find_current(&self.context, caller, id).await?.snapshot())
    }

    /// A sandbox as it is now; counts as use if it runs.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not this account's.
    pub async fn get_and_renew(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        caller.need(Scope::SandboxesRead)?;
        let entry = find_current(&self.context, caller, id).await?;
        if entry.record().state == State::Running {
            entry.activity.touch(&*self.context.ports.clock);
        }
        Ok(entry.snapshot())
    }

    /// Succeeds if the sandbox can be used now, for a dialect that tells of this before it looks at the rest of a
    /// request. Does not count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not this account's; [`Error::Refused`] if it does not run.
    pub async fn check_usable(&self, caller: &Caller, id: SandboxId) -> Result<()> {
        caller.need(Scope::SandboxesRead)?;
        let entry = find_current(&self.context, caller, id).await?;
        judge_use(&entry)
    }

    /// The ids of the account's sandboxes with this name, newest first; expired ones are left out.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub fn find_by_name(&self, caller: &Caller, name: &str) -> Result<Vec<SandboxId>> {
        caller.need(Scope::SandboxesRead)?;
        let mut ids: Vec<_> = self
            .context
            .table
            .all()
            .iter()
            .map(|entry| entry.record())
            .filter(|s| s.account == caller.account && s.name == name && s.state != State::Expired)
            .map(|sandbox| sandbox.id)
            .collect();
        ids.reverse();
        Ok(ids)
    }

    /// A page of the account's sandboxes in creation order.
    ///
    /// # Errors
    /// [`Error::NotFound`] for [`Kind::Cursor`] if `page.after` never was this account's.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &SandboxFilter,
        page: PageRequest<SandboxId>,
    ) -> Result<Page<Sandbox>> {
        caller.need(Scope::SandboxesRead)?;
        let after = match page.after {
            Some(id) => Some(self.place_of(caller, id).await?),
            None => None,
        };
        let mut entries = self.context.table.all();
        entries.retain(|entry| entry.account == caller.account);
        if page.order == Order::Descending {
            entries.reverse();
        }
        let mut items = Vec::new();
        for entry in entries {
            let sequence = entry.record().sequence;
            let behind = match (after, page.order) {
                (None, _) => true,
                (Some(place), Order::Ascending) => sequence > place,
                (Some(place), Order::Descending) => sequence < place,
            };
            if !behind {
                continue;
            }
            expire_if_due(&self.context, &entry).await?;
            let sandbox = entry.snapshot();
            if sandbox.state != State::Deleted && filter.admits(&sandbox) {
                items.push(sandbox);
                if items.len() > page.limit {
                    break;
                }
            }
        }
        Ok(Page::cut(items, page.limit))
    }

    async fn place_of(&self, caller: &Caller, id: SandboxId) -> Result<u64> {
        if let Some(entry) = self.context.table.find(id).filter(|entry| entry.account == caller.account) {
            return Ok(entry.record().sequence);
        }
        let place = self.context.ports.store.find_deleted_sandbox(caller.account, id).await?;
        place.ok_or_else(|| Error::not_found(Kind::Cursor, id))
    }

    /// Brings a stopped sandbox back with its disk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`State::judge`]; what the runtime reports.
    pub async fn start(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        self.apply(caller, id, Verb::Start, Duration::ZERO).await
    }

    /// Ends the processes, by force after `grace` ([`limits::STOP_GRACE`] if `None`), and keeps the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`State::judge`]; what the runtime reports.
    pub async fn stop(&self, caller: &Caller, id: SandboxId, grace: Option<Duration>) -> Result<Sandbox> {
        let grace = grace.unwrap_or(driver::DEFAULT_GRACE);
        if grace > limits::STOP_GRACE_MAX {
            let reason = format!("must be at most {} ms", limits::STOP_GRACE_MAX.as_millis());
            return Err(Error::invalid("grace_ms", reason));
        }
        self.apply(caller, id, Verb::Stop, grace).await
    }

    /// Freezes the processes, with their memory.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`State::judge`]; [`Error::Unsupported`] by the runtime.
    pub async fn pause(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        if !self.context.ports.runtime.capabilities().pause {
            return Err(Error::Unsupported { what: "pause, by this runtime".to_owned() });
        }
        self.apply(caller, id, Verb::Pause, Duration::ZERO).await
    }

    /// Thaws the processes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`State::judge`]; what the runtime reports.
    pub async fn resume(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        self.apply(caller, id, Verb::Resume, Duration::ZERO).await
    }

    /// Kills every process and removes everything. The id is unusable from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the second delete; what the runtime reports, in which case it can be tried again.
    pub async fn delete(&self, caller: &Caller, id: SandboxId) -> Result<()> {
        self.apply(caller, id, Verb::Delete, Duration::ZERO).await.map(drop)
    }

    pub(super) async fn apply(
        &self,
        caller: &Caller,
        id: SandboxId,
        verb: Verb,
        grace: Duration,
    ) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        let entry = find_current(&self.context, caller, id).await?;
        driver::request(&entry, verb, Reason::Requested, grace).await
    }

    /// Changes what a sandbox may reach, from now on: connections that the new policy refuses are ended. One that does
    /// not run has the policy from its next start on. Does not count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] for one that has expired; [`Error::Unsupported`] for a policy that
    /// cannot be enforced here; [`Error::Invalid`] for one that makes no sense.
    pub async fn set_network(&self, caller: &Caller, id: SandboxId, policy: EgressPolicy) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        super::network::check(&self.context, &policy)?;
        let entry = find_current(&self.context, caller, id).await?;
        driver::send(&entry, driver::Task::SetNetwork(policy)).await
    }

    /// Changes the variables of later execs: takes away what `unset` names, then sets what `set` says. What the image
    /// configures stays beneath it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for what is no variable, or for too many; [`Error::Refused`] if the sandbox
    /// does not run.
    pub async fn set_env(
        &self,
        caller: &Caller,
        id: SandboxId,
        unset: Vec<String>,
        set: BTreeMap<String, String>,
    ) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        crate::sandbox::check_env(&set)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(driver::send(&entry, driver::Task::SetEnv { unset, set }).await).await
    }

    /// What a sandbox uses now. Does not count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if it does not run.
    pub async fn usage(&self, caller: &Caller, id: SandboxId) -> Result<Usage> {
        caller.need(Scope::SandboxesRead)?;
        let entry = find_current(&self.context, caller, id).await?;
        let state = entry.record().state;
        if !state.is_live() {
            return Err(Error::Refused { kind: Kind::Sandbox, state, verb: Verb::Use });
        }
        self.context.ports.runtime.usage(id).await
    }

    /// What a sandbox uses now, and how busy it is in this moment. Does not count as use.
    ///
    /// # Errors
    /// As [`Sandboxes::usage`].
    pub async fn load(&self, caller: &Caller, id: SandboxId) -> Result<Load> {
        /// Long enough for a number that means something, short enough to wait for.
        const WINDOW: Duration = Duration::from_millis(100);
        let clock = &self.context.ports.clock;
        let (began, before) = (clock.monotonic(), self.usage(caller, id).await?);
        tokio::time::sleep(WINDOW).await;
        let (ended, usage) = (clock.monotonic(), self.usage(caller, id).await?);
        let cpus =
            f64::from(find_current(&self.context, caller, id).await?.record().resources.cpu_millis) / 1000.0;
        let used = Duration::from_micros(usage.cpu_micros.saturating_sub(before.cpu_micros));
        let span = ended.saturating_sub(began).max(Duration::from_millis(1));
        let cpu_percent = 100.0 * used.as_secs_f64() / span.as_secs_f64() / cpus;
        Ok(Load { usage, cpu_percent, at: self.context.now() })
    }

    /// What a sandbox has sent through the gateway and was refused there, since it started or this server did. Does not
    /// count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn egress_usage(&self, caller: &Caller, id: SandboxId) -> Result<EgressUsage> {
        caller.need(Scope::SandboxesRead)?;
        find_current(&self.context, caller, id).await?;
        Ok(super::network::usage(&self.context, id))
    }
}

/// The name of a sandbox whose maker gave none.
pub(super) fn default_name(id: SandboxId) -> String {
    format!("sandbox-{}", &id.to_string()[24..])
}

/// The steps of a creation; each failure undoes what was done.
pub(super) struct Creation<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) record: Sandbox,
    pub(super) secrets: Option<DomainSecrets>,
    pub(super) image: HeldImage,
    pub(super) seeds: Vec<(SeedFile, Upload)>,
    /// The sandbox whose disk it begins with, if it does not begin with an empty one.
    pub(super) origin: Option<SandboxId>,
    /// Those that it mounts, until the sandbox is in the table.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(super) volumes: HeldVolumes,
    /// Taken in the account's quota until the sandbox is in the table.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(super) place: Place<'a>,
}

impl Creation<'_> {
    pub(super) async fn run(mut self) -> Result<Sandbox> {
        let id = self.record.id;
        if let Err(error) = self.make().await {
            // A server killed before this line is put right by the adoption of its next start: no record, no sandbox.
            if let Err(undo) = self.undo().await {
                tracing::error!(sandbox.id = %id, error = &undo as &dyn std::error::Error,
                    "a sandbox that could not be made could not be removed either");
            }
            return Err(error);
        }
        let clock = &*self.context.ports.clock;
        let (sender, mailbox) = driver::mailbox();
        let activity = LastUse::since(self.record.last_active_at, clock);
        let entry = Arc::new(Entry::new(self.record, self.image.image.config, activity, sender));
        self.context.table.insert(Arc::clone(&entry));
        driver::spawn(Arc::clone(self.context), Arc::clone(&entry), mailbox);
        let kind = EventKind::StateChanged { state: State::Running, reason: None };
        self.context.events.publish(self.context, entry.account, Some(id), kind).await;
        Ok(entry.snapshot())
    }

    async fn undo(&self) -> Result<()> {
        super::network::dismiss(self.context, self.record.id).await;
        self.context.ports.runtime.delete(self.record.id).await?;
        self.context.ports.store.delete_sandbox(self.record.id).await.map(drop)
    }

    async fn make(&mut self) -> Result<()> {
        let runtime = &self.context.ports.runtime;
        let spec = driver::runtime_spec(self.context, &self.record).await?;
        match self.origin {
            None => runtime.create(&spec).await?,
            Some(origin) => runtime.create_from(&spec, origin).await?,
        }
        if let Some(secrets) = &self.secrets {
            // Before the gateway admits the sandbox, which reads them.
            self.context.ports.store.put_domain_secrets(self.record.id, secrets).await?;
        }
        super::network::start(self.context, &self.record, &spec).await?;
        super::volumes::note_use(self.context, &self.record.volumes).await;
        let scope = super::files::default_scope(&self.record, &self.image.image.config);
        if let Some(cwd) = &self.record.cwd {
            let cwd = crate::FilePath::new(cwd.as_bytes())?;
            let root = FileScope::default();
            // Open to all, since only the guest knows which user the image's code runs as.
            self.context.ports.guest.mkdir(self.record.id, &root, &cwd, 0o777, true).await?;
        }
        // The disk of another sandbox has it already.
        if let (Some(secrets), None) = (&self.secrets, self.origin) {
            super::secrets::install(self.context, self.record.id, &secrets.authority).await?;
        }
        let mut written = Vec::with_capacity(self.seeds.len());
        for (seed, upload) in std::mem::take(&mut self.seeds) {
            let body = self.context.ports.blobs.get(&upload.digest, 0, None).await?;
            let body = body.ok_or_else(|| Error::not_found(Kind::Upload, upload.id))?;
            let options = WriteOptions::default();
            written.push(
                self.context.ports.guest.write(self.record.id, &scope, &seed.path, &options, body).await?,
            );
        }
        start_command::run(self.context, &self.record, &self.image.image.config).await?;
        self.record.sequence = self.context.ports.store.create_sandbox(&self.record).await?;
        super::catalogue::record_seeds(self.context, &self.record, written).await
    }
}

/// The caller's sandbox, after its time limits have had their say: a late reconciler is never visible.
pub(super) async fn find_current(context: &Context, caller: &Caller, id: SandboxId) -> Result<Arc<Entry>> {
    let entry = context.table.find(id).ok_or_else(|| Error::not_found(Kind::Sandbox, id))?;
    if entry.account != caller.account {
        audit::note(context, Refusal::OtherAccount, Some(caller.account), None).await;
        return Err(Error::not_found(Kind::Sandbox, id));
    }
    current(context, entry).await
}

/// The sandbox as it is now that its time limits have had their say.
async fn current(context: &Context, entry: Arc<Entry>) -> Result<Arc<Entry>> {
    expire_if_due(context, &entry).await?;
    if entry.record().state == State::Deleted {
        return Err(Error::not_found(Kind::Sandbox, entry.id));
    }
    Ok(entry)
}

/// Ends a sandbox whose time is up. One with a background exec is in use, whatever the clock says, and its idle time
/// begins when the last of them ends. A session or a terminal that merely waits for somebody is no use.
pub(super) async fn expire_if_due(context: &Context, entry: &Arc<Entry>) -> Result<()> {
    let clock = &*context.ports.clock;
    let due = || lease::due(&entry.record(), &entry.activity, clock);
    let Some((_, reason)) = due() else { return Ok(()) };
    if reason == Reason::Idle && entry.record().state == State::Running {
        // A guest that does not answer, or lies about the past, lengthens no life but its own.
        if entry.sessions.is_busy() {
            entry.activity.touch(clock);
        }
        let own = start_command::exec_id(entry.id);
        let execs = context.ports.guest.list_execs(entry.id).await.unwrap_or_default();
        for exec in execs.into_iter().filter(|exec| exec.id != own && exec.label.is_none()) {
            match exec.output {
                None => entry.activity.touch(clock),
                Some(output) => entry.activity.touch_at(exec.started_at.after(output.duration), clock),
            }
        }
    }
    let Some((verb, reason)) = due() else { return Ok(()) };
    match driver::request(entry, verb, reason, driver::DEFAULT_GRACE).await {
        // Another request was faster.
        Err(Error::NotFound { .. } | Error::Refused { .. }) => Ok(()),
        result => result.map(drop),
    }
}

/// The caller's running sandbox, held in use until the guard is dropped.
pub(super) async fn use_sandbox(
    context: &Arc<Context>,
    caller: &Caller,
    id: SandboxId,
) -> Result<(Arc<Entry>, InUse)> {
    in_use(context, find_current(context, caller, id).await?, caller.activity)
}

/// The same for somebody who was let in without a key.
pub(super) async fn use_current(
    context: &Arc<Context>,
    id: SandboxId,
    activity: Activity,
) -> Result<(Arc<Entry>, InUse)> {
    let entry = context.table.find(id).ok_or_else(|| Error::not_found(Kind::Sandbox, id))?;
    in_use(context, current(context, entry).await?, activity)
}

fn in_use(context: &Context, entry: Arc<Entry>, activity: Activity) -> Result<(Arc<Entry>, InUse)> {
    // In use first: between the judgement and the use nobody may find it idle.
    let guard = InUse::new(Arc::clone(&entry), Arc::clone(&context.ports.clock), activity);
    judge_use(&entry)?;
    Ok((entry, guard))
}

fn judge_use(entry: &Entry) -> Result<()> {
    let state = entry.record().state;
    match state.judge(Verb::Use) {
        Decision::Refuse => Err(Error::Refused { kind: Kind::Sandbox, state, verb: Verb::Use }),
        Decision::Go(_) | Decision::AlreadyThere => Ok(()),
    }
}
