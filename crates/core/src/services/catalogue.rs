//! The files under a sandbox's data directory, each with an id that lasts as long as its path.
//!
//! The tree is the truth: every look walks it, gives new paths an id and forgets vanished ones. What a client put there
//! is `User`; what is found is `Assistant`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Context;
use super::files::holding;
use super::lease::InUse;
use super::sandboxes::use_sandbox;
use super::table::Entry;
use crate::{
    Body, Caller, CatalogueEntry, CatalogueEntryId, Error, Existing, FileEntry, FilePath, FileProblem,
    FileScope, Kind, Links, Order, Page, PageRequest, ReadRange, Result, Sandbox, SandboxId, Scope, Source,
    UploadId, WriteOptions, limits,
};

/// The entries of one sandbox in memory, by path.
pub(super) type Known = BTreeMap<FilePath, CatalogueEntry>;

/// Begin of the names, directly in the data directory, under which staged files wait; an id follows. The catalogue does
/// not show them, no client's file may have one, and one that nobody waits for was left by a server that was killed.
const STAGED_PREFIX: &str = ".lazaret-staged-";

/// A client's file that is inside the sandbox and has no path of its own yet. Dropped before it has one, it is removed.
pub struct StagedFile {
    catalogue: Catalogue,
    entry: Arc<Entry>,
    path: FilePath,
    guard: InUse,
    is_placed: bool,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        staged(&self.entry).remove(&self.path);
        if !self.is_placed {
            let (catalogue, id, path) = (self.catalogue.clone(), self.entry.id, self.path.clone());
            tokio::spawn(async move { catalogue.discard(id, &path).await });
        }
    }
}

/// The names of the staged files that somebody waits for.
fn staged(entry: &Entry) -> std::sync::MutexGuard<'_, BTreeSet<FilePath>> {
    entry.staged.lock().expect("no panic under this lock")
}

/// Catalogues of sandboxes of the caller's account.
///
/// Every method fails with [`Error::NotFound`] for a sandbox or entry that is not there, and with [`Error::Refused`]
/// for a sandbox that does not run.
#[derive(Clone)]
pub struct Catalogue {
    pub(super) context: Arc<Context>,
}

impl Catalogue {
    /// The directory whose files are catalogued.
    pub fn root(&self) -> &FilePath {
        &self.context.settings.data_dir
    }

