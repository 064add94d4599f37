//! A guest that keeps files in memory and runs the commands of `exec.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use lazaret_core::ports::{Guest, GuestStream, Listing, Matches};
use lazaret_core::{
    BackgroundExec, Body, Clock, Error, ExecId, ExecSession, ExecSpec, Existing, FileEntry, FilePath,
    FileProblem, FileScope, Keep, Kind, Limit, Links, ManualClock, Owner, ReadRange, Removal, Result,
    SandboxId, TreeQuery, WriteOptions, collect,
};
use tokio::sync::watch;

use super::exec::{self, Background, PID};
use super::tree::{Node, Tree, failed};

/// Bytes of a chunk of a file's content: small, so that content comes in several.
const CHUNK_BYTES: usize = 1024;
/// Largest file that a test may write.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

struct World {
    tree: Tree,
    execs: Vec<Arc<Background>>,
}

/// The guests of all sandboxes.
pub struct MemoryGuest {
    clock: Arc<ManualClock>,
    worlds: Mutex<HashMap<SandboxId, World>>,
    /// How many processes run.
    running: watch::Sender<usize>,
    /// How many files are being written.
    writing: Arc<AtomicUsize>,
}

/// A write under way; dropped with it, however it ends.
struct Writing(Arc<AtomicUsize>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MemoryGuest {
    pub(super) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, worlds: Mutex::default(), running: watch::Sender::new(0), writing: Arc::default() }
    }

    fn worlds(&self) -> MutexGuard<'_, HashMap<SandboxId, World>> {
        self.worlds.lock().expect("no panic under this lock")
    }

    fn with<T>(&self, id: SandboxId, act: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        let mut worlds = self.worlds();
        let tree = || Tree::new(self.clock.now());
        act(worlds.entry(id).or_insert_with(|| World { tree: tree(), execs: Vec::new() }))
    }

    pub(super) fn forget(&self, id: SandboxId) {
        self.worlds().remove(&id);
    }

    /// How many processes run now.
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// How many files are being written now.
    pub fn writing(&self) -> usize {
        self.writing.load(Ordering::Relaxed)
    }

    /// Whether a path is there.
    pub fn has(&self, id: SandboxId, path: &str) -> bool {
        self.with(id, |world| Ok(world.tree.has(path.as_bytes()))).expect("looking never fails")
    }

    /// Writes a file as a program inside would.
    pub fn plant(&self, id: SandboxId, path: &str, content: &'static str) {
        let now = self.clock.now();
        let path = FilePath::new(path).expect("an absolute path");
        let planted = self.with(id, |world| {
            world.tree.check_parent(&path, true, now)?;
            world.tree.put(path.as_bytes().to_vec(), Node::File(content.into()), 0o644, now);
            Ok(())
        });
        planted.expect("planting never fails");
    }

    /// Removes a path as a program inside would.
    pub fn erase(&self, id: SandboxId, path: &str) {
        let path = FilePath::new(path).expect("an absolute path");
        self.with(id, |world| world.tree.remove(&path, true)).expect("it is there");
    }

    /// Whether a file waits for its path.
    pub fn has_staged(&self, id: SandboxId) -> bool {
        let root = FilePath::new("/mnt/data").expect("an absolute path");
        let is_staged = |entry: &FileEntry| entry.path.file_name().starts_with(b".lazaret-staged-");
        self.with(id, |world| Ok(world.tree.beneath(&root, true)?.iter().any(is_staged)))
            .is_ok_and(|found| found)
    }

    /// Makes a symbolic link as a program inside would.
    pub fn plant_link(&self, id: SandboxId, path: &str, target: &str) {
        let now = self.clock.now();
        let node = Node::Link(target.as_bytes().to_vec());
        let planted = self.with(id, |world| {
            world.tree.put(path.as_bytes().to_vec(), node, 0o777, now);
            Ok(())
        });
        planted.expect("planting never fails");
    }
}

