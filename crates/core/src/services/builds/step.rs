//! One `RUN`: a sandbox of the step's image, a program, and a layer of what it wrote.
//!
//! ```text
//!   create ─▶ start ─▶ exec ··· output ─▶ stop ─▶ changes ─▶ commit     and whatever happens: delete
//! ```
//!
//! The sandbox counts in its account's quota and has no record. Waiting for the program is what can be cancelled; making and
//! removing the sandbox always come to their end.

use std::time::Duration;

use super::super::execs::{self, DEFAULT_PATH};
use super::super::{driver, network};
use super::worker::Worker;
use crate::dockerfile::RunNetwork;
use crate::ports::{Commit, Death, Keep};
use crate::{
    BuildEvent, Digest, EgressPolicy, Error, ExecEvent, ExecExit, ExecSession, ExecSpec, FilePath, FileScope,
    Image, ImageConfig, LeasePolicy, Limit, Result, RunAction, Sandbox, SandboxId, State, WriteOptions,
    body_from_bytes, limits,
};

/// Where a script is that names its own interpreter: on a file system of the sandbox that no layer sees.
const SCRIPT: &str = "/dev/shm/.lazaret-run";

/// How long it is waited for the reason of a sandbox's death.
const DEATH_WAIT: Duration = Duration::from_secs(5);

impl Worker {
    /// Runs a program on an image and makes an image of what it wrote.
    pub(super) async fn run_step(
        &self,
        base: Digest,
        run: &RunAction,
        config: ImageConfig,
        made_by: String,
    ) -> Result<Image> {
        let context = &self.context;
        let exec = exec_spec(run, &config);
        execs::check(&exec)?;
        let _place = context.table.reserve(self.account, self.sandboxes_max, None)?;
        let policy = match run.network {
            RunNetwork::Default => self.network.clone(),
            RunNetwork::None => EgressPolicy::Disabled,
        };
        let record = self.sandbox(base, policy);
        let made = self.run_in(&record, run, exec, config, made_by).await;
        network::dismiss(context, record.id).await;
        let removed = context.ports.runtime.delete(record.id).await;
        if let Err(error) = &removed {
            tracing::error!(sandbox.id = %record.id, error = error as &dyn std::error::Error,
                "the sandbox of a build step could not be removed");
        }
        let image = made?;
        removed.map(|()| image)
    }

    async fn run_in(
        &self,
        record: &Sandbox,
        run: &RunAction,
        exec: ExecSpec,
        config: ImageConfig,
        made_by: String,
    ) -> Result<Image> {
        let context = &self.context;
        let runtime = &context.ports.runtime;
        let spec = driver::runtime_spec(context, record).await?;
        runtime.create(&spec).await?;
        network::start(context, record, &spec).await?;
        if let Some(script) = &run.script {
            let (scope, path) = (FileScope::default(), FilePath::new(SCRIPT)?);
            let options = WriteOptions { mode: 0o755, parents: true };
            let body = body_from_bytes(script.clone().into_bytes());
            self.unless_stopped(context.ports.guest.write(record.id, &scope, &path, &options, body))
                .await??;
        }
        let session = self.unless_stopped(context.ports.guest.exec(record.id, &exec)).await??;
        self.follow(record.id, session).await?;
        network::dismiss(context, record.id).await;
        runtime.stop(record.id, Duration::ZERO).await?;
        let changes = Some(self.unless_stopped(runtime.changes(record.id)).await??);
        let commit = Commit {
            maker: self.account,
            base: record.image_digest,
            changes,
            config,
            name: None,
            made_by,
            keep: Keep::WhileUsed,
        };
        self.unless_stopped(context.ports.images.commit(commit)).await?
    }

    /// Tells what the program writes; succeeds if the program does.
    async fn follow(&self, id: SandboxId, session: ExecSession) -> Result<()> {
        // The input is held: a closed one would read as a client that hung up.
        let ExecSession { input: _input, mut events, .. } = session;
        loop {
            let output = match self.unless_stopped(events.recv()).await? {
                Some(Ok(ExecEvent::Stdout(bytes))) => {
                    self.tell(BuildEvent::Stdout(bytes)).await?;
                    continue;
                }
                Some(Ok(ExecEvent::Stderr(bytes))) => {
                    self.tell(BuildEvent::Stderr(bytes)).await?;
                    continue;
                }
                // Only of an exec in the background.
                Some(Ok(ExecEvent::Skipped(_))) => continue,
                Some(Ok(ExecEvent::Exited(output))) => output,
                Some(Err(error)) => return Err(error),
                None => return Err(self.how_it_died(id).await),
            };
            if output.truncated {
                let kept = limits::BUILD_OUTPUT_MAX_BYTES;
                let warning = format!("the step wrote more than {kept} bytes; the rest was dropped");
                self.tell(BuildEvent::Warning(warning)).await?;
            }
            let starved = output.was_killed()
                && self.context.ports.runtime.oom_kills(id).await.is_ok_and(|kills| kills > 0);
            return match output.exit {
                ExecExit::Code(0) => Ok(()),
                _ if starved => Err(failed("RUN ran out of memory")),
                ExecExit::Code(code) => Err(failed(format!("RUN ended with exit code {code}"))),
                ExecExit::Signal(signal) => Err(failed(format!("RUN was ended by signal {signal}"))),
            };
        }
    }

    async fn how_it_died(&self, id: SandboxId) -> Error {
        match tokio::time::timeout(DEATH_WAIT, self.context.ports.runtime.wait(id)).await {
            Ok(Ok(Death::OutOfMemory)) => failed("RUN ran out of memory"),
            Ok(Ok(Death::HostDiskFull)) => Error::LimitReached(Limit::HostDisk),
            Ok(Ok(Death::Ended)) => failed("RUN ended its own sandbox"),
            Ok(Err(error)) => error,
            Err(elapsed) => Error::Unavailable { retry_after: None, source: elapsed.into() },
        }
    }

    /// The step's sandbox, as the runtime and the gateway want it described.
    fn sandbox(&self, base: Digest, policy: EgressPolicy) -> Sandbox {
        let now = self.context.now();
        let id = SandboxId::from_bytes(self.context.ports.ids.next(now));
        Sandbox {
            id,
            account: self.account,
            name: "build".to_owned(),
            image: base.to_string(),
            image_digest: base,
            resources: self.resources,
            env: std::collections::BTreeMap::new(),
            cwd: None,
            user: None,
            network: Some(policy),
            template: None,
            start_command: Vec::new(),
            role: None,
            volumes: Vec::new(),
            labels: std::collections::BTreeMap::new(),
            lease: LeasePolicy::default(),
            state: State::Running,
            reason: None,
            created_at: now,
            last_active_at: now,
            state_since: now,
            sequence: 0,
            public: false,
        }
    }
}

fn failed(reason: impl Into<String>) -> Error {
    Error::invalid("dockerfile", reason)
}

fn exec_spec(run: &RunAction, config: &ImageConfig) -> ExecSpec {
    let mut env = run.env.clone();
    env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
    let mut command = run.command.clone();
    command.extend(run.script.as_ref().map(|_| SCRIPT.to_owned()));
    ExecSpec {
        command,
        cwd: config.working_dir.clone(),
        env,
        user: config.user.clone(),
        output_limit_bytes: Some(limits::BUILD_OUTPUT_MAX_BYTES),
        ..ExecSpec::default()
    }
}
