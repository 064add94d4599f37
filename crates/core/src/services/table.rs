//! The living records in memory: every sandbox that is not deleted, by id and in creation order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{mpsc, watch};

use super::catalogue::Known;
use super::driver::Command;
use super::interpreters::Slot;
use super::language_servers::LanguageSlot;
use super::lease::LastUse;
use super::sessions::SessionSlot;
use super::terminals::TerminalSlot;
use crate::{AccountId, Error, FilePath, ImageConfig, Kind, Limit, Result, Sandbox, SandboxId, State};

/// One sandbox in memory.
pub(super) struct Entry {
    pub(super) id: SandboxId,
    pub(super) account: AccountId,
    /// What the image configured, for the defaults of execs.
    pub(super) image_config: ImageConfig,
    pub(super) activity: LastUse,
    /// The way to the driver task.
    pub(super) mailbox: mpsc::Sender<Command>,
    /// Ids of the files under the data directory; loaded from the store at first use.
    pub(super) catalogue: tokio::sync::Mutex<Option<Known>>,
    /// Files inside that wait for their path.
    pub(super) staged: Mutex<BTreeSet<FilePath>>,
    /// Home of its user, once it was looked up since it started.
    pub(super) home: Mutex<Option<String>>,
    /// Warm Python and its contexts.
    pub(super) interpreters: Slot,
    /// Language servers.
    pub(super) language_servers: LanguageSlot,
    /// Shell sessions.
    pub(super) sessions: SessionSlot,
    /// Terminals.
    pub(super) terminals: TerminalSlot,
    record: watch::Sender<Arc<Sandbox>>,
}

impl Entry {
    pub(super) fn new(
        record: Sandbox,
        image_config: ImageConfig,
        activity: LastUse,
        mailbox: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            id: record.id,
            account: record.account,
            image_config,
            activity,
            mailbox,
            catalogue: tokio::sync::Mutex::new(None),
            staged: Mutex::default(),
            home: Mutex::default(),
            interpreters: Slot::default(),
            language_servers: LanguageSlot::default(),
            sessions: SessionSlot::default(),
            terminals: TerminalSlot::default(),
            record: watch::Sender::new(Arc::new(record)),
        }
    }

    /// The record as last changed by the driver; its `last_active_at` may be older than [`Entry::snapshot`]'s.
    pub(super) fn record(&self) -> Arc<Sandbox> {
        Arc::clone(&self.record.borrow())
    }

    pub(super) fn replace(&self, record: Sandbox) {
        self.record.send_replace(Arc::new(record));
    }

    /// The record, as soon as it says that the sandbox has ended or is being ended.
    pub(super) async fn ended(&self) -> Arc<Sandbox> {
        let mut record = self.record.subscribe();
        let has_ended = |record: &Arc<Sandbox>| !matches!(record.state, State::Running | State::Paused);
        // The sender is this entry's, so it is there for as long as somebody waits here.
        let last = record.wait_for(has_ended).await.map(|record| Arc::clone(&record));
        last.unwrap_or_else(|_| self.record())
    }

    /// Whether it runs, as soon as that is so; or that it does not live any more.
    pub(super) async fn runs(&self) -> bool {
        let mut record = self.record.subscribe();
        let settled = |record: &Arc<Sandbox>| record.state == State::Running || !record.state.is_live();
        let last = record.wait_for(settled).await.map(|record| record.state);
        // The sender is this entry's, so it is there for as long as somebody waits here.
        last.is_ok_and(|state| state == State::Running)
    }

    /// The record with the newest activity, as a caller sees it.
    pub(super) fn snapshot(&self) -> Sandbox {
        let mut sandbox = (*self.record()).clone();
        sandbox.last_active_at = self.activity.last_active_at();
        sandbox
    }
}

/// Every sandbox, and how many places each account has taken.
#[derive(Default)]
pub(super) struct Table {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<SandboxId, Arc<Entry>>,
    by_sequence: BTreeMap<u64, SandboxId>,
    /// Sandboxes being made, by account: they count against the quota and are not listed.
    creating: HashMap<AccountId, usize>,
    /// Names that are to be unique, of sandboxes being made.
    promised_names: BTreeSet<(AccountId, String)>,
}

impl Inner {
    /// One that is being deleted or has expired needs its name no more.
    fn check_name(&self, account: AccountId, name: &str) -> Result<()> {
        let has_it = |entry: &Arc<Entry>| {
            let record = entry.record();
            record.name == name && !matches!(record.state, State::Expired | State::Deleted)
        };
        let taken = self.promised_names.contains(&(account, name.to_owned()))
            || self.by_id.values().any(|entry| entry.account == account && has_it(entry));
        if taken {
            return Err(Error::AlreadyExists { kind: Kind::Sandbox, id: name.to_owned() });
        }
        Ok(())
    }
}

/// A place in an account's quota, held while its sandbox is being made.
pub(super) struct Place<'a> {
    table: &'a Table,
    account: AccountId,
    /// Promised to be its alone.
    name: Option<String>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.table.inner.write().expect("no panic under this lock");
        if let Some(count) = inner.creating.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                inner.creating.remove(&self.account);
            }
        }
        if let Some(name) = self.name.take() {
            inner.promised_names.remove(&(self.account, name));
        }
    }
}

impl Table {
    /// Checks the quota and spends one place of it, in one step; and takes `unique` for a name, if one is given.
    pub(super) fn reserve(&self, account: AccountId, max: usize, unique: Option<&str>) -> Result<Place<'_>> {
        let mut inner = self.inner.write().expect("no panic under this lock");
        let held = inner
            .by_id
            .values()
            .filter(|entry| entry.account == account && entry.record().state != State::Expired)
            .count();
        if let Some(name) = unique {
            inner.check_name(account, name)?;
        }
        let creating = inner.creating.entry(account).or_default();
        if held + *creating >= max {
            return Err(Error::LimitReached(Limit::Sandboxes));
        }
        *creating += 1;
        let name = unique.map(str::to_owned);
        if let Some(name) = &name {
            inner.promised_names.insert((account, name.clone()));
        }
        Ok(Place { table: self, account, name })
    }

    /// Succeeds if no sandbox of the account has this name.
    pub(super) fn check_name(&self, account: AccountId, name: &str) -> Result<()> {
        self.inner.read().expect("no panic under this lock").check_name(account, name)
    }

    pub(super) fn insert(&self, entry: Arc<Entry>) {
        let mut inner = self.inner.write().expect("no panic under this lock");
        inner.by_sequence.insert(entry.record().sequence, entry.id);
        inner.by_id.insert(entry.id, entry);
    }

    pub(super) fn remove(&self, id: SandboxId) {
        let mut inner = self.inner.write().expect("no panic under this lock");
        if let Some(entry) = inner.by_id.remove(&id) {
            inner.by_sequence.remove(&entry.record().sequence);
        }
    }

    pub(super) fn find(&self, id: SandboxId) -> Option<Arc<Entry>> {
        self.inner.read().expect("no panic under this lock").by_id.get(&id).cloned()
    }

    /// Every entry, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let inner = self.inner.read().expect("no panic under this lock");
        inner.by_sequence.values().filter_map(|id| inner.by_id.get(id)).cloned().collect()
    }
}
