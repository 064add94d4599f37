//! The `Guest` port: the guest protocol, spoken over connections of the `Runtime` port.
//!
//! ```text
//!   core ─▶ GuestClient ─▶ Runtime::connect ─▶ Channel: one request, its streams, closed
//!              │ convert: nouns of the core ⇄ messages       │ bounded frames, bounded waits
//!              └ error: failures and lies ─▶ core::Error ◀───┘
//! ```
//!
//! The guest belongs to the tenant. Every frame is checked against its limit before it is read, every wait for an answer
//! ends, every count is the host's own, and a reply that has no place here ends the connection. What the guest
//! says about paths, ids and numbers is passed on as the claim that it is and used for nothing on the host.
//!
//! Not here: how a connection reaches the guest (`connect`), and defaults of users and directories (the core).

mod channel;
mod convert;
mod error;
mod exec;
mod files;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lazaret_core::ports::{Guest, GuestStream, Listing, Matches, Runtime};
use lazaret_core::{
    BackgroundExec, Body, Error, ExecId, ExecSession, ExecSpec, Existing, FileEntry, FilePath, FileProblem,
    FileScope, Keep, Links, Owner, ReadRange, Removal, Result, SandboxId, TreeQuery, WriteOptions,
};
use lazaret_protocol::{
    Attach, Chmod, Dial, Find, Mkdir, Read, Remove, RemoveExec, Rename, ReplaceText, RequestBody, RunProgram,
    Stat, Target,
};

use channel::{Channel, Reply};
use error::GuestError;

/// How long a guest may take to answer, or to take or send the next piece of a file.
///
/// A busy sandbox with a small share of the CPU may need a second; the bound is for one that has stopped answering.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many times as long a replacement may take, which says nothing until its whole file is written anew.
const REPLACE_PATIENCE: u32 = 4;

/// What a program of the host's has between being asked to end and being made to: time to undo a large half-made tree.
const PROGRAM_GRACE_MS: u32 = 10_000;

/// Execs and files of sandboxes, by asking their guests.
#[derive(Clone)]
pub struct GuestClient {
    runtime: Arc<dyn Runtime>,
    patience: Duration,
}

impl std::fmt::Debug for GuestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestClient").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl GuestClient {
    /// A client of the guests that `runtime` connects to.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, patience: PATIENCE }
    }

    /// The same with another bound on silence.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What the kernel has counted so far, for an exec that begins now. Of a sandbox that cannot be asked, nothing.
    async fn memory(&self, sandbox: SandboxId) -> exec::Memory {
        let kills = self.runtime.oom_kills(sandbox).await.unwrap_or(u64::MAX);
        exec::Memory { runtime: Arc::clone(&self.runtime), sandbox, kills }
    }

    /// A connection on which `body` has been asked.
    async fn ask(&self, sandbox: SandboxId, body: RequestBody) -> Result<Channel, Unasked> {
        let stream = self.runtime.connect(sandbox).await.map_err(Unasked::Unconnected)?;
        let mut channel = Channel::new(stream, self.patience);
        channel.request(body).await.map_err(Unasked::Guest)?;
        Ok(channel)
    }

    /// Asks for something that is answered by one reply.
    async fn ask_once(&self, sandbox: SandboxId, body: RequestBody) -> Result<Reply, Unasked> {
        let mut channel = self.ask(sandbox, body).await?;
        channel.reply().await.map_err(Unasked::Guest)
    }

    /// Runs a program that the host has given the sandbox; it ends with the session.
    ///
    /// # Errors
    /// [`lazaret_core::Error::Unsupported`] if the sandbox was started without it.
    pub(crate) async fn run_program(
        &self,
        sandbox: SandboxId,
        name: &str,
        spec: &ExecSpec,
    ) -> Result<ExecSession> {
        let mut exec = convert::exec(spec, None);
        exec.kill_grace_ms = Some(PROGRAM_GRACE_MS);
        let run = RunProgram { name: name.to_owned(), exec };
        let memory = self.memory(sandbox).await;
        let started = async {
            let mut channel = self.ask(sandbox, RequestBody::RunProgram(Box::new(run))).await?;
            let pid = exec::started(&mut channel).await?;
            Ok((channel, pid))
        };
        let (channel, pid) = started.await.map_err(|unasked: Unasked| unasked.for_program(spec))?;
        Ok(exec::session(channel, pid, exec::InputEnd::of(spec), memory))
    }

    /// Asks for something about a file that is answered by `Done`.
    async fn change(&self, sandbox: SandboxId, path: &FilePath, body: RequestBody) -> Result<()> {
        match self.ask_once(sandbox, body).await {
            Ok(Reply::Done) => Ok(()),
            Ok(other) => Err(other.unexpected().for_path(path)),
            Err(unasked) => Err(unasked.for_path(path)),
        }
    }
}