    /// A page of entries in creation order, as the tree is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for [`Kind::Cursor`] if `page.after` never was in this catalogue.
    pub async fn list(
        &self,
        caller: &Caller,
        id: SandboxId,
        page: PageRequest<CatalogueEntryId>,
    ) -> Result<Page<CatalogueEntry>> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.page_of(&entry, page).await).await
    }

    async fn page_of(
        &self,
        entry: &Entry,
        page: PageRequest<CatalogueEntryId>,
    ) -> Result<Page<CatalogueEntry>> {
        let mut items: Vec<_> = self.reconcile(entry).await?.into_values().collect();
        let after = match page.after {
            None => None,
            Some(cursor) => Some(match items.iter().find(|item| item.id == cursor) {
                Some(item) => item.sequence,
                None => {
                    let place =
                        self.context.ports.store.find_deleted_catalogue_entry(entry.id, cursor).await?;
                    place.ok_or_else(|| Error::not_found(Kind::Cursor, cursor))?
                }
            }),
        };
        items.sort_by_key(|item| item.sequence);
        if page.order == Order::Descending {
            items.reverse();
        }
        items.retain(|item| match (after, page.order) {
            (None, _) => true,
            (Some(place), Order::Ascending) => item.sequence > place,
            (Some(place), Order::Descending) => item.sequence < place,
        });
        Ok(Page::cut(items, page.limit))
    }

    /// One entry, as the tree is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] if its path has vanished.
    pub async fn get(
        &self,
        caller: &Caller,
        id: SandboxId,
        file: CatalogueEntryId,
    ) -> Result<CatalogueEntry> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.find(&entry, file).await).await
    }

    /// An entry and its content, resolved without following links. The sandbox is in use until the body is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] if its path has vanished or is no regular file any more.
    pub async fn read(
        &self,
        caller: &Caller,
        id: SandboxId,
        file: CatalogueEntryId,
        range: ReadRange,
    ) -> Result<(CatalogueEntry, Body)> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let mut found = self.find(&entry, file).await?;
        let read = self.context.ports.guest.read(id, &self.scope(), &found.path, range).await;
        let (now, body) = guard.counted(read.map_err(|error| vanished(error, file))).await?;
        found.bytes = now.bytes;
        Ok((found, holding(body, guard)))
    }

    /// Writes a client's file; an entry that is there at this path keeps its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is reserved; [`Error::File`] if the path leaves the data directory or cannot
    /// be written.
    pub async fn write(
        &self,
        caller: &Caller,
        id: SandboxId,
        path: &FilePath,
        body: Body,
    ) -> Result<CatalogueEntry> {
        caller.need(Scope::SandboxesWrite)?;
        self.check_name(path)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let written = async {
            self.ensure_root(id).await?;
            let (guest, options) = (&self.context.ports.guest, WriteOptions::default());
            let written = guest.write(id, &self.scope(), path, &options, body).await?;
            self.record(&entry, written).await
        };
        guard.counted(written.await).await
    }

    /// Writes a client's file whose path is yet to come, as in a multipart body. It counts as use when it is placed.
    ///
    /// # Errors
    /// As [`Catalogue::write`].
    pub async fn stage(&self, caller: &Caller, id: SandboxId, body: Body) -> Result<StagedFile> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let token = CatalogueEntryId::from_bytes(self.context.ports.ids.next(self.context.now()));
        let mut path = self.root().as_bytes().to_vec();
        path.extend_from_slice(format!("/{STAGED_PREFIX}{token}").as_bytes());
        let path = FilePath::new(path)?;
        staged(&entry).insert(path.clone());
        // From here on it is removed whatever happens; where there is nothing yet, that is nothing.
        let file = StagedFile { catalogue: self.clone(), entry, path, guard, is_placed: false };
        self.ensure_root(id).await?;
        self.context.ports.guest.write(id, &self.scope(), &file.path, &WriteOptions::default(), body).await?;
        Ok(file)
    }

    /// Moves a staged file to its path; an entry that is there keeps its id.
    ///
    /// # Errors
    /// As [`Catalogue::write`].
    pub async fn place(
        &self,
        caller: &Caller,
        mut file: StagedFile,
        path: &FilePath,
    ) -> Result<CatalogueEntry> {
        caller.need(Scope::SandboxesWrite)?;
        self.check_name(path)?;
        let id = file.entry.id;
        let (entry, _guard) = use_sandbox(&self.context, caller, id).await?;
        let (guest, scope) = (&self.context.ports.guest, self.scope());
        if let Some(parent) = path.parent() {
            guest.mkdir(id, &scope, &parent, 0o755, true).await?;
        }
        guest.rename(id, &scope, &file.path, path, Existing::Replaced).await?;
        file.is_placed = true;
        let recorded = async { self.record(&entry, guest.stat(id, &scope, path, Links::Kept).await?).await };
        file.guard.counted(recorded.await).await
    }

    /// The data directory is always there for clients, whatever code inside did to it.
    async fn ensure_root(&self, id: SandboxId) -> Result<()> {
        self.context.ports.guest.mkdir(id, &FileScope::default(), self.root(), 0o777, true).await
    }

    /// Refuses the name of a staged file.
    fn check_name(&self, path: &FilePath) -> Result<()> {
        if self.is_staged(path) {
            return Err(Error::invalid("path", "is a reserved name"));
        }
        Ok(())
    }

    fn is_staged(&self, path: &FilePath) -> bool {
        let token = path.file_name().strip_prefix(STAGED_PREFIX.as_bytes());
        let is_id = |token| std::str::from_utf8(token).is_ok_and(|id| id.parse::<CatalogueEntryId>().is_ok());
        token.is_some_and(is_id) && path.parent().as_ref() == Some(self.root())
    }

    async fn discard(&self, id: SandboxId, path: &FilePath) {
        match self.context.ports.guest.remove(id, &self.scope(), path, false).await {
            Ok(()) | Err(Error::File { problem: FileProblem::NotFound, .. }) => {}
            Err(error) => {
                tracing::warn!(sandbox.id = %id, error = &error as &dyn std::error::Error,
                    "a staged file stayed behind");
            }
        }
    }

    /// Records a client's file that is there now.
    async fn record(&self, entry: &Entry, written: FileEntry) -> Result<CatalogueEntry> {
        let mut catalogue = entry.catalogue.lock().await;
        let known = load(&self.context, entry.id, &mut catalogue).await?;
        put(&self.context, entry.id, known, written, Source::User).await
    }

    /// Copies an uploaded file in, as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an upload that is not this account's; as [`Catalogue::write`].
    pub async fn copy_upload(
        &self,
        caller: &Caller,
        id: SandboxId,
        upload: UploadId,
        path: &FilePath,
    ) -> Result<CatalogueEntry> {
        let found = super::uploads::find(&self.context, caller, upload).await?;
        let body = self.context.ports.blobs.get(&found.digest, 0, None).await?;
        let body = body.ok_or_else(|| Error::not_found(Kind::Upload, upload))?;
        self.write(caller, id, path, body).await
    }

    /// Removes an entry and the file itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the second delete.
    pub async fn delete(&self, caller: &Caller, id: SandboxId, file: CatalogueEntryId) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.remove(&entry, file).await).await
    }

    async fn remove(&self, entry: &Entry, file: CatalogueEntryId) -> Result<()> {
        let found = self.find(entry, file).await?;
        let mut catalogue = entry.catalogue.lock().await;
        let known = load(&self.context, entry.id, &mut catalogue).await?;
        let removed = self.context.ports.guest.remove(entry.id, &self.scope(), &found.path, false).await;
        removed.map_err(|error| vanished(error, file))?;
        known.remove(&found.path);
        self.context.ports.store.delete_catalogue_entry(entry.id, file).await?;
        Ok(())
    }

    async fn find(&self, entry: &Entry, file: CatalogueEntryId) -> Result<CatalogueEntry> {
        let known = self.reconcile(entry).await?;
        known
            .into_values()
            .find(|item| item.id == file)
            .ok_or_else(|| Error::not_found(Kind::CatalogueEntry, file))
    }

    /// Compares the tree with what is known, and answers what is known then.
    async fn reconcile(&self, entry: &Entry) -> Result<Known> {
        let mut catalogue = entry.catalogue.lock().await;
        let known = load(&self.context, entry.id, &mut catalogue).await?;
        let walked = self
            .context
            .ports
            .guest
            .walk(entry.id, &self.scope(), self.root(), limits::CATALOGUE_MAX_ENTRIES)
            .await;
        let listing = match walked {
            // The tenant may have removed the directory itself.
            Err(Error::File { problem: FileProblem::NotFound | FileProblem::NotADirectory, .. }) => {
                crate::ports::Listing { entries: Vec::new(), truncated: false }
            }
            walked => walked?,
        };
        if listing.truncated {
            tracing::warn!(sandbox.id = %entry.id, limit = limits::CATALOGUE_MAX_ENTRIES,
                "the data directory has more files than are catalogued");
        }
        let found = listing.entries;
        let (left, mut found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|file| self.is_staged(&file.path));
        let waiting = staged(entry).clone();
        for file in left.iter().filter(|file| !waiting.contains(&file.path)) {
            self.discard(entry.id, &file.path).await;
        }
        // Files that appeared between two looks are numbered in the order in which they were written.
        found.sort_by(|a, b| (a.modified_at, &a.path).cmp(&(b.modified_at, &b.path)));
        let present: BTreeSet<_> = found.iter().map(|file| file.path.clone()).collect();
        for file in found {
            match known.get_mut(&file.path) {
                Some(item) => item.bytes = file.bytes,
                None => drop(put(&self.context, entry.id, known, file, Source::Assistant).await?),
            }
        }
        if !listing.truncated {
            let gone: Vec<_> = known.keys().filter(|path| !present.contains(*path)).cloned().collect();
            for path in gone {
                if let Some(item) = known.remove(&path) {
                    self.context.ports.store.delete_catalogue_entry(entry.id, item.id).await?;
                }
            }
        }
        Ok(known.clone())
    }

    /// As root inside, since code may run as anybody, and never out of the data directory through a link.
    fn scope(&self) -> FileScope {
        FileScope { user: None, beneath: Some(self.root().clone()) }
    }
}

