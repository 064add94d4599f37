//! Building images from Dockerfiles.
//!
//! ```text
//!   Builds::begin ─▶ the context is received, the Dockerfile read: what is outside the subset is refused here
//!      └─▶ a task of its own (worker) ──▶ events ─▶ Build, whose holder follows it
//!             │  step by step: find its result by key, else make it
//!             │     RUN        a sandbox without a record (step) ─▶ what it wrote ─▶ a layer
//!             │     COPY, ADD  the content store, without a sandbox
//!             └─▶ the image
//!   the holder gone ─▶ cancelled: the step's sandbox is removed, finished steps stay in the cache
//! ```
//!
//! A step's sandbox has no record in the store. So a server that dies in the middle of a build leaves what the next start
//! removes anyway: a sandbox without a record, and a workspace of the content store.

mod step;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::context::Context;
use crate::{
    AccountId, BuildEvent, BuildSource, BuildSpec, Caller, Digest, Dockerfile, DockerfileError, EgressPolicy,
    Error, Image, ImageReference, Instruction, Plan, Result, Scope, TransferSource, limits,
};
use worker::Worker;

/// Builds of images.
#[derive(Clone)]
pub struct Builds {
    pub(super) context: Arc<Context>,
}

/// What all builds share.
pub(super) struct BuildTable {
    places: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Images that builds need, and how many times.
    in_use: Mutex<BTreeMap<Digest, usize>>,
}

impl Default for BuildTable {
    fn default() -> Self {
        Self {
            places: Semaphore::new(limits::BUILDS_MAX),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            in_use: Mutex::default(),
        }
    }
}

impl BuildTable {
    /// Images that must not go while builds go on.
    pub(super) fn needed(&self) -> BTreeSet<Digest> {
        self.in_use.lock().expect("no panic under this lock").keys().copied().collect()
    }

    /// Cancels every build and waits for their end.
    pub(super) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A build that is under way. When it is dropped before its end it is cancelled.
pub struct Build {
    events: mpsc::Receiver<BuildEvent>,
    outcome: oneshot::Receiver<Result<Image>>,
    _stop: DropGuard,
}

impl Build {
    /// What is told next; `None` once everything was told. Whoever does not ask makes the build wait.
    pub async fn next(&mut self) -> Option<BuildEvent> {
        self.events.recv().await
    }

    /// The image, when it is there. What is told meanwhile is passed over.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `dockerfile`, with the line, if a step fails or makes no sense; [`Error::Invalid`] for
    /// `timeout_ms`; [`Error::LimitReached`]; [`Error::Upstream`] for a base that cannot be pulled.
    pub async fn wait(mut self) -> Result<Image> {
        while self.events.recv().await.is_some() {}
        self.outcome.await.map_err(Error::internal)?
    }
}

impl Builds {
    /// Receives the context, reads the Dockerfile, and begins.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::ImagesWrite`] and [`Scope::SandboxesWrite`]; [`Error::Invalid`] for a field,
    /// the context's archive, or a line of the Dockerfile that is outside the subset; [`Error::LimitReached`];
    /// [`Error::Unsupported`] for a network policy. Nothing has run then.
    pub async fn begin(&self, caller: &Caller, spec: BuildSpec) -> Result<Build> {
        caller.need(Scope::ImagesWrite)?;
        caller.need(Scope::SandboxesWrite)?;
        let context = &self.context;
        let tier = context.settings.tier(&caller.tier);
        let resources = spec.resources.unwrap_or(context.settings.default_resources);
        resources.check()?;
        tier.allow(&resources)?;
        let network = spec.network.clone().unwrap_or(EgressPolicy::Disabled);
        super::network::check(context, &network)?;
        check(&spec)?;

        let (text, room) = self.receive(caller.account, spec.source).await?;
        let file = Dockerfile::parse(&text)?;
        let plan = Plan::make(&file, &spec.arguments, spec.target.as_deref())?;
        if room.is_none() {
            refuse_context(&file, &plan)?;
        }
        let room = match room {
            Some(room) => room,
            None => context.ports.images.begin_build(caller.account, None).await?,
        };

        let (events, receiver) = mpsc::channel(limits::BUILD_LOG_CHUNKS);
        let (sender, outcome) = oneshot::channel();
        let stop = context.builds.stop.child_token();
        let worker = Worker {
            context: Arc::clone(context),
            account: caller.account,
            sandboxes_max: tier.sandboxes_max,
            resources,
            network,
            cache: spec.cache,
            name: spec.name,
            file,
            plan,
            given: spec.arguments,
            room,
            events,
            stop: stop.clone(),
            kept: Vec::new(),
        };
        let timeout = spec.timeout.unwrap_or(limits::BUILD_TIMEOUT_DEFAULT);
        context.builds.tasks.spawn(async move {
            // Nobody listens any more where the build was given up.
            let _ = sender.send(worker.run(timeout).await);
        });
        Ok(Build { events: receiver, outcome, _stop: stop.drop_guard() })
    }

