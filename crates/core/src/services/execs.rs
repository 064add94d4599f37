//! Running commands and snippets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::context::Context;
use super::interpreters::{self, figures::Figures, run::Script};
use super::sandboxes::use_sandbox;
use super::shell::mixed;
use super::table::Entry;
use crate::sandbox::{check_env, check_user};
use crate::{
    BackgroundExec, Caller, Error, ExecEvent, ExecId, ExecInput, ExecOutput, ExecProblem, ExecResult,
    ExecSession, ExecSpec, ImageConfig, Keep, Language, MixedResult, Removal, Result, Sandbox, SandboxId,
    Scope, StderrTo, Stdin, WriteOptions, body_from_bytes, limits,
};

/// What `PATH` is where neither image, sandbox nor exec sets it: the default of Debian and of container engines.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A snippet to run.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// Its language.
    pub language: Language,
    /// Its source text.
    pub code: String,
    /// Arguments for it.
    pub args: Vec<String>,
    /// As in [`ExecSpec::cwd`].
    pub cwd: Option<String>,
    /// As in [`ExecSpec::env`].
    pub env: BTreeMap<String, String>,
    /// As in [`ExecSpec::timeout`].
    pub timeout: Option<Duration>,
}

/// Execs in sandboxes of the caller's account.
#[derive(Clone)]
pub struct Execs {
    pub(super) context: Arc<Context>,
}

impl Execs {
    /// Starts a process; dropping the session kills it. The sandbox is in use until then.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; [`Error::Invalid`] for a field that no
    /// kernel could take; [`Error::Exec`] if the program cannot be started.
    pub async fn start(&self, caller: &Caller, id: SandboxId, spec: ExecSpec) -> Result<ExecSession> {
        caller.need(Scope::SandboxesWrite)?;
        check(&spec)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let session = guard.counted(self.context.ports.guest.exec(id, &complete(&entry, spec)).await).await?;
        Ok(session.holding(guard))
    }

    /// Runs a process to its end with `stdin` as its input; output beyond the limit is dropped.
    ///
    /// # Errors
    /// As [`Execs::start`]; [`Error::Ended`] if the sandbox ends meanwhile.
    pub async fn run(
        &self,
        caller: &Caller,
        id: SandboxId,
        mut spec: ExecSpec,
        stdin: Bytes,
    ) -> Result<ExecResult> {
        spec.stdin = if stdin.is_empty() { Stdin::Empty } else { Stdin::Stream };
        let limit = spec.output_limit_bytes.unwrap_or(limits::EXEC_OUTPUT_MAX_BYTES);
        spec.output_limit_bytes = Some(limit.min(limits::EXEC_OUTPUT_MAX_BYTES));
        spec.timeout = spec.timeout.or(Some(limits::EXEC_TIMEOUT_DEFAULT));
        let session = self.start(caller, id, spec).await?;
        finish(session, stdin).await
    }

    /// Starts a process that goes on without its session, and attaches to its output from the first byte.
    ///
    /// # Errors
    /// As [`Execs::start`].
    pub async fn start_background(
        &self,
        caller: &Caller,
        id: SandboxId,
        spec: ExecSpec,
    ) -> Result<(ExecId, ExecSession)> {
        caller.need(Scope::SandboxesWrite)?;
        check(&spec)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let exec = ExecId::from_bytes(self.context.ports.ids.next(self.context.now()));
        let started = self
            .context
            .ports
            .guest
            .exec_background(id, exec, &complete(&entry, spec), &Keep::default())
            .await;
        let session = guard.counted(started).await?;
        Ok((exec, session.holding(guard)))
    }

    /// Attaches to a background exec, from this offset of its output on.
    ///
    /// # Errors
    /// As [`Execs::start`]; [`Error::NotFound`] for an exec that the guest does not know.
    pub async fn attach(
        &self,
        caller: &Caller,
        id: SandboxId,
        exec: ExecId,
        offset: u64,
    ) -> Result<ExecSession> {
        caller.need(Scope::SandboxesRead)?;
        let (_, guard) = use_sandbox(&self.context, caller, id).await?;
        Ok(guard.counted(self.context.ports.guest.attach(id, exec, offset).await).await?.holding(guard))
    }