/// Why there is no answer: the runtime has no guest to ask, or the guest did not answer as it should.
enum Unasked {
    Unconnected(lazaret_core::Error),
    Guest(GuestError),
}

impl From<GuestError> for Unasked {
    fn from(error: GuestError) -> Self {
        Self::Guest(error)
    }
}

impl Unasked {
    fn for_path(self, path: &FilePath) -> lazaret_core::Error {
        match self {
            Self::Unconnected(error) => error,
            Self::Guest(error) => error.for_path(path),
        }
    }

    fn for_program(self, spec: &ExecSpec) -> lazaret_core::Error {
        match self {
            Self::Unconnected(error) => error,
            Self::Guest(error) => error.for_program(spec),
        }
    }

    fn for_exec(self, id: ExecId) -> lazaret_core::Error {
        match self {
            Self::Unconnected(error) => error,
            Self::Guest(error) => error.for_exec(id),
        }
    }
}

#[async_trait]
impl Guest for GuestClient {
    async fn dial(&self, sandbox: SandboxId, port: u16) -> Result<GuestStream> {
        let connected = async {
            let mut channel = self.ask(sandbox, RequestBody::Dial(Dial { port })).await?;
            match channel.reply().await? {
                Reply::Connected => Ok(channel.into_stream()),
                other => Err(other.unexpected().into()),
            }
        };
        connected.await.map_err(|unasked: Unasked| match unasked {
            Unasked::Unconnected(error) => error,
            Unasked::Guest(error) => error.for_port(port),
        })
    }

    async fn exec(&self, sandbox: SandboxId, spec: &ExecSpec) -> Result<ExecSession> {
        let body = RequestBody::Exec(Box::new(convert::exec(spec, None)));
        let memory = self.memory(sandbox).await;
        let started = async {
            let mut channel = self.ask(sandbox, body).await?;
            let pid = exec::started(&mut channel).await?;
            Ok((channel, pid))
        };
        let (channel, pid) = started.await.map_err(|unasked: Unasked| unasked.for_program(spec))?;
        Ok(exec::session(channel, pid, exec::InputEnd::of(spec), memory))
    }

    async fn exec_background(
        &self,
        sandbox: SandboxId,
        id: ExecId,
        spec: &ExecSpec,
        keep: &Keep,
    ) -> Result<ExecSession> {
        let body = RequestBody::Exec(Box::new(convert::exec(spec, Some((id, keep)))));
        let started = async {
            let mut channel = self.ask(sandbox, body).await?;
            Ok(exec::started(&mut channel).await?)
        };
        started.await.map_err(|unasked: Unasked| unasked.for_program(spec))?;
        self.attach(sandbox, id, 0).await
    }

    async fn attach(&self, sandbox: SandboxId, id: ExecId, offset: u64) -> Result<ExecSession> {
        let attached = async {
            let body = RequestBody::Attach(Attach { id: convert::exec_id(id), offset });
            let mut channel = self.ask(sandbox, body).await?;
            match channel.reply().await? {
                Reply::Attached(attached) => Ok((channel, attached)),
                other => Err(other.unexpected().into()),
            }
        };
        let memory = self.memory(sandbox).await;
        let (channel, attached) = attached.await.map_err(|unasked: Unasked| unasked.for_exec(id))?;
        Ok(exec::attached_session(channel, &attached, offset, memory))
    }

    async fn list_execs(&self, sandbox: SandboxId) -> Result<Vec<BackgroundExec>> {
        let listed = async {
            let mut channel = self.ask(sandbox, RequestBody::ListExecs).await?;
            Ok(exec::list(&mut channel).await?)
        };
        listed.await.map_err(|unasked: Unasked| match unasked {
            Unasked::Unconnected(error) => error,
            Unasked::Guest(error) => error.without_subject(),
        })
    }

    async fn remove_exec(&self, sandbox: SandboxId, id: ExecId, removal: Removal) -> Result<()> {
        let gently = (removal == Removal::Ask).then_some(true);
        let body = RequestBody::RemoveExec(RemoveExec { id: convert::exec_id(id), gently });
        match self.ask_once(sandbox, body).await {
            Ok(Reply::Done) => Ok(()),
            Ok(other) => Err(other.unexpected().for_exec(id)),
            Err(unasked) => Err(unasked.for_exec(id)),
        }
    }

    async fn stat(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        links: Links,
    ) -> Result<FileEntry> {
        let target = convert::target(scope, path)?;
        let follow = links == Links::Followed;
        match self.ask_once(sandbox, RequestBody::Stat(Stat { target, follow })).await {
            Ok(Reply::Metadata(metadata)) => Ok(convert::entry(path.clone(), metadata)),
            Ok(other) => Err(other.unexpected().for_path(path)),
            Err(unasked) => Err(unasked.for_path(path)),
        }
    }

