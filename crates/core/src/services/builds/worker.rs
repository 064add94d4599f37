//! One build, from its first step to its image.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::context::Context;
use super::super::image_collection::{hold, obtain_held};
use super::super::images::obtain;
use crate::build::{Action, CopyAction, StageState};
use crate::ports::{BuildRoom, Commit, CopyFiles, Keep, MakeDirectory};
use crate::{
    AccountId, BUILT_IN_IMAGE, Base, BuildEvent, CacheUse, Digest, Dockerfile, DockerfileError, EgressPolicy,
    Error, Image, Kind, Plan, Resources, Result, Step, StepKey,
};

/// As much of an instruction as an image's history keeps, in characters.
const HISTORY_MAX_CHARS: usize = 2_000;

/// A build and everything that it was asked for.
pub(super) struct Worker {
    pub(super) context: Arc<Context>,
    pub(super) account: AccountId,
    pub(super) sandboxes_max: usize,
    pub(super) resources: Resources,
    pub(super) network: EgressPolicy,
    pub(super) cache: CacheUse,
    pub(super) name: Option<String>,
    pub(super) file: Dockerfile,
    pub(super) plan: Plan,
    pub(super) given: BTreeMap<String, String>,
    pub(super) room: Arc<dyn BuildRoom>,
    pub(super) events: mpsc::Sender<BuildEvent>,
    pub(super) stop: CancellationToken,
    /// Images that must not be collected before the build ends.
    pub(super) kept: Vec<Kept>,
}

/// Keeps an image from being collected.
pub(super) struct Kept {
    context: Arc<Context>,
    image: Digest,
}

impl Kept {
    fn new(context: &Arc<Context>, image: Digest) -> Self {
        *context.builds.in_use.lock().expect("no panic under this lock").entry(image).or_default() += 1;
        Self { context: Arc::clone(context), image }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut in_use = self.context.builds.in_use.lock().expect("no panic under this lock");
        if let Some(count) = in_use.get_mut(&self.image) {
            *count -= 1;
            if *count == 0 {
                in_use.remove(&self.image);
            }
        }
    }
}

/// A stage on its way, or at its end.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) image: Digest,
    pub(super) state: StageState,
    key: StepKey,
}

impl Worker {
    /// Builds, within the time.
    pub(super) async fn run(mut self, timeout: Duration) -> Result<Image> {
        let stop = self.stop.clone();
        let mut building = std::pin::pin!(self.build());
        tokio::select! {
            outcome = &mut building => outcome,
            () = tokio::time::sleep(timeout) => {
                stop.cancel();
                // It ends soon, and cleans up on its way.
                let outcome = building.await;
                let reason = format!("the build took longer than {} ms", timeout.as_millis());
                outcome.or(Err(Error::invalid("timeout_ms", reason)))
            }
        }
    }

    async fn build(&mut self) -> Result<Image> {
        let context = Arc::clone(&self.context);
        let _place = self.unless_stopped(context.builds.places.acquire()).await?.map_err(Error::internal)?;
        for name in self.plan.unused.clone() {
            self.tell(BuildEvent::Warning(format!("no ARG declares the argument {name}"))).await?;
        }
        let total = self.plan.step_count(&self.file);
        let mut number = 0;
        let mut stages: BTreeMap<usize, Made> = BTreeMap::new();
        let mut last = None;
        for planned in self.plan.stages.clone() {
            let stage = self.file.stages[planned.index].clone();
            number += 1;
            self.tell(BuildEvent::Step { number, total, line: stage.line, text: stage.text, cached: false })
                .await?;
            let mut made = match &planned.base {
                Base::Stage(index) => {
                    let base =
                        stages.get(index).ok_or_else(|| Error::internal("a stage that is not planned"))?;
                    Made { state: base.state.as_base(), ..base.clone() }
                }
                base => self.base(base).await.map_err(|error| at_line(stage.line, error))?,
            };
            for step in &stage.steps {
                number += 1;
                let done = self.step(&mut made, &stages, planned.index, step, (number, total)).await;
                done.map_err(|error| at_line(step.line, error))?;
            }
            last = Some(made.clone());
            stages.insert(planned.index, made);
        }
        let made = last.ok_or_else(|| Error::internal("a plan without stages"))?;
        let keep = if self.name.is_some() { Keep::UntilRemoved } else { Keep::WhileUsed };
        let commit = Commit {
            maker: self.account,
            base: made.image,
            changes: None,
            config: made.state.config,
            name: self.name.clone(),
            made_by: "lazaret image build".to_owned(),
            keep,
        };
        self.context.ports.images.commit(commit).await
    }

    /// What a stage begins with that is not another stage.
    async fn base(&mut self, base: &Base) -> Result<Made> {
        let image = match base {
            Base::Image(name) => self.image(name).await?,
            Base::Scratch | Base::Stage(_) => {
                let scratch = self.context.ports.images.scratch().await?;
                self.keep(&scratch.digest).await?;
                scratch
            }
        };
        if image.config.acts_on_build {
            let reason = "the base has ONBUILD triggers, which are outside the subset";
            return Err(Error::invalid("dockerfile", reason));
        }
        let key = StepKey::of_base(self.account, &image.digest);
        Ok(Made { image: image.digest, state: StageState::new(image.config), key })
    }

    /// An image by its name, pulled if need be, and kept.
    async fn image(&mut self, name: &str) -> Result<Image> {
        let context = Arc::clone(&self.context);
        // Without the lock first: a pull may take long, and nobody may wait for its end to collect.
        self.unless_stopped(obtain(&context, self.account, name)).await??;
        let held = self.unless_stopped(obtain_held(&context, self.account, name)).await??;
        if held.image.built_in {
            let reason =
                format!("the image {BUILT_IN_IMAGE} is this machine's own /usr: nothing can be built on it");
            return Err(Error::invalid("dockerfile", reason));
        }
        self.kept.push(Kept::new(&context, held.image.digest));
        Ok(held.image.clone())
    }