    /// The background execs that the sandbox still knows, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run.
    pub async fn list(&self, caller: &Caller, id: SandboxId) -> Result<Vec<BackgroundExec>> {
        caller.need(Scope::SandboxesRead)?;
        let (_, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.context.ports.guest.list_execs(id).await).await
    }

    /// Forgets a background exec, and kills it if it runs.
    ///
    /// # Errors
    /// As [`Execs::attach`].
    pub async fn remove(&self, caller: &Caller, id: SandboxId, exec: ExecId) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (_, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.context.ports.guest.remove_exec(id, exec, Removal::Kill).await).await
    }

    /// Runs a snippet with the image's interpreter, without state kept between calls. Python forks the sandbox's warm
    /// interpreter where that makes no difference but time; `interpreters/run.rs` lists where it would.
    ///
    /// # Errors
    /// As [`Execs::run`]; [`Error::Exec`] with [`ExecProblem::NoInterpreter`] if the image lacks it.
    pub async fn run_code(&self, caller: &Caller, id: SandboxId, mut run: RunSpec) -> Result<ExecResult> {
        run.timeout = run.timeout.or(Some(limits::EXEC_TIMEOUT_DEFAULT));
        self.run_snippet(caller, id, run, None, async |session| finish(session, Bytes::new()).await).await
    }

    /// Runs a snippet as `python3 -u - ARGS` or `node -e CODE ARGS` would: unbuffered, with both streams in one, and
    /// without a time limit unless it has its own. Figures that warm Python shows are collected.
    ///
    /// # Errors
    /// As [`Execs::run_code`].
    pub async fn run_code_mixed(&self, caller: &Caller, id: SandboxId, run: RunSpec) -> Result<MixedResult> {
        let figures = Figures::default();
        let collect = async |session| mixed(session, Bytes::new()).await;
        let result = self.run_snippet(caller, id, run, Some(figures.clone()), collect).await?;
        Ok(MixedResult { figures: figures.take(), ..result })
    }

    async fn run_snippet<T: HasEnd>(
        &self,
        caller: &Caller,
        id: SandboxId,
        run: RunSpec,
        mixed: Option<Figures>,
        collect: impl AsyncFn(ExecSession) -> Result<T>,
    ) -> Result<T> {
        caller.need(Scope::SandboxesWrite)?;
        if run.code.len() > limits::RUN_CODE_MAX_BYTES {
            let reason = format!("is longer than {} bytes", limits::RUN_CODE_MAX_BYTES);
            return Err(Error::invalid("code", reason));
        }
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let snippet = Snippet::of(&self.context, run.language, run.code).await?;
        // A file of its own for each run, so that two at once do not meet; the snippet's user can read it.
        let token = ExecId::from_bytes(self.context.ports.ids.next(self.context.now()));
        let path = crate::FilePath::new(format!("/tmp/.lazaret-{token}{}", snippet.extension).into_bytes())?;
        let mut command = vec![snippet.program.to_owned()];
        match (run.language, &mixed) {
            (_, None) => {}
            (Language::Python, Some(_)) => command.push("-u".to_owned()),
            (Language::JavaScript | Language::TypeScript, Some(_)) => {
                command.extend(["-e", UNNAMED_SCRIPT].map(str::to_owned));
            }
        }
        command.push(path.to_text());
        command.extend(run.args.iter().cloned());
        let spec = ExecSpec {
            command,
            cwd: run.cwd,
            env: run.env,
            timeout: run.timeout,
            output_limit_bytes: Some(limits::EXEC_OUTPUT_MAX_BYTES),
            stderr: if mixed.is_some() { StderrTo::Stdout } else { StderrTo::Own },
            ..ExecSpec::default()
        };
        check(&spec)?;
        let runtime = &self.context.ports.runtime;
        let kills = runtime.oom_kills(id).await.unwrap_or(u64::MAX);
        if run.language == Language::Python {
            let script =
                Script { path: &path.to_text(), code: &snippet.code, args: &run.args, env: &spec.env, mixed };
            if let Some(session) = self.start_warm(&entry, &spec, &script).await? {
                guard.counted(Ok(())).await?;
                let mut result = collect(session.holding(guard)).await?;
                let end = result.end();
                end.oom = end.was_killed() && runtime.oom_kills(id).await.is_ok_and(|now| now > kills);
                return Ok(result);
            }
        }
        let scope = super::files::default_scope(&entry.record(), &entry.image_config);
        let options = WriteOptions { mode: 0o600, parents: true };
        let guest = &self.context.ports.guest;
        guest.write(id, &scope, &path, &options, body_from_bytes(snippet.code)).await?;
        let result = async { collect(self.start(caller, id, spec).await?).await }.await;
        if let Err(error) = guest.remove(id, &scope, &path, false).await {
            tracing::debug!(sandbox.id = %id, error = &error as &dyn std::error::Error, "a snippet stayed behind");
        }
        match result {
            Err(Error::Exec { what, problem: ExecProblem::ProgramNotFound }) => {
                let what = format!("{} needs {what}", run.language);
                Err(Error::Exec { what, problem: ExecProblem::NoInterpreter })
            }
            result => result,
        }
    }

    /// Starts `python3 PATH ARGS...` as a fork of the warm interpreter; `None` where it has to be started afresh.
    async fn start_warm(
        &self,
        entry: &Entry,
        spec: &ExecSpec,
        script: &Script<'_>,
    ) -> Result<Option<ExecSession>> {
        let base = complete(entry, ExecSpec::default());
        let bounds = ExecSpec { cwd: spec.cwd.clone().or_else(|| base.cwd.clone()), ..spec.clone() };
        let clock = Arc::clone(&self.context.ports.clock);
        let guest = &*self.context.ports.guest;
        interpreters::run::start(&entry.interpreters, guest, clock, entry.id, &base, script, &bounds).await
    }
}