    /// The Dockerfile's text, and the room with the context if there is one.
    async fn receive(
        &self,
        account: AccountId,
        source: BuildSource,
    ) -> Result<(String, Option<Arc<dyn crate::ports::BuildRoom>>)> {
        let (archive, dockerfile, placement) = match source {
            BuildSource::Text(text) => return Ok((text, None)),
            BuildSource::Context { archive, dockerfile, placement } => (archive, dockerfile, placement),
        };
        let room = self.context.ports.images.begin_build(account, Some(archive)).await?;
        let bytes = room.dockerfile(&dockerfile, placement).await?;
        let invalid = |reason: String| Error::invalid("dockerfile", reason);
        let bytes = bytes.ok_or_else(|| {
            invalid(format!("there is no file {} in the context", dockerfile.escape_debug()))
        })?;
        let text = String::from_utf8(bytes.into()).map_err(|_| invalid("is not UTF-8 text".to_owned()))?;
        Ok((text, Some(room)))
    }
}

/// Refuses what is wrong without a look at the Dockerfile.
fn check(spec: &BuildSpec) -> Result<()> {
    if let Some(name) = &spec.name
        && let Err(error) = ImageReference::parse(name)
    {
        return Err(Error::invalid("name", error.to_string()));
    }
    if spec.arguments.len() > limits::BUILD_ARGUMENTS_MAX {
        return Err(Error::invalid("build_args", format!("more than {}", limits::BUILD_ARGUMENTS_MAX)));
    }
    for (name, value) in &spec.arguments {
        let fits = !name.is_empty() && !name.contains(['=', '\0']);
        if !fits || value.contains('\0') || value.len() > limits::EXEC_ARG_MAX_BYTES {
            let reason = format!("{} or its value cannot be one of a program's", name.escape_debug());
            return Err(Error::invalid("build_args", reason));
        }
    }
    if let Some(timeout) = spec.timeout
        && (timeout.is_zero() || timeout > limits::BUILD_TIMEOUT_MAX)
    {
        let reason = format!("must be from 1 to {}", limits::BUILD_TIMEOUT_MAX.as_millis());
        return Err(Error::invalid("timeout_ms", reason));
    }
    Ok(())
}

/// Refuses the first step that copies from a context where there is none.
fn refuse_context(file: &Dockerfile, plan: &Plan) -> Result<()> {
    let steps = plan.stages.iter().flat_map(|stage| &file.stages[stage.index].steps);
    for step in steps {
        let (Instruction::Copy(transfer) | Instruction::Add(transfer)) = &step.instruction else { continue };
        let of_context = |source: &TransferSource| matches!(source, TransferSource::Path(_));
        if transfer.from.is_none() && transfer.sources.iter().any(of_context) {
            let reason = "there is no context to copy from".to_owned();
            return Err(DockerfileError { line: step.line, reason }.into());
        }
    }
    Ok(())
}
