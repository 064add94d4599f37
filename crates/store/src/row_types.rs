//! What the JSON columns hold: one row type per structured part of a noun, converted both ways.
//!
//! The nouns derive no serde, so that a field added to one of them fails to compile here instead of changing what is on
//! disk. Unknown fields are corruption: only a migration changes these shapes, and a newer schema is refused at open.
//! Variants without fields are written `Name {}` because serde would overlook unknown fields of a tagged `Name`.

use std::net::IpAddr;
use std::time::Duration;

use lazaret_core::{
    Allowlist, EgressPolicy, EventKind, IdleAction, InvalidPolicy, LeasePolicy, PackageCount, PullStep,
    Reason, Refusal, Resources, RoleStep, SandboxRole, Scope, State, UnknownRoleStatus,
};
use serde::{Deserialize, Serialize};

/// A word in a column that names nothing.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not one of the known words")]
pub(crate) struct UnknownWord(pub(crate) String);

/// A span that does not fit: more than 584 years.
#[derive(Debug, thiserror::Error)]
#[error("a span of {0:?} is too long to store")]
pub(crate) struct SpanTooLong(Duration);

fn to_ns(span: Duration) -> Result<u64, SpanTooLong> {
    u64::try_from(span.as_nanos()).map_err(|_| SpanTooLong(span))
}

/// [`Resources`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourcesRow {
    memory_bytes: u64,
    cpu_millis: u32,
    pids: u32,
    disk_bytes: u64,
}

impl From<Resources> for ResourcesRow {
    fn from(Resources { memory_bytes, cpu_millis, pids, disk_bytes }: Resources) -> Self {
        Self { memory_bytes, cpu_millis, pids, disk_bytes }
    }
}

impl From<ResourcesRow> for Resources {
    fn from(ResourcesRow { memory_bytes, cpu_millis, pids, disk_bytes }: ResourcesRow) -> Self {
        Self { memory_bytes, cpu_millis, pids, disk_bytes }
    }
}

/// [`LeasePolicy`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaseRow {
    idle: Option<IdleRow>,
    archive_stopped_after_ns: Option<u64>,
    delete_stopped_after_ns: Option<u64>,
    life_ns: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdleRow {
    after_ns: u64,
    action: IdleActionRow,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdleActionRow {
    Expire,
    Stop,
    Pause,
}

impl TryFrom<LeasePolicy> for LeaseRow {
    type Error = SpanTooLong;

    fn try_from(policy: LeasePolicy) -> Result<Self, SpanTooLong> {
        let LeasePolicy { idle, archive_stopped_after, delete_stopped_after, life } = policy;
        let idle = match idle {
            None => None,
            Some((after, action)) => {
                let action = match action {
                    IdleAction::Expire => IdleActionRow::Expire,
                    IdleAction::Stop => IdleActionRow::Stop,
                    IdleAction::Pause => IdleActionRow::Pause,
                };
                Some(IdleRow { after_ns: to_ns(after)?, action })
            }
        };
        Ok(Self {
            idle,
            archive_stopped_after_ns: archive_stopped_after.map(to_ns).transpose()?,
            delete_stopped_after_ns: delete_stopped_after.map(to_ns).transpose()?,
            life_ns: life.map(to_ns).transpose()?,
        })
    }
}

impl From<LeaseRow> for LeasePolicy {
    fn from(row: LeaseRow) -> Self {
        let idle = row.idle.map(|IdleRow { after_ns, action }| {
            let action = match action {
                IdleActionRow::Expire => IdleAction::Expire,
                IdleActionRow::Stop => IdleAction::Stop,
                IdleActionRow::Pause => IdleAction::Pause,
            };
            (Duration::from_nanos(after_ns), action)
        });
        Self {
            idle,
            archive_stopped_after: row.archive_stopped_after_ns.map(Duration::from_nanos),
            delete_stopped_after: row.delete_stopped_after_ns.map(Duration::from_nanos),
            life: row.life_ns.map(Duration::from_nanos),
        }
    }
}

/// [`EgressPolicy`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum NetworkRow {
    Disabled {},
    Allowlist { domains: Vec<String>, cidrs: Vec<String> },
    Internet {},
}