    async fn list(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing> {
        let listing = files::Request { scope, path, max_entries, depth: files::Depth::Directory };
        let body = listing.body()?;
        let listed = async {
            let mut channel = self.ask(sandbox, body).await?;
            Ok(listing.receive(&mut channel).await?)
        };
        listed.await.map_err(|unasked: Unasked| unasked.for_path(path))
    }

    async fn walk(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing> {
        let listing = files::Request { scope, path, max_entries, depth: files::Depth::Tree };
        let body = listing.body()?;
        let listed = async {
            let mut channel = self.ask(sandbox, body).await?;
            Ok(listing.receive(&mut channel).await?)
        };
        listed.await.map_err(|unasked: Unasked| unasked.for_path(path))
    }

    async fn tree(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        query: &TreeQuery,
        max_entries: usize,
    ) -> Result<Listing> {
        let listing = files::Request { scope, path, max_entries, depth: files::Depth::Selected(query) };
        let body = listing.body()?;
        let listed = async {
            let mut channel = self.ask(sandbox, body).await?;
            Ok(listing.receive(&mut channel).await?)
        };
        listed.await.map_err(|unasked: Unasked| unasked.for_path(path))
    }

    async fn find_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        max_lines: usize,
    ) -> Result<Matches> {
        let target = convert::target(scope, path)?;
        let limit = u32::try_from(max_lines).unwrap_or(u32::MAX);
        let found = async {
            let body = RequestBody::Find(Find { target, text: text.into(), limit });
            let mut channel = self.ask(sandbox, body).await?;
            Ok(files::matches(&mut channel, path, max_lines).await?)
        };
        found.await.map_err(|unasked: Unasked| unasked.for_path(path))
    }

    async fn replace_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        with: &[u8],
    ) -> Result<u64> {
        let target = convert::target(scope, path)?;
        let replace = ReplaceText { target, text: text.into(), with: with.into() };
        let replaced = async {
            let mut channel = self.ask(sandbox, RequestBody::ReplaceText(replace)).await?;
            match channel.reply_within(self.patience * REPLACE_PATIENCE).await? {
                Reply::Replaced(replaced) => Ok(replaced.count),
                other => Err(other.unexpected().into()),
            }
        };
        replaced.await.map_err(|unasked: Unasked| unasked.for_path(path))
    }

    async fn read(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        range: ReadRange,
    ) -> Result<(FileEntry, Body)> {
        let target = convert::target(scope, path)?;
        let read = async {
            let body = RequestBody::Read(Read { target, offset: range.offset, len: range.length });
            let mut channel = self.ask(sandbox, body).await?;
            match channel.reply().await? {
                Reply::Metadata(metadata) => Ok((channel, metadata)),
                other => Err(other.unexpected().into()),
            }
        };
        let (channel, metadata) = read.await.map_err(|unasked: Unasked| unasked.for_path(path))?;
        let body = files::body(channel, path.clone(), range.length);
        Ok((convert::entry(path.clone(), metadata), body))
    }

    async fn write(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        options: &WriteOptions,
        body: Body,
    ) -> Result<FileEntry> {
        let request = convert::write(convert::target(scope, path)?, options);
        let asked = self.ask(sandbox, RequestBody::Write(request)).await;
        let mut channel = asked.map_err(|unasked| unasked.for_path(path))?;
        let written = files::upload(&mut channel, path, body).await?;
        Ok(convert::entry(path.clone(), written))
    }

    async fn mkdir(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        mode: u32,
        parents: bool,
    ) -> Result<()> {
        let target = convert::target(scope, path)?;
        self.change(sandbox, path, RequestBody::Mkdir(Mkdir { target, mode: Some(mode), parents })).await
    }

    async fn rename(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        from: &FilePath,
        to: &FilePath,
        existing: Existing,
    ) -> Result<()> {
        let target = convert::target(scope, from)?;
        let Target { path: to, .. } = convert::target(scope, to)?;
        let rename = Rename { target, to, replace: existing == Existing::Replaced };
        match self.change(sandbox, from, RequestBody::Rename(rename.clone())).await {
            // A request of its own, because older guests can do the rest.
            Err(Error::File { problem: FileProblem::CrossDevice, .. }) => {
                self.change(sandbox, from, RequestBody::Move(rename)).await
            }
            other => other,
        }
    }

    async fn remove(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        recursive: bool,
    ) -> Result<()> {
        let target = convert::target(scope, path)?;
        self.change(sandbox, path, RequestBody::Remove(Remove { target, recursive })).await
    }

    async fn chmod(&self, sandbox: SandboxId, scope: &FileScope, path: &FilePath, mode: u32) -> Result<()> {
        let target = convert::target(scope, path)?;
        self.change(sandbox, path, RequestBody::Chmod(Chmod { target, mode })).await
    }

    async fn chown(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<()> {
        let Some(chown) = convert::chown(convert::target(scope, path)?, owner) else { return Ok(()) };
        self.change(sandbox, path, RequestBody::Chown(chown)).await
    }
}
