//! Actions on sandboxes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{ACT_DEADLINE, Actions, LOOK_DEADLINE, NOT_STOPPABLE, Outcome, Refusal, within};
use crate::services::SandboxFilter;
use crate::{
    Caller, Error, IdleAction, Kind, LeasePolicy, Order, PageRequest, Resources, Sandbox, SandboxId,
    SandboxSpec, State, Template, limits,
};

const GIB: u64 = 1024 * 1024 * 1024;
/// Minutes without use until a sandbox stops, unless its maker says otherwise.
const AUTO_STOP_DEFAULT: i64 = 15;
/// Sandboxes on a page, unless the caller says otherwise, and at most.
const PAGE_DEFAULT: i64 = 100;
const PAGE_MAX: i64 = 200;

/// A wanted sandbox; what is absent has its default.
#[derive(Debug, Clone, Default)]
pub struct NewSandbox {
    /// Template, by name or id, or image, by name or digest.
    pub snapshot: Option<String>,
    /// Name; no other sandbox of the account may have it.
    pub name: Option<String>,
    /// Region: there is one, so any will do.
    pub target: Option<String>,
    /// User of its commands.
    pub user: Option<String>,
    /// Variables of its commands.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Cores.
    pub cpu: Option<i64>,
    /// GiB of memory.
    pub memory: Option<i64>,
    /// GiB of disk.
    pub disk: Option<i64>,
    /// Minutes without use until it stops; 0 for never.
    pub auto_stop_interval: Option<i64>,
    /// Minutes stopped until it is archived.
    pub auto_archive_interval: Option<i64>,
    /// Minutes stopped until it is deleted; negative for never.
    pub auto_delete_interval: Option<i64>,
    /// Previews need no token.
    pub public: Option<bool>,
}

/// Which sandboxes to list.
#[derive(Debug, Clone, Default)]
pub struct ListSandboxes {
    /// How many; taken into 1 to 200.
    pub limit: Option<i64>,
    /// The name begins so, in any case.
    pub name: Option<String>,
    /// All of these labels.
    pub labels: BTreeMap<String, String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of sandboxes, the most recently used first.
#[derive(Debug, Clone)]
pub struct SandboxPage {
    /// The sandboxes.
    pub sandboxes: Vec<Sandbox>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

impl Actions {
    /// Makes a sandbox and returns it running.
    pub async fn create_sandbox(&self, caller: &Caller, new: NewSandbox) -> Outcome<Sandbox> {
        within(ACT_DEADLINE, async {
            if let Some(name) = &new.name
                && !self.sandboxes.find_by_name(caller, name)?.is_empty()
            {
                return Err(Error::AlreadyExists { kind: Kind::Sandbox, id: name.clone() }.into());
            }
            let template = match &new.snapshot {
                Some(name) => self.template(caller, name)?,
                None => None,
            };
            let spec = match template {
                Some(Template { name, recipe, .. }) => {
                    let new = NewSandbox { snapshot: None, ..new };
                    SandboxSpec { template: Some(name), ..spec(new, recipe.resources)? }
                }
                None => spec(new, self.sandboxes.default_resources())?,
            };
            Ok(self.sandboxes.create(caller, spec).await?)
        })
        .await
    }

