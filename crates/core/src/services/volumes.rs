//! Volumes of the caller's account: made, found, removed; and which of them sandboxes are about to mount.
//!
//! ```text
//!   create:  image on the host ─▶ record, with its place in the quota      (an image without a record goes at the next start)
//!   delete:  nobody mounts it ─▶ record says deleting ─▶ image goes ─▶ record goes     (begun again at the next start)
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use super::context::Context;
use crate::{
    AccountId, Caller, Error, Kind, Limit, NewVolume, Page, PageRequest, Result, Scope, State, Volume,
    VolumeId, VolumeMount, VolumeState, WantedMount,
};

/// Volumes.
#[derive(Clone)]
pub struct Volumes {
    pub(super) context: Arc<Context>,
}

impl Volumes {
    /// Makes a volume, which sandboxes can mount when this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the name or the size; [`Error::AlreadyExists`] for the name; [`Error::LimitReached`] for the
    /// account's quota or the host's disk; [`Error::Unsupported`] by the runtime.
    pub async fn create(&self, caller: &Caller, new: NewVolume) -> Result<Volume> {
        caller.need(Scope::SandboxesWrite)?;
        let size_bytes = new.check()?;
        let tier = self.context.settings.tier(&caller.tier);
        if size_bytes > tier.volumes_max_bytes {
            return Err(Error::LimitReached(Limit::VolumeBytes));
        }
        // Told before an image is made for nothing; decided by the store.
        if self.context.ports.store.find_volume_by_name(caller.account, &new.name).await?.is_some() {
            return Err(Error::AlreadyExists { kind: Kind::Volume, id: new.name });
        }
        let now = self.context.now();
        let mut volume = Volume {
            id: VolumeId::from_bytes(self.context.ports.ids.next(now)),
            account: caller.account,
            name: new.name,
            size_bytes,
            state: VolumeState::Ready,
            created_at: now,
            last_used_at: None,
            sequence: 0,
        };
        let context = Arc::clone(&self.context);
        // A task of its own: a client that hangs up half-way must not leave half a volume.
        let made = tokio::spawn(async move {
            let runtime = &context.ports.runtime;
            runtime.create_volume(volume.id, size_bytes).await?;
            let store = &context.ports.store;
            match store.create_volume(&volume, tier.volumes_max, tier.volumes_max_bytes).await {
                Ok(sequence) => {
                    volume.sequence = sequence;
                    Ok(volume)
                }
                Err(error) => {
                    if let Err(undo) = runtime.delete_volume(volume.id).await {
                        tracing::error!(volume.id = %volume.id, error = &undo as &dyn std::error::Error,
                            "a volume that could not be made could not be removed either");
                    }
                    Err(error)
                }
            }
        });
        made.await.map_err(Error::internal)?
    }

    /// The volume with this id or name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the account has none.
    pub async fn get(&self, caller: &Caller, name: &str) -> Result<Volume> {
        caller.need(Scope::SandboxesRead)?;
        find(&self.context, caller.account, name).await
    }

    /// A page of volumes in creation order.
    ///
    /// # Errors
    /// [`Error::NotFound`] for [`Kind::Cursor`] if `page.after` never was this account's.
    pub async fn list(&self, caller: &Caller, page: PageRequest<VolumeId>) -> Result<Page<Volume>> {
        caller.need(Scope::SandboxesRead)?;
        let store = &self.context.ports.store;
        let after = match page.after {
            Some(id) => Some(match store.find_volume(caller.account, id).await? {
                Some(volume) => volume.sequence,
                None => {
                    let place = store.find_deleted_volume(caller.account, id).await?;
                    place.ok_or_else(|| Error::not_found(Kind::Cursor, id))?
                }
            }),
            None => None,
        };
        let request = PageRequest { limit: page.limit, order: page.order, after };
        Ok(Page::cut(store.list_volumes(caller.account, request).await?, page.limit))
    }

    /// Removes a volume and its files.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] while a sandbox mounts it, running or not; what the runtime reports, in which
    /// case it can be tried again.
    pub async fn delete(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let volume = find(&self.context, caller.account, name).await?;
        let context = Arc::clone(&self.context);
        // A task of its own: a client that hangs up half-way must not leave half a volume.
        let removed = tokio::spawn(async move {
            let _leaving = leave(&context, &volume)?;
            context.ports.store.set_volume_state(volume.id, VolumeState::Deleting).await?;
            remove(&context, volume.id).await
        });
        removed.await.map_err(Error::internal)?
    }
}

/// The volumes that a sandbox shall mount, which stay until the answer is dropped.
///
/// # Errors
/// [`Error::NotFound`] for one that the account does not have, or that is being deleted.
pub(super) async fn resolve(
    context: &Context,
    caller: &Caller,
    wanted: &[WantedMount],
) -> Result<(Vec<VolumeMount>, HeldVolumes)> {
    let mut mounts = Vec::with_capacity(wanted.len());
    for WantedMount { volume, path, subpath } in wanted {
        let found = find(context, caller.account, volume).await?;
        mounts.push(VolumeMount { volume: found.id, path: path.clone(), subpath: subpath.clone() });
    }
    let held = hold(context, caller.account, &mounts).await?;
    Ok((mounts, held))
}

