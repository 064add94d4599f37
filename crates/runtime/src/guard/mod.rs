//! The guard of the host's disk: sandboxes may be promised more than the host has, and never take it.
//!
//! ```text
//!             ┌──── measure the host, every disk ◀──── timer: 1 s with much left, 100 ms with little
//!             ▼
//!          budget ──▶ grant each disk what it may take until the next look (the kernel refuses the rest with ENOSPC)
//!             ├─────▶ stop whoever promised its programs what the host does not have
//!             └─────▶ trim the disk that holds most for files that are there no more
//! ```
//!
//! A grant is a number in the kernel, so it binds whether or not this thread gets to run. When the server ends, however it
//! ends, the spawner leaves every disk with an equal share of what is there ([`hand_over`]), which binds until the next
//! server's first look.
//!
//! A thread of its own, because it waits for disks. Not here: the arithmetic (`budget`) and the kernel's files (`mounted`).

mod budget;
mod mounted;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lazaret_core::{SandboxId, VolumeId};

use crate::error::Error;
use crate::layout::{DISK, DataDir, PACKED};
use crate::stopwatch::Stopwatch;
use budget::{Budget, Holding, SCARCE_BYTES};
pub(crate) use mounted::{MountedDisk, allocated};

/// Between two looks: with so much left that it lasts for several of them whoever writes, with less, and when it is shared.
const LOOK_AT_PLENTY: Duration = Duration::from_secs(1);
const LOOK_AT_LITTLE: Duration = Duration::from_millis(200);
const LOOK_AT_SCARCE: Duration = Duration::from_millis(100);

/// What is plenty.
const PLENTY_BYTES: u64 = 4 * SCARCE_BYTES;

/// A disk is trimmed when it holds so much more for deleted files than after its last trim: seldom enough that a program
/// that writes and deletes in turns does not feel it.
const TRIM_AT_BYTES: u64 = 64 << 20;

/// How long a journal may keep what was deleted: twice its time between two commits (ext4(5)).
const JOURNAL_PATIENCE: Duration = Duration::from_secs(10);

/// Beyond the reserve, what must be left for another sandbox to start: its first files and its tenant's first steps.
const START_BYTES: u64 = 64 << 20;

/// What the host's disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DiskSpace {
    /// Bytes that sandboxes leave free for the server, its store and the host.
    pub reserve_bytes: u64,
    /// Most bytes that all disks of sandboxes take together; `None` for what is there.
    pub total_bytes: Option<u64>,
}

impl Default for DiskSpace {
    fn default() -> Self {
        Self { reserve_bytes: lazaret_core::limits::HOST_DISK_RESERVE_BYTES, total_bytes: None }
    }
}

/// Whose disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A sandbox's own.
    Sandbox(SandboxId),
    /// A volume's, which several sandboxes may have mounted.
    Volume(VolumeId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox(id) => write!(f, "sandbox {id}"),
            Self::Volume(id) => write!(f, "volume {id}"),
        }
    }
}

/// A disk that is looked after.
#[derive(Debug)]
struct Watched {
    /// The sandboxes that have it mounted, with the process id of the guest that has: a sandbox may have another guest by
    /// the time it is to be stopped.
    users: Mutex<Vec<(SandboxId, i32)>>,
    disk: MountedDisk,
    /// What it had promised its programs at the last look.
    promised_bytes: AtomicU64,
    /// What it held for deleted files after its last trim.
    trimmed_to_bytes: AtomicU64,
    /// Since when trims bring nothing, while that may be the journal's doing.
    journal_holds: Mutex<Option<Stopwatch>>,
}

impl Watched {
    fn users(&self) -> MutexGuard<'_, Vec<(SandboxId, i32)>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a trim that gave `came_back` may give more when it is tried again: what was deleted stays where it is until
    /// the journal has been written, which is a matter of seconds.
    fn is_worth_another_trim(&self, owner: Owner, came_back_bytes: u64) -> bool {
        let mut holds = self.journal_holds.lock().unwrap_or_else(PoisonError::into_inner);
        let has_journal = matches!(owner, Owner::Volume(_));
        if !has_journal || came_back_bytes >= TRIM_AT_BYTES / 2 {
            *holds = None;
            return false;
        }
        let since = holds.get_or_insert_with(Stopwatch::start);
        let is_worth_it = since.elapsed() < JOURNAL_PATIENCE;
        if !is_worth_it {
            *holds = None;
        }
        is_worth_it
    }
}

/// A volume that stays mounted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<Watched>);

impl Held {
    /// Number of the loop device beneath it.
    pub(crate) fn device(&self) -> u32 {
        self.0.disk.device()
    }
}

#[derive(Debug, Default)]
struct State {
    watched: HashMap<Owner, Arc<Watched>>,
    /// What the last look granted each disk.
    granted_bytes: u64,
    is_scarce: bool,
    ends: bool,
    /// Somebody wants a look before the timer's.
    look_now: bool,
}

#[derive(Debug)]
struct Shared {
    data: DataDir,
    space: DiskSpace,
    state: Mutex<State>,
    changed: Condvar,
}