impl From<EgressPolicy> for NetworkRow {
    fn from(policy: EgressPolicy) -> Self {
        match policy {
            EgressPolicy::Disabled => Self::Disabled {},
            EgressPolicy::Allowlist(list) => Self::Allowlist {
                domains: list.domains().iter().map(ToString::to_string).collect(),
                cidrs: list.cidrs().iter().map(ToString::to_string).collect(),
            },
            EgressPolicy::Internet => Self::Internet {},
        }
    }
}

impl TryFrom<NetworkRow> for EgressPolicy {
    type Error = InvalidPolicy;

    fn try_from(row: NetworkRow) -> Result<Self, InvalidPolicy> {
        Ok(match row {
            NetworkRow::Disabled {} => Self::Disabled,
            NetworkRow::Allowlist { domains, cidrs } => Self::Allowlist(Allowlist::parse(&domains, &cidrs)?),
            NetworkRow::Internet {} => Self::Internet,
        })
    }
}

/// [`Reason`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ReasonRow {
    Requested {},
    Idle {},
    EndOfLife {},
    GuestDied {},
    OutOfMemory {},
    HostDiskFull {},
    LostWithHost {},
    StartFailed { why: String },
    StartCommandFailed { why: String },
    RemoveFailed { why: String },
}

impl From<Reason> for ReasonRow {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Requested => Self::Requested {},
            Reason::Idle => Self::Idle {},
            Reason::EndOfLife => Self::EndOfLife {},
            Reason::GuestDied => Self::GuestDied {},
            Reason::OutOfMemory => Self::OutOfMemory {},
            Reason::HostDiskFull => Self::HostDiskFull {},
            Reason::LostWithHost => Self::LostWithHost {},
            Reason::StartFailed(why) => Self::StartFailed { why },
            Reason::StartCommandFailed(why) => Self::StartCommandFailed { why },
            Reason::RemoveFailed(why) => Self::RemoveFailed { why },
        }
    }
}

impl From<ReasonRow> for Reason {
    fn from(row: ReasonRow) -> Self {
        match row {
            ReasonRow::Requested {} => Self::Requested,
            ReasonRow::Idle {} => Self::Idle,
            ReasonRow::EndOfLife {} => Self::EndOfLife,
            ReasonRow::GuestDied {} => Self::GuestDied,
            ReasonRow::OutOfMemory {} => Self::OutOfMemory,
            ReasonRow::HostDiskFull {} => Self::HostDiskFull,
            ReasonRow::LostWithHost {} => Self::LostWithHost,
            ReasonRow::StartFailed { why } => Self::StartFailed(why),
            ReasonRow::StartCommandFailed { why } => Self::StartCommandFailed(why),
            ReasonRow::RemoveFailed { why } => Self::RemoveFailed(why),
        }
    }
}

/// [`SandboxRole`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxRoleRow {
    id: String,
    status: String,
    message: Option<String>,
}

impl From<SandboxRole> for SandboxRoleRow {
    fn from(SandboxRole { id, status, message }: SandboxRole) -> Self {
        Self { id, status: status.name().to_owned(), message }
    }
}

impl TryFrom<SandboxRoleRow> for SandboxRole {
    type Error = UnknownRoleStatus;

    fn try_from(row: SandboxRoleRow) -> Result<Self, UnknownRoleStatus> {
        Ok(Self { id: row.id, status: row.status.parse()?, message: row.message })
    }
}

/// The scopes of a key, by their names.
#[derive(Serialize, Deserialize)]
pub(crate) struct ScopesRow(Vec<String>);

impl From<&[Scope]> for ScopesRow {
    fn from(scopes: &[Scope]) -> Self {
        Self(scopes.iter().map(|scope| scope.name().to_owned()).collect())
    }
}

/// [`ScopesRow`] with its names understood.
pub(crate) struct Scopes(pub(crate) Vec<Scope>);