/// Keeps the volumes of `mounts` from being deleted until the answer is dropped: until their sandbox is in the table.
///
/// # Errors
/// As [`resolve`].
pub(super) async fn hold(
    context: &Context,
    account: AccountId,
    mounts: &[VolumeMount],
) -> Result<HeldVolumes> {
    let mut held = HeldVolumes { uses: Arc::clone(&context.volumes), ids: Vec::new() };
    for VolumeMount { volume, .. } in mounts {
        let gone = || Error::not_found(Kind::Volume, volume);
        held.add(*volume).ok_or_else(gone)?;
        // Looked at once it is held: it may have been deleted since it was found.
        let found = context.ports.store.find_volume(account, *volume).await?;
        found.filter(|volume| volume.state == VolumeState::Ready).ok_or_else(gone)?;
    }
    Ok(held)
}

/// Notes that a sandbox started with these volumes.
pub(super) async fn note_use(context: &Context, mounts: &[VolumeMount]) {
    let now = context.now();
    for VolumeMount { volume, .. } in mounts {
        if let Err(error) = context.ports.store.touch_volume(*volume, now).await {
            tracing::warn!(volume.id = %volume, error = &error as &dyn std::error::Error,
                "the use of a volume could not be noted");
        }
    }
}

/// Ends deletions that the last server began, and removes what has no record.
pub(super) async fn adopt(context: &Context) -> Result<()> {
    let mut found: BTreeSet<VolumeId> = context.ports.runtime.list_volumes().await?.into_iter().collect();
    for volume in context.ports.store.list_all_volumes().await? {
        let is_there = found.remove(&volume.id);
        if volume.state == VolumeState::Deleting {
            remove(context, volume.id).await?;
        } else if !is_there {
            tracing::error!(volume.id = %volume.id, "the files of a volume are missing; no sandbox can mount it");
        }
    }
    for orphan in found {
        tracing::warn!(volume.id = %orphan, "removing a volume that has no record");
        context.ports.runtime.delete_volume(orphan).await?;
    }
    Ok(())
}

async fn find(context: &Context, account: AccountId, name: &str) -> Result<Volume> {
    let store = &context.ports.store;
    // No name has the form of an id.
    let found = match name.replace('-', "").parse() {
        Ok(id) => store.find_volume(account, id).await?,
        Err(_) => store.find_volume_by_name(account, name).await?,
    };
    found.ok_or_else(|| Error::not_found(Kind::Volume, name))
}

async fn remove(context: &Context, id: VolumeId) -> Result<()> {
    context.ports.runtime.delete_volume(id).await?;
    context.ports.store.delete_volume(id).await.map(drop)
}

/// Begins a deletion, if nobody mounts the volume: from now on nobody can.
fn leave(context: &Context, volume: &Volume) -> Result<Leaving> {
    let in_use = |by: String| Error::InUse { kind: Kind::Volume, id: volume.name.clone(), by };
    let mut inner = context.volumes.lock();
    if inner.making.contains_key(&volume.id) {
        return Err(in_use("a sandbox that is being made".to_owned()));
    }
    // A sandbox is in the table before it lets go of what was held for its making.
    if let Some(sandbox) = user_of(context, volume.id) {
        return Err(in_use(format!("sandbox {sandbox}")));
    }
    if !inner.leaving.insert(volume.id) {
        return Err(in_use("its deletion".to_owned()));
    }
    Ok(Leaving { uses: Arc::clone(&context.volumes), id: volume.id })
}

/// The name of a sandbox that mounts the volume, or would at its next start.
fn user_of(context: &Context, id: VolumeId) -> Option<String> {
    let users = context.table.all().into_iter().filter(|entry| {
        let record = entry.record();
        // One that is being deleted may still have it mounted.
        record.state != State::Expired && record.volumes.iter().any(|mount| mount.volume == id)
    });
    users.map(|entry| entry.record().name.clone()).next()
}

/// Volumes of which the table of sandboxes does not tell yet.
#[derive(Default)]
pub(super) struct Uses {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// How many sandboxes that are being made mount each.
    making: HashMap<VolumeId, usize>,
    /// Those that are being deleted.
    leaving: BTreeSet<VolumeId>,
}

impl Uses {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic under this lock")
    }
}

/// Volumes that are not deleted while this lives.
pub(super) struct HeldVolumes {
    uses: Arc<Uses>,
    ids: Vec<VolumeId>,
}

impl HeldVolumes {
    /// Holds another one; `None` if it is being deleted.
    fn add(&mut self, id: VolumeId) -> Option<()> {
        let mut inner = self.uses.lock();
        if inner.leaving.contains(&id) {
            return None;
        }
        *inner.making.entry(id).or_default() += 1;
        drop(inner);
        self.ids.push(id);
        Some(())
    }
}

impl Drop for HeldVolumes {
    fn drop(&mut self) {
        let mut inner = self.uses.lock();
        for id in &self.ids {
            if let Some(count) = inner.making.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    inner.making.remove(id);
                }
            }
        }
    }
}

/// A volume that is being deleted.
struct Leaving {
    uses: Arc<Uses>,
    id: VolumeId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.uses.lock().leaving.remove(&self.id);
    }
}