/// The running guard; dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Starts looking after the disks of this data directory. `stop` ends the run of a sandbox with this guest, for whose
    /// promises there is no room; it may block.
    ///
    /// # Errors
    /// [`Error::HostUnfit`] if there is no thread to be had.
    pub(crate) fn start(
        data: DataDir,
        space: DiskSpace,
        stop: impl Fn(SandboxId, i32) + Send + 'static,
    ) -> Result<Self, Error> {
        let shared = Shared { data, space, state: Mutex::default(), changed: Condvar::new() };
        shared.look(&[], &stop).map_err(Error::file("look at", shared.data.root()))?;
        let shared = Arc::new(shared);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("disk-guard".to_owned())
            .spawn(move || of_thread.run(&stop))
            .map_err(|error| Error::HostUnfit(format!("a thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Looks after a disk that a sandbox has mounted, from this moment on.
    ///
    /// # Errors
    /// [`Error::File`] if what it takes of the host cannot be bounded.
    pub(crate) fn watch(
        &self,
        owner: Owner,
        user: SandboxId,
        guest: i32,
        disk: MountedDisk,
    ) -> Result<(), Error> {
        if let Some(watched) = self.shared.lock().watched.get(&owner)
            && watched.disk.device() == disk.device()
        {
            watched.users().push((user, guest));
            return Ok(());
        }
        let granted_bytes = self.shared.lock().granted_bytes;
        disk.grant_first(granted_bytes).map_err(Error::file("bound", disk.image()))?;
        let (promised_bytes, trimmed_to_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let users = Mutex::new(vec![(user, guest)]);
        let watched =
            Watched { users, disk, promised_bytes, trimmed_to_bytes, journal_holds: Mutex::default() };
        let mut state = self.shared.lock();
        state.watched.insert(owner, Arc::new(watched));
        if state.is_scarce {
            state.look_now = true;
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Lets the disks go that a sandbox had mounted, and nobody else has. They are unmounted at the end of a look that is
    /// under way, at the latest.
    pub(crate) fn forget(&self, user: SandboxId) {
        self.shared.lock().watched.retain(|_, watched| {
            let mut users = watched.users();
            users.retain(|(known, _)| *known != user);
            !users.is_empty()
        });
    }

    /// A volume that a sandbox has mounted; `None` if none has.
    pub(crate) fn hold(&self, id: VolumeId) -> Option<Held> {
        self.shared.lock().watched.get(&Owner::Volume(id)).cloned().map(Held)
    }

    /// Succeeds if the host's disk has room for another running sandbox, beyond `bytes` that it begins with.
    ///
    /// # Errors
    /// [`Error::HostDiskFull`]; [`Error::File`] if the host does not tell.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), Error> {
        let needed_bytes = bytes.saturating_add(START_BYTES);
        let path = self.shared.data.root();
        let available = self.shared.available().map_err(Error::file("look at", path))?;
        let promised: u64 = self
            .shared
            .lock()
            .watched
            .values()
            .map(|watched| watched.promised_bytes.load(Ordering::Relaxed))
            .sum();
        let free_bytes = available.saturating_sub(promised);
        if free_bytes >= needed_bytes {
            return Ok(());
        }
        Err(Error::HostDiskFull { path: path.to_owned(), free_bytes, needed_bytes })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _: std::thread::Result<()> = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, stop: &dyn Fn(SandboxId, i32)) {
        let mut patience = LOOK_AT_SCARCE;
        loop {
            let waited = self
                .changed
                .wait_timeout_while(self.lock(), patience, |state| !state.ends && !state.look_now);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.ends {
                return;
            }
            state.look_now = false;
            let watched: Vec<(Owner, Arc<Watched>)> =
                state.watched.iter().map(|(owner, watched)| (*owner, Arc::clone(watched))).collect();
            drop(state);
            match self.look(&watched, stop) {
                Ok(budget) => patience = until_next_look(budget),
                Err(error) => {
                    tracing::error!(path = %self.data.root().display(), %error,
                        "cannot tell what the host's disk has left; disks keep what they were granted");
                    patience = LOOK_AT_PLENTY;
                }
            }
        }
    }

    fn look(
        &self,
        watched: &[(Owner, Arc<Watched>)],
        stop: &dyn Fn(SandboxId, i32),
    ) -> std::io::Result<Budget> {
        let available = self.available()?;
        let (measured, holdings): (Vec<_>, Vec<Holding>) = watched
            .iter()
            .filter_map(|(owner, watched)| match watched.disk.measure() {
                Ok(holding) => Some(((*owner, watched), holding)),
                Err(error) => {
                    // Its image is gone with its sandbox, which is being deleted.
                    tracing::debug!(disk.of = %owner, %error, "cannot measure a disk");
                    None
                }
            })
            .unzip();
        let budget = Budget::of(available, holdings.iter());
        let grant = budget.grant_bytes(holdings.len());
        for ((owner, watched), holding) in measured.iter().zip(&holdings) {
            watched.promised_bytes.store(holding.promised_bytes(), Ordering::Relaxed);
            if let Err(error) = watched.disk.grant(holding, grant) {
                tracing::error!(disk.of = %owner, %error, "cannot bound what a disk takes of the host");
            }
        }
        self.note(budget, grant);
        for index in budget.overdrawn(&holdings) {
            let (owner, watched) = measured[index];
            let users = watched.users().clone();
            for (id, guest) in users {
                tracing::warn!(sandbox.id = %id, disk.of = %owner,
                    promised_bytes = holdings[index].promised_bytes(),
                    "a sandbox is stopped: its disk or volume has set aside more than the host's disk has left");
                stop(id, guest);
            }
        }
        trim_one(&measured, &holdings);
        Ok(budget)
    }

    /// Keeps what `watch` needs, and tells the operator when it becomes scarce and when that is over.
    fn note(&self, budget: Budget, grant: u64) {
        let mut state = self.lock();
        state.granted_bytes = grant;
        let was_scarce = std::mem::replace(&mut state.is_scarce, budget.is_scarce());
        drop(state);
        match (was_scarce, budget.is_scarce()) {
            (false, true) => {
                tracing::warn!(left_bytes = budget.left_bytes, path = %self.data.root().display(),
                "the host's disk is nearly full: sandboxes share what is left beyond the reserve")
            }
            (true, false) => {
                tracing::info!(left_bytes = budget.left_bytes, path = %self.data.root().display(),
                "the host's disk has room again")
            }
            _ => {}
        }
    }

    /// Bytes that sandboxes may take of the host, what is promised to them included.
    fn available(&self) -> std::io::Result<u64> {
        let beyond_reserve = free(self.data.root())?.saturating_sub(self.space.reserve_bytes);
        let Some(total) = self.space.total_bytes else { return Ok(beyond_reserve) };
        let taken = taken(&self.data)?;
        Ok(beyond_reserve.min(total.saturating_sub(taken)))
    }
}

fn until_next_look(budget: Budget) -> Duration {
    if budget.is_scarce() {
        LOOK_AT_SCARCE
    } else if budget.left_bytes < PLENTY_BYTES {
        LOOK_AT_LITTLE
    } else {
        LOOK_AT_PLENTY
    }
}

/// Trims the disk that has most to give back, if that is worth it. One a look, so that the next look is not late.
fn trim_one(measured: &[(Owner, &Arc<Watched>)], holdings: &[Holding]) {
    let gain = |index: &usize| {
        let before = measured[*index].1.trimmed_to_bytes.load(Ordering::Relaxed);
        holdings[*index].slack_bytes().saturating_sub(before)
    };
    let Some(best) = (0..holdings.len()).max_by_key(gain).filter(|best| gain(best) >= TRIM_AT_BYTES) else {
        return;
    };
    let (owner, watched) = &measured[best];
    if let Err(error) = watched.disk.trim() {
        tracing::warn!(disk.of = %owner, %error, "a disk cannot give the space of deleted files back");
    }
    let before = holdings[best].slack_bytes();
    let after = watched.disk.measure().map_or(before, |holding| holding.slack_bytes());
    if !watched.is_worth_another_trim(*owner, before.saturating_sub(after)) {
        watched.trimmed_to_bytes.store(after, Ordering::Relaxed);
    }
}

/// Bytes of the host's disk that are free for anybody.
fn free(path: &Path) -> std::io::Result<u64> {
    let status = rustix::fs::statvfs(path)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Bytes of the host that all disks take, those of stopped sandboxes and of volumes that nobody has mounted included.
fn taken(data: &DataDir) -> std::io::Result<u64> {
    let mut sum = 0_u64;
    for entry in std::fs::read_dir(data.volumes())? {
        // What is not there any more has been deleted.
        if let Ok(image) = entry?.metadata() {
            sum = sum.saturating_add(allocated(&image));
        }
    }
    for entry in std::fs::read_dir(data.sandboxes())? {
        let directory = entry?.path();
        for name in [DISK, PACKED] {
            // What is not there is in the other form, or being made or deleted.
            if let Ok(image) = std::fs::metadata(directory.join(name)) {
                sum = sum.saturating_add(allocated(&image));
            }
        }
    }
    Ok(sum)
}

/// Leaves each disk with an equal share of what is left, for the time without a guard. For the spawner, which sees the
/// server end.
pub(crate) fn hand_over<'a>(
    data: &Path,
    space: DiskSpace,
    disks: impl Iterator<Item = &'a MountedDisk>,
) -> std::io::Result<()> {
    let available = free(data)?.saturating_sub(space.reserve_bytes);
    let measured: Vec<(&MountedDisk, Holding)> =
        disks.filter_map(|disk| Some((disk, disk.measure().ok()?))).collect();
    let budget = Budget::of(available, measured.iter().map(|(_, holding)| holding));
    let share = budget.share_bytes(measured.len());
    measured.iter().try_for_each(|(disk, holding)| disk.grant(holding, share))
}