    /// Keeps an image that is here; false if it is not.
    async fn keep(&mut self, image: &Digest) -> Result<bool> {
        let held = hold(&self.context, image).await?;
        let here = held.is_some();
        if here {
            self.kept.push(Kept::new(&self.context, *image));
        }
        Ok(here)
    }

    async fn step(
        &mut self,
        made: &mut Made,
        stages: &BTreeMap<usize, Made>,
        stage: usize,
        step: &Step,
        (number, total): (usize, usize),
    ) -> Result<()> {
        let known = crate::build::Known { file: &self.file, globals: &self.plan.globals, given: &self.given };
        let action = made.state.apply(step, known)?;
        let told =
            |cached| BuildEvent::Step { number, total, line: step.line, text: step.text.clone(), cached };
        let mut from = None;
        let key = match &action {
            Action::Configure => return self.tell(told(false)).await,
            Action::MakeDirectory(path) => made.key.then(&[b"directory", path.as_bytes()]),
            Action::Run(run) => self.run_key(made, run),
            Action::Copy(copy) => {
                from = self.source(stages, stage, copy).await?;
                self.copy_key(made, copy, from.as_ref()).await?
            }
        };
        if self.cache == CacheUse::Taken
            && let Some(image) = self.context.ports.images.find_step(&key.digest()).await?
            && self.keep(&image).await?
        {
            self.tell(told(true)).await?;
            (made.image, made.key) = (image, key);
            return Ok(());
        }
        self.tell(told(false)).await?;
        let (base, config) = (made.image, made.state.config.clone());
        let made_by: String = step.text.chars().take(HISTORY_MAX_CHARS).collect();
        let room = Arc::clone(&self.room);
        let image = match action {
            Action::Configure => return Ok(()),
            Action::MakeDirectory(path) => {
                let make = MakeDirectory { base, path, config, made_by };
                match self.unless_stopped(room.make_directory(make)).await?? {
                    Some(image) => image,
                    None => return Ok(()),
                }
            }
            Action::Run(run) => self.run_step(base, &run, config, made_by).await?,
            Action::Copy(copy) => {
                let copy = CopyFiles { base, from, copy, config, made_by };
                self.unless_stopped(room.copy(copy)).await??
            }
        };
        if !self.keep(&image.digest).await? {
            return Err(Error::not_found(Kind::Image, image.digest));
        }
        self.context.ports.images.remember_step(&key.digest(), &image.digest).await?;
        (made.image, made.key) = (image.digest, key);
        Ok(())
    }

    /// The image that a copy is from; `None` for the context.
    async fn source(
        &mut self,
        stages: &BTreeMap<usize, Made>,
        stage: usize,
        copy: &CopyAction,
    ) -> Result<Option<Digest>> {
        let Some(name) = &copy.from else { return Ok(None) };
        if let Some(index) = self.file.stage_before(stage, name) {
            let earlier = stages.get(&index).ok_or_else(|| Error::internal("a stage that is not planned"))?;
            return Ok(Some(earlier.image));
        }
        Ok(Some(self.image(name).await?.digest))
    }

    fn run_key(&self, made: &Made, run: &crate::RunAction) -> StepKey {
        let network = format!("{:?} {:?}", run.network, self.network);
        let config = &made.state.config;
        let command = run.command.iter().map(|word| format!("{word}\0")).collect::<String>();
        made.key.then(&[
            b"run",
            command.as_bytes(),
            run.script.as_deref().unwrap_or_default().as_bytes(),
            run.depends_on.as_bytes(),
            config.working_dir.as_deref().unwrap_or("/").as_bytes(),
            config.user.as_deref().unwrap_or_default().as_bytes(),
            network.as_bytes(),
        ])
    }

    async fn copy_key(&self, made: &Made, copy: &CopyAction, from: Option<&Digest>) -> Result<StepKey> {
        let content = match from {
            Some(image) => *image,
            None => self.unless_stopped(self.room.digest(&copy.sources)).await??,
        };
        let how = format!("{:?} {:?} {}", copy.owner, copy.mode, copy.unpack);
        let mut parts: Vec<&[u8]> =
            vec![b"copy", content.as_bytes(), how.as_bytes(), copy.destination.as_bytes()];
        parts.push(if copy.into_directory { b"into" } else { b"as" });
        parts.extend(copy.sources.iter().map(String::as_bytes));
        parts.push(b"texts");
        parts.extend(copy.texts.iter().flat_map(|text| [text.name.as_bytes(), text.text.as_bytes()]));
        Ok(made.key.then(&parts))
    }

    /// Tells something; an end of the build where nobody listens.
    pub(super) async fn tell(&self, event: BuildEvent) -> Result<()> {
        self.unless_stopped(self.events.send(event)).await?.map_err(|_| cancelled())
    }

    /// What the work gives, unless the build is stopped first.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(cancelled()),
            done = work => Ok(done),
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::Unavailable { retry_after: None, source: "the build was cancelled".into() }
}

/// A failure that the Dockerfile is to blame for, with the line.
fn at_line(line: usize, error: Error) -> Error {
    let reason = match &error {
        Error::Invalid { field: "dockerfile", reason } if reason.starts_with("line ") => return error,
        Error::Invalid { field: "dockerfile" | "image", reason } => reason.clone(),
        Error::Invalid { .. } | Error::NotFound { .. } | Error::Exec { .. } => error.to_string(),
        _ => return error,
    };
    DockerfileError { line, reason }.into()
}