#[async_trait]
impl Guest for MemoryGuest {
    /// A port of this machine, in place of one inside.
    async fn dial(&self, _sandbox: SandboxId, port: u16) -> Result<GuestStream> {
        match tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(_) => Err(Error::PortClosed { port }),
        }
    }

    async fn exec(&self, sandbox: SandboxId, spec: &ExecSpec) -> Result<ExecSession> {
        let script = self.with(sandbox, |world| world.tree_file(spec))?;
        exec::start(spec, script, self.running.clone())
    }

    async fn exec_background(
        &self,
        sandbox: SandboxId,
        id: ExecId,
        spec: &ExecSpec,
        keep: &Keep,
    ) -> Result<ExecSession> {
        let script = self.with(sandbox, |world| world.tree_file(spec))?;
        let session = exec::start(spec, script, self.running.clone())?;
        let background = Background::keep(id, spec, keep, session, self.clock.now());
        self.with(sandbox, |world| {
            world.execs.push(Arc::clone(&background));
            Ok(())
        })?;
        Ok(ExecSession { pid: PID, ..background.attach(0) })
    }

    async fn attach(&self, sandbox: SandboxId, id: ExecId, offset: u64) -> Result<ExecSession> {
        let found = self.with(sandbox, |world| Ok(world.execs.iter().find(|exec| exec.id == id).cloned()))?;
        Ok(found.ok_or_else(|| Error::not_found(Kind::Exec, id))?.attach(offset))
    }

    async fn list_execs(&self, sandbox: SandboxId) -> Result<Vec<BackgroundExec>> {
        self.with(sandbox, |world| Ok(world.execs.iter().map(|exec| exec.describe()).collect()))
    }

    async fn remove_exec(&self, sandbox: SandboxId, id: ExecId, _removal: Removal) -> Result<()> {
        self.with(sandbox, |world| {
            let at = world.execs.iter().position(|exec| exec.id == id);
            world.execs.remove(at.ok_or_else(|| Error::not_found(Kind::Exec, id))?).kill();
            Ok(())
        })
    }

    async fn stat(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        links: Links,
    ) -> Result<FileEntry> {
        Tree::check(scope, path)?;
        self.with(sandbox, |world| world.tree.looked_at(path, links))
    }

    async fn list(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing> {
        Tree::check(scope, path)?;
        let entries = self.with(sandbox, |world| world.tree.beneath(path, false))?;
        Ok(cut(entries, max_entries))
    }

    async fn walk(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        max_entries: usize,
    ) -> Result<Listing> {
        Tree::check(scope, path)?;
        let entries = self.with(sandbox, |world| world.tree.beneath(path, true))?;
        Ok(cut(entries, max_entries))
    }

    async fn tree(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        query: &TreeQuery,
        max_entries: usize,
    ) -> Result<Listing> {
        Tree::check(scope, path)?;
        let entries = self.with(sandbox, |world| world.tree.selected(path, query))?;
        Ok(cut(entries, max_entries))
    }

    async fn find_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        max_lines: usize,
    ) -> Result<Matches> {
        Tree::check(scope, path)?;
        let mut lines = self.with(sandbox, |world| world.tree.lines_with(scope, path, text))?;
        let truncated = lines.len() > max_lines;
        lines.truncate(max_lines);
        Ok(Matches { lines, truncated })
    }

    async fn replace_text(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        with: &[u8],
    ) -> Result<u64> {
        Tree::check(scope, path)?;
        let now = self.clock.now();
        self.with(sandbox, |world| world.tree.replace(scope, path, text, with, now))
    }

    async fn read(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        range: ReadRange,
    ) -> Result<(FileEntry, Body)> {
        Tree::check(scope, path)?;
        let (entry, bytes) = self.with(sandbox, |world| world.tree.content(scope, path))?;
        let from = usize::try_from(range.offset).expect("a small file").min(bytes.len());
        let length = range.length.map_or(usize::MAX, |length| usize::try_from(length).expect("a small file"));
        let wanted = bytes.slice(from..from.saturating_add(length).min(bytes.len()));
        let chunks: Vec<_> = wanted.chunks(CHUNK_BYTES).map(|chunk| Ok(wanted.slice_ref(chunk))).collect();
        Ok((entry, stream::iter(chunks).boxed()))
    }

    async fn write(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        options: &WriteOptions,
        body: Body,
    ) -> Result<FileEntry> {
        Tree::check(scope, path)?;
        self.writing.fetch_add(1, Ordering::Relaxed);
        let _writing = Writing(Arc::clone(&self.writing));
        let bytes = collect(body, FILE_MAX_BYTES, Limit::AnswerBytes).await?;
        let now = self.clock.now();
        self.with(sandbox, |world| {
            if world.tree.beneath(path, false).is_ok() {
                return Err(failed(path, FileProblem::IsADirectory));
            }
            world.tree.check_parent(path, options.parents, now)?;
            let mode = world.tree.inode(path).map_or(options.mode, |inode| inode.mode);
            world.tree.put(path.as_bytes().to_vec(), Node::File(bytes), mode, now);
            world.tree.entry(path)
        })
    }

    async fn mkdir(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        mode: u32,
        parents: bool,
    ) -> Result<()> {
        Tree::check(scope, path)?;
        let now = self.clock.now();
        self.with(sandbox, |world| world.tree.make_directory(path, mode, parents, now))
    }

    async fn rename(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        from: &FilePath,
        to: &FilePath,
        existing: Existing,
    ) -> Result<()> {
        Tree::check(scope, from)?;
        Tree::check(scope, to)?;
        let now = self.clock.now();
        self.with(sandbox, |world| world.tree.rename(from, to, existing, now))
    }

    async fn remove(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        recursive: bool,
    ) -> Result<()> {
        Tree::check(scope, path)?;
        self.with(sandbox, |world| world.tree.remove(path, recursive))
    }

    async fn chmod(&self, sandbox: SandboxId, scope: &FileScope, path: &FilePath, mode: u32) -> Result<()> {
        Tree::check(scope, path)?;
        self.with(sandbox, |world| {
            world.tree.inode(path)?.mode = mode;
            Ok(())
        })
    }

    async fn chown(
        &self,
        sandbox: SandboxId,
        scope: &FileScope,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<()> {
        Tree::check(scope, path)?;
        // The image of this world knows ids and root.
        let id = |name: &Option<String>, before: u32| match name.as_deref() {
            None => Ok(before),
            Some("root") => Ok(0),
            Some(name) => {
                name.parse().map_err(|_| Error::invalid("user", "no such user or group in the image"))
            }
        };
        self.with(sandbox, |world| {
            let inode = world.tree.inode(path)?;
            (inode.uid, inode.gid) = (id(&owner.user, inode.uid)?, id(&owner.group, inode.gid)?);
            Ok(())
        })
    }
}

impl World {
    /// The text of the script that a command names, for interpreters.
    fn tree_file(&mut self, spec: &ExecSpec) -> Result<bytes::Bytes> {
        let script = spec.command.get(1).and_then(|path| FilePath::new(path.as_bytes()).ok());
        let scope = FileScope::default();
        Ok(script
            .and_then(|path| self.tree.content(&scope, &path).ok())
            .map_or_else(Default::default, |f| f.1))
    }
}

fn cut(mut entries: Vec<FileEntry>, max_entries: usize) -> Listing {
    let truncated = entries.len() > max_entries;
    entries.truncate(max_entries);
    Listing { entries, truncated }
}