/// Runs the file that is Node's first argument as if Node had the program without a file: `process.argv` has no name of it.
const UNNAMED_SCRIPT: &str = "const lazaretFile = process.argv.splice(1, 1)[0]; \
    if (lazaretFile.endsWith('.mjs')) import(require('url').pathToFileURL(lazaretFile).href); \
    else require(lazaretFile);";

/// A result that says how the exec ended.
trait HasEnd {
    fn end(&mut self) -> &mut ExecOutput;
}

impl HasEnd for ExecResult {
    fn end(&mut self) -> &mut ExecOutput {
        &mut self.output
    }
}

impl HasEnd for MixedResult {
    fn end(&mut self) -> &mut ExecOutput {
        &mut self.end
    }
}

/// A snippet made ready for its interpreter.
struct Snippet {
    program: &'static str,
    extension: &'static str,
    code: Bytes,
}

impl Snippet {
    async fn of(context: &Context, language: Language, code: String) -> Result<Self> {
        let code = match language {
            Language::Python | Language::JavaScript => code,
            Language::TypeScript => context.ports.transpiler.to_javascript(code).await?,
        };
        let (program, extension) = match language {
            Language::Python => ("python3", ".py"),
            Language::JavaScript | Language::TypeScript => ("node", javascript_extension(&code)),
        };
        Ok(Self { program, extension, code: code.into() })
    }
}

/// Node tells modules from scripts by the extension: `.mjs` where the snippet has a line that only a module may have.
fn javascript_extension(code: &str) -> &'static str {
    let is_module = code.lines().map(str::trim_start).any(|line| {
        ["import ", "import{", "import*", "import\"", "import'", "export "]
            .iter()
            .any(|word| line.starts_with(word))
    });
    if is_module { ".mjs" } else { ".cjs" }
}