    /// The template with this name or id; `None` if there is none, and the name is an image's.
    fn template(&self, caller: &Caller, name: &str) -> Outcome<Option<Template>> {
        match self.templates.get(caller, name) {
            Ok(template) => Ok(Some(template)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A page of the account's sandboxes.
    pub async fn list_sandboxes(&self, caller: &Caller, wanted: ListSandboxes) -> Outcome<SandboxPage> {
        within(LOOK_DEADLINE, async {
            let limit = wanted.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
            let limit = usize::try_from(limit).unwrap_or(1);
            let after = match &wanted.cursor {
                Some(cursor) => Some(self.place(caller, cursor).await?),
                None => None,
            };
            let labels = wanted.labels.into_iter().collect();
            let filter = SandboxFilter { labels, ..SandboxFilter::default() };
            let all = PageRequest { limit: usize::MAX - 1, order: Order::Ascending, after: None };
            let mut found = self.sandboxes.list(caller, &filter, all).await?.items;
            let prefix = wanted.name.map(|name| name.to_lowercase()).unwrap_or_default();
            found.retain(|sandbox| {
                sandbox.state != State::Expired && sandbox.name.to_lowercase().starts_with(&prefix)
            });
            found.sort_by_key(place);
            if let Some(after) = after {
                found.retain(|sandbox| place(sandbox) > after);
            }
            let has_more = found.len() > limit;
            found.truncate(limit);
            let next_cursor = found.last().filter(|_| has_more).map(cursor);
            Ok(SandboxPage { sandboxes: found, next_cursor })
        })
        .await
    }

    /// Where a cursor points, if it is one of a sandbox that is still there.
    async fn place(&self, caller: &Caller, cursor: &str) -> Outcome<Place> {
        let unknown = || Refusal(format!("Cursor {cursor} is not valid"));
        let (micros, id) = cursor.split_once('-').ok_or_else(unknown)?;
        let (micros, id) = (micros.parse().map_err(|_| unknown())?, id.parse().map_err(|_| unknown())?);
        self.sandboxes.get(caller, id).await.map_err(|error| match error {
            Error::NotFound { .. } => unknown(),
            error => error.into(),
        })?;
        Ok((Reverse(micros), id))
    }

    /// A sandbox as it is now.
    pub async fn get_sandbox(&self, caller: &Caller, sandbox: &str) -> Outcome<Sandbox> {
        within(LOOK_DEADLINE, async {
            let id = self.by_id_or_name(caller, sandbox).await?;
            Ok(self.sandboxes.get(caller, id).await?)
        })
        .await
    }

    /// Starts a sandbox; one that runs is left alone.
    pub async fn start_sandbox(&self, caller: &Caller, sandbox: &str) -> Outcome<Sandbox> {
        within(ACT_DEADLINE, async {
            let id = self.by_id_or_name(caller, sandbox).await?;
            Ok(self.sandboxes.start(caller, id).await?)
        })
        .await
    }

    /// Stops a sandbox that runs.
    pub async fn stop_sandbox(&self, caller: &Caller, sandbox: &str) -> Outcome<Sandbox> {
        within(ACT_DEADLINE, async {
            let id = self.by_id_or_name(caller, sandbox).await?;
            if !self.sandboxes.get(caller, id).await?.state.is_live() {
                return Err(Refusal(NOT_STOPPABLE.to_owned()));
            }
            Ok(self.sandboxes.stop(caller, id, None).await?)
        })
        .await
    }

    /// Deletes a sandbox, and returns what it was, gone.
    pub async fn delete_sandbox(&self, caller: &Caller, sandbox: &str) -> Outcome<Sandbox> {
        within(ACT_DEADLINE, async {
            let id = self.by_id_or_name(caller, sandbox).await?;
            let mut gone = self.sandboxes.get(caller, id).await?;
            self.sandboxes.delete(caller, id).await?;
            gone.state = State::Deleted;
            Ok(gone)
        })
        .await
    }
}

/// Position in a listing: the most recently used first, then by id.
type Place = (Reverse<i64>, SandboxId);

fn place(sandbox: &Sandbox) -> Place {
    (Reverse(sandbox.last_active_at.unix_micros()), sandbox.id)
}

fn cursor(sandbox: &Sandbox) -> String {
    format!("{}-{}", sandbox.last_active_at.unix_micros(), sandbox.id)
}

fn spec(new: NewSandbox, defaults: Resources) -> Outcome<SandboxSpec> {
    let base = SandboxSpec { resources: defaults, ..SandboxSpec::default() };
    let count = |field, value: Option<i64>, unit: u64, default: u64| match value {
        None => Ok(default),
        Some(count) => match u64::try_from(count) {
            Ok(count @ 1..) => Ok(count.saturating_mul(unit)),
            _ => Err(Refusal(format!("{field} must be at least 1"))),
        },
    };
    let cpu = count("cpu", new.cpu, 1000, defaults.cpu_millis.into())?;
    Ok(SandboxSpec {
        resources: Resources {
            cpu_millis: u32::try_from(cpu).unwrap_or(u32::MAX),
            memory_bytes: count("memory", new.memory, GIB, defaults.memory_bytes)?,
            disk_bytes: count("disk", new.disk, GIB, defaults.disk_bytes)?,
            ..defaults
        },
        lease: lease(new.auto_stop_interval, new.auto_archive_interval, new.auto_delete_interval)?,
        name: new.name,
        image: new.snapshot,
        env: new.env,
        user: new.user,
        labels: new.labels,
        public: new.public.unwrap_or_default(),
        ..base
    })
}

fn lease(stop: Option<i64>, archive: Option<i64>, delete: Option<i64>) -> Outcome<LeasePolicy> {
    let minutes = |count: i64| Duration::from_secs(u64::try_from(count).unwrap_or(0).saturating_mul(60));
    let idle = match stop.unwrap_or(AUTO_STOP_DEFAULT) {
        ..0 => return Err(Refusal("Auto-stop interval must be non-negative".to_owned())),
        0 => None,
        count => Some((minutes(count), IdleAction::Stop)),
    };
    let archive_stopped_after = match archive {
        None => None,
        Some(..0) => return Err(Refusal("Auto-archive interval must be non-negative".to_owned())),
        Some(0) => Some(limits::ARCHIVE_AFTER_MAX),
        Some(count) => Some(minutes(count)),
    };
    let delete_stopped_after = match delete {
        None | Some(..0) => None,
        Some(count) => Some(minutes(count)),
    };
    Ok(LeasePolicy { idle, archive_stopped_after, delete_stopped_after, life: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(new: NewSandbox) -> Outcome<(Resources, LeasePolicy)> {
        spec(new, Resources::default()).map(|spec| (spec.resources, spec.lease))
    }

    #[test]
    fn what_is_absent_has_its_default_and_what_is_given_is_honoured() {
        let (resources, lease) = check(NewSandbox::default()).expect("defaults");
        assert_eq!(resources, Resources::default());
        assert_eq!(lease.idle, Some((Duration::from_secs(900), IdleAction::Stop)));
        assert_eq!(lease.delete_stopped_after, None);
        let new = NewSandbox {
            cpu: Some(2),
            memory: Some(3),
            disk: Some(4),
            auto_stop_interval: Some(0),
            auto_delete_interval: Some(7),
            ..NewSandbox::default()
        };
        let (resources, lease) = check(new).expect("valid");
        assert_eq!(
            (resources.cpu_millis, resources.memory_bytes, resources.disk_bytes),
            (2000, 3 * GIB, 4 * GIB)
        );
        assert_eq!((lease.idle, lease.delete_stopped_after), (None, Some(Duration::from_secs(420))));
    }

    #[test]
    fn negative_intervals_and_empty_bounds_are_refused() {
        let refused = |new: NewSandbox| check(new).map_err(|Refusal(sentence)| sentence).map(|_| ());
        let base = NewSandbox::default;
        for (new, want) in [
            (
                NewSandbox { auto_stop_interval: Some(-1), ..base() },
                "Auto-stop interval must be non-negative",
            ),
            (
                NewSandbox { auto_archive_interval: Some(-1), ..base() },
                "Auto-archive interval must be non-negative",
            ),
            (NewSandbox { cpu: Some(0), ..base() }, "cpu must be at least 1"),
            (NewSandbox { memory: Some(-5), ..base() }, "memory must be at least 1"),
        ] {
            assert_eq!(refused(new), Err(want.to_owned()));
        }
    }
}