async fn load<'a>(
    context: &Context,
    sandbox: SandboxId,
    catalogue: &'a mut Option<Known>,
) -> Result<&'a mut Known> {
    if catalogue.is_none() {
        let entries = context.ports.store.list_catalogue(sandbox).await?;
        *catalogue = Some(entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect());
    }
    Ok(catalogue.as_mut().expect("it was just filled"))
}

/// Adds or refreshes the entry of a file that is known to be there.
async fn put(
    context: &Context,
    sandbox: SandboxId,
    known: &mut Known,
    file: FileEntry,
    source: Source,
) -> Result<CatalogueEntry> {
    let now = context.now();
    let mut entry = known.get(&file.path).cloned().unwrap_or_else(|| CatalogueEntry {
        id: CatalogueEntryId::from_bytes(context.ports.ids.next(now)),
        sandbox,
        path: file.path.clone(),
        bytes: 0,
        source,
        created_at: now,
        sequence: 0,
    });
    entry.bytes = file.bytes;
    entry.source = source;
    entry.sequence = context.ports.store.put_catalogue_entry(&entry).await?;
    known.insert(file.path, entry.clone());
    Ok(entry)
}

/// Records the files that were copied in while the sandbox was being made.
pub(super) async fn record_seeds(context: &Context, sandbox: &Sandbox, files: Vec<FileEntry>) -> Result<()> {
    let mut known = Known::new();
    for file in files {
        let inside = file.path.as_bytes().strip_prefix(context.settings.data_dir.as_bytes());
        if inside.is_some_and(|rest| rest.starts_with(b"/")) {
            put(context, sandbox.id, &mut known, file, Source::User).await?;
        }
    }
    Ok(())
}

/// A file that went away between the look and the act is simply not found.
fn vanished(error: Error, file: CatalogueEntryId) -> Error {
    match error {
        Error::File {
            problem:
                FileProblem::NotFound
                | FileProblem::NotADirectory
                | FileProblem::NotARegularFile
                | FileProblem::LinkNotFollowed
                | FileProblem::OutsideRoot,
            ..
        } => Error::not_found(Kind::CatalogueEntry, file),
        error => error,
    }
}