impl TryFrom<ScopesRow> for Scopes {
    type Error = UnknownWord;

    fn try_from(row: ScopesRow) -> Result<Self, UnknownWord> {
        row.0
            .into_iter()
            .map(|name| name.parse().map_err(|_| UnknownWord(name)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// [`EventKind`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum EventKindRow {
    StateChanged { state: String, reason: Option<ReasonRow> },
    AccessDenied { refusal: String, account: Option<String>, peer: Option<IpAddr>, count: u64 },
    EgressDenied { destination: String, reason: String, count: u64 },
    ImagePull { reference: String, step: String, layer: Option<String>, reason: Option<String> },
    TemplateChanged { template: String, name: String, state: String, reason: Option<String> },
    RoleProgress { role: String, step: String, packages: Option<PackagesRow>, message: Option<String> },
}

/// [`PackageCount`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackagesRow {
    installed: u32,
    wanted: u32,
}

impl From<EventKind> for EventKindRow {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::StateChanged { state, reason } => {
                Self::StateChanged { state: state.name().to_owned(), reason: reason.map(ReasonRow::from) }
            }
            EventKind::AccessDenied { refusal, account, peer, count } => Self::AccessDenied {
                refusal: refusal.name().to_owned(),
                account: account.map(|id| id.to_string()),
                peer,
                count,
            },
            EventKind::EgressDenied { destination, reason, count } => {
                Self::EgressDenied { destination, reason, count }
            }
            EventKind::TemplateChanged { template, name, state, reason } => Self::TemplateChanged {
                template: template.to_string(),
                name,
                state: state.name().to_owned(),
                reason,
            },
            EventKind::ImagePull { reference, step, layer, reason } => Self::ImagePull {
                reference,
                step: step.name().to_owned(),
                layer: layer.map(|layer| layer.to_string()),
                reason,
            },
            EventKind::RoleProgress { role, step, packages, message } => Self::RoleProgress {
                role,
                step: step.name().to_owned(),
                packages: packages
                    .map(|PackageCount { installed, wanted }| PackagesRow { installed, wanted }),
                message,
            },
        }
    }
}

impl TryFrom<EventKindRow> for EventKind {
    type Error = UnknownWord;

    fn try_from(row: EventKindRow) -> Result<Self, UnknownWord> {
        Ok(match row {
            EventKindRow::StateChanged { state, reason } => {
                let state: State = state.parse().map_err(|_| UnknownWord(state))?;
                Self::StateChanged { state, reason: reason.map(Reason::from) }
            }
            EventKindRow::AccessDenied { refusal, account, peer, count } => {
                let known = Refusal::ALL.into_iter().find(|known| known.name() == refusal);
                let account = account.map(|id| id.parse().map_err(|_| UnknownWord(id))).transpose()?;
                Self::AccessDenied { refusal: known.ok_or(UnknownWord(refusal))?, account, peer, count }
            }
            EventKindRow::EgressDenied { destination, reason, count } => {
                Self::EgressDenied { destination, reason, count }
            }
            EventKindRow::TemplateChanged { template, name, state, reason } => Self::TemplateChanged {
                template: template.parse().map_err(|_| UnknownWord(template))?,
                name,
                state: state.parse().map_err(|_| UnknownWord(state))?,
                reason,
            },
            EventKindRow::ImagePull { reference, step, layer, reason } => {
                let known = PullStep::ALL.into_iter().find(|known| known.name() == step);
                let layer = layer.map(|layer| layer.parse().map_err(|_| UnknownWord(layer))).transpose()?;
                Self::ImagePull { reference, step: known.ok_or(UnknownWord(step))?, layer, reason }
            }
            EventKindRow::RoleProgress { role, step, packages, message } => {
                let known = RoleStep::ALL.into_iter().find(|known| known.name() == step);
                let packages =
                    packages.map(|PackagesRow { installed, wanted }| PackageCount { installed, wanted });
                Self::RoleProgress { role, step: known.ok_or(UnknownWord(step))?, packages, message }
            }
        })
    }
}