/// Feeds `stdin` and collects the output at the same time, since a process may do either first.
async fn finish(session: ExecSession, stdin: Bytes) -> Result<ExecResult> {
    let ExecSession { input, mut events, guard, .. } = session;
    let feed = async move {
        if !stdin.is_empty() {
            // A process that ends without reading closes the channel; its exit tells the story.
            let _ = input.send(ExecInput::Stdin(stdin)).await;
            let _ = input.send(ExecInput::StdinEnd).await;
        }
        // Held to the end: a closed input would read as a client that hung up.
        std::future::pending::<()>().await;
    };
    let collect = async {
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        while let Some(event) = events.recv().await {
            match event? {
                ExecEvent::Stdout(chunk) => stdout.extend_from_slice(&chunk),
                ExecEvent::Stderr(chunk) => stderr.extend_from_slice(&chunk),
                ExecEvent::Skipped(_) => {}
                ExecEvent::Exited(output) => {
                    return Ok(ExecResult { stdout: stdout.freeze(), stderr: stderr.freeze(), output });
                }
            }
        }
        Err(ExecSession::broken_off(guard.as_ref()).await)
    };
    tokio::select! {
        result = collect => result,
        () = feed => unreachable!("feeding never completes"),
    }
}

/// The exec with the sandbox's and the image's defaults filled in.
pub(super) fn complete(entry: &Entry, spec: ExecSpec) -> ExecSpec {
    complete_for(&entry.record(), &entry.image_config, spec)
}

/// As [`complete`], for a sandbox that may not be in the table yet.
pub(super) fn complete_for(record: &Sandbox, image: &ImageConfig, mut spec: ExecSpec) -> ExecSpec {
    let mut env = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    env.extend(image.env.iter().cloned());
    env.extend(record.env.clone());
    if let Some(tty) = &spec.tty {
        env.insert("TERM".to_owned(), tty.term.clone());
    }
    env.append(&mut spec.env);
    spec.env = env;
    spec.cwd = spec.cwd.or_else(|| record.cwd.clone()).or_else(|| image.working_dir.clone());
    spec.user = spec.user.or_else(|| record.user.clone()).or_else(|| image.user.clone());
    spec
}

/// Refuses what `execve` could not carry.
pub(super) fn check(spec: &ExecSpec) -> Result<()> {
    let command = &spec.command;
    if command.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("command", "is empty"));
    }
    if command.iter().any(|arg| arg.contains('\0')) {
        return Err(Error::invalid("command", "has a NUL byte"));
    }
    if command.iter().any(|arg| arg.len() > limits::EXEC_ARG_MAX_BYTES) {
        let reason = format!("an argument is longer than {} bytes", limits::EXEC_ARG_MAX_BYTES);
        return Err(Error::invalid("command", reason));
    }
    check_env(&spec.env)?;
    check_user(spec.user.as_deref())?;
    let env_bytes: usize = spec.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let bytes = env_bytes + command.iter().map(|arg| arg.len() + 1).sum::<usize>();
    if bytes > limits::EXEC_ARGS_MAX_BYTES {
        let reason = format!("with env, is longer than {} bytes", limits::EXEC_ARGS_MAX_BYTES);
        return Err(Error::invalid("command", reason));
    }
    if let Some(cwd) = &spec.cwd
        && (!cwd.starts_with('/') || cwd.contains('\0') || cwd.len() > limits::PATH_MAX_BYTES)
    {
        return Err(Error::invalid("cwd", "is not an absolute path"));
    }
    if let Some(timeout) = spec.timeout
        && (timeout.is_zero() || timeout > limits::EXEC_TIMEOUT_MAX)
    {
        let reason = format!("must be from 1 to {}", limits::EXEC_TIMEOUT_MAX.as_millis());
        return Err(Error::invalid("timeout_ms", reason));
    }
    Ok(())
}
