//! Sandboxes between JSON and the core's nouns.

use std::time::Duration;

use lazaret_core::ports::{EgressUsage, Usage};
use lazaret_core::services::SandboxFilter;
use lazaret_core::{
    Allowlist, EgressPolicy, Error, FilePath, LeaseChanges, LeasePolicy, Life, NameUse, PageRequest,
    ResourceChanges, Result, SandboxChanges, SandboxId, SandboxSpec, State, WantedMount,
};

use super::{secrets, wire};
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::ids;
use crate::native::time::rfc3339;
use crate::native::volumes::wire::VolumeMount;

/// Things of a page whose asker names no limit, and the most that one may ask for.
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

impl From<lazaret_core::Sandbox> for wire::Sandbox {
    fn from(sandbox: lazaret_core::Sandbox) -> Self {
        Self {
            id: ids::uuid(sandbox.id.as_bytes()),
            name: sandbox.name,
            image: sandbox.image,
            image_digest: sandbox.image_digest.to_string(),
            state: sandbox.state.name(),
            reason: sandbox.reason.as_ref().map(wire::Reason::from),
            resources: sandbox.resources.into(),
            env: sandbox.env,
            cwd: sandbox.cwd,
            user: sandbox.user,
            template: sandbox.template,
            start_command: sandbox.start_command,
            role: sandbox.role.map(wire::SandboxRole::from),
            network: sandbox.network.unwrap_or_default().into(),
            volumes: sandbox.volumes.into_iter().map(VolumeMount::from).collect(),
            labels: sandbox.labels,
            public: sandbox.public,
            lease: sandbox.lease.into(),
            created_at: rfc3339(sandbox.created_at),
            last_active_at: rfc3339(sandbox.last_active_at),
            state_since: rfc3339(sandbox.state_since),
        }
    }
}

impl From<&lazaret_core::Reason> for wire::Reason {
    fn from(reason: &lazaret_core::Reason) -> Self {
        Self { code: reason.code(), message: reason.to_string() }
    }
}

impl From<lazaret_core::SandboxRole> for wire::SandboxRole {
    fn from(role: lazaret_core::SandboxRole) -> Self {
        let lazaret_core::SandboxRole { id, status, message } = role;
        Self { id, status: status.name(), message }
    }
}

impl From<lazaret_core::Resources> for wire::Resources {
    fn from(resources: lazaret_core::Resources) -> Self {
        let lazaret_core::Resources { memory_bytes, cpu_millis, pids, disk_bytes } = resources;
        Self { memory_bytes, cpu_millis, pids, disk_bytes }
    }
}

impl From<EgressPolicy> for wire::Network {
    fn from(policy: EgressPolicy) -> Self {
        let (domains, cidrs) = match &policy {
            EgressPolicy::Disabled | EgressPolicy::Internet => (Vec::new(), Vec::new()),
            EgressPolicy::Allowlist(list) => (
                list.domains().iter().map(ToString::to_string).collect(),
                list.cidrs().iter().map(ToString::to_string).collect(),
            ),
        };
        let kind = match policy {
            EgressPolicy::Disabled => wire::NetworkKind::Disabled,
            EgressPolicy::Allowlist(_) => wire::NetworkKind::Allowlist,
            EgressPolicy::Internet => wire::NetworkKind::Internet,
        };
        Self { kind, domains, cidrs }
    }
}

impl TryFrom<wire::Network> for EgressPolicy {
    type Error = Error;

    fn try_from(network: wire::Network) -> Result<Self> {
        let wire::Network { kind, domains, cidrs } = network;
        let lists_nothing = domains.is_empty() && cidrs.is_empty();
        match kind {
            wire::NetworkKind::Allowlist => Ok(Self::Allowlist(Allowlist::parse(&domains, &cidrs)?)),
            wire::NetworkKind::Disabled | wire::NetworkKind::Internet if !lists_nothing => {
                Err(Error::invalid("network", "domains and cidrs are for the type allowlist"))
            }
            wire::NetworkKind::Disabled => Ok(Self::Disabled),
            wire::NetworkKind::Internet => Ok(Self::Internet),
        }
    }
}

impl From<LeasePolicy> for wire::Lease {
    fn from(lease: LeasePolicy) -> Self {
        Self {
            idle_timeout_s: lease.idle.map(|(span, _)| span.as_secs()),
            idle_action: lease.idle.map_or_else(Default::default, |(_, action)| action.into()),
            archive_stopped_after_s: lease.archive_stopped_after.map(|span| span.as_secs()),
            delete_stopped_after_s: lease.delete_stopped_after.map(|span| span.as_secs()),
            life_s: lease.life.map(|span| span.as_secs()),
        }
    }
}

impl From<wire::Lease> for LeasePolicy {
    fn from(lease: wire::Lease) -> Self {
        Self {
            idle: lease.idle_timeout_s.map(|span| (Duration::from_secs(span), lease.idle_action.into())),
            archive_stopped_after: lease.archive_stopped_after_s.map(Duration::from_secs),
            delete_stopped_after: lease.delete_stopped_after_s.map(Duration::from_secs),
            life: lease.life_s.map(Duration::from_secs),
        }
    }
}

impl From<lazaret_core::IdleAction> for wire::IdleAction {
    fn from(action: lazaret_core::IdleAction) -> Self {
        match action {
            lazaret_core::IdleAction::Stop => Self::Stop,
            lazaret_core::IdleAction::Expire => Self::Expire,
            lazaret_core::IdleAction::Pause => Self::Pause,
        }
    }
}

impl From<wire::IdleAction> for lazaret_core::IdleAction {
    fn from(action: wire::IdleAction) -> Self {
        match action {
            wire::IdleAction::Stop => Self::Stop,
            wire::IdleAction::Expire => Self::Expire,
            wire::IdleAction::Pause => Self::Pause,
        }
    }
}

impl From<wire::NewResources> for ResourceChanges {
    fn from(resources: wire::NewResources) -> Self {
        let wire::NewResources { memory_bytes, cpu_millis, pids, disk_bytes } = resources;
        Self { memory_bytes, cpu_millis, pids, disk_bytes }
    }
}

impl wire::Changes {
    /// What the core is asked for.
    pub(super) fn into_changes(self) -> SandboxChanges {
        let lease = self.lease.map(LeasePolicy::from).map(|policy| LeaseChanges {
            idle: Some(policy.idle),
            archive_stopped_after: Some(policy.archive_stopped_after),
            delete_stopped_after: Some(policy.delete_stopped_after),
            life: Some(policy.life.map(Life::FromCreation)),
        });
        SandboxChanges {
            labels: self.labels,
            public: self.public,
            lease: lease.unwrap_or_default(),
            resources: self.resources.map(ResourceChanges::from).unwrap_or_default(),
        }
    }
}

impl wire::NewSandbox {
    /// What the core is asked for, where bounds that were left out are taken from `defaults`.
    pub(super) fn into_spec(self, defaults: lazaret_core::Resources) -> Result<SandboxSpec, Failure> {
        let files = self.files.unwrap_or_default().into_iter().enumerate();
        let volumes = self.volumes.unwrap_or_default();
        Ok(SandboxSpec {
            name: self.name,
            name_use: match self.unique_name {
                Some(true) => NameUse::Unique,
                Some(false) | None => NameUse::Shared,
            },
            template: self.template,
            image: self.image,
            resources: ResourceChanges::from(self.resources.unwrap_or_default()).over(defaults),
            env: self.env.unwrap_or_default(),
            cwd: self.cwd.map(|cwd| absolute("cwd", cwd)).transpose()?,
            user: self.user,
            start_command: self.start_command,
            role: self.role,
            network: self.network.map(EgressPolicy::try_from).transpose()?,
            secrets: secrets::read(self.secrets.unwrap_or_default())?,
            volumes: volumes.into_iter().map(WantedMount::try_from).collect::<Result<_>>()?,
            labels: self.labels.unwrap_or_default(),
            public: self.public.unwrap_or_default(),
            lease: self.lease.unwrap_or_default().into(),
            files: files.map(|(at, file)| seed(at, file)).collect::<Result<_, Failure>>()?,
        })
    }
}

fn seed(at: usize, file: wire::SeedFile) -> Result<lazaret_core::SeedFile, Failure> {
    let upload = ids::parse_upload(&file.upload)
        .ok_or_else(|| Error::not_found(lazaret_core::Kind::Upload, &file.upload))?;
    Ok(lazaret_core::SeedFile { upload, path: absolute(&format!("files[{at}].path"), file.path)? })
}

/// The path, refused under the name of its field.
fn absolute(field: &str, path: String) -> Result<FilePath, Failure> {
    FilePath::new(path).map_err(|error| match error {
        Error::Invalid { reason, .. } => {
            let problem = FieldProblem::Other(reason);
            Rejection::Field { part: Part::Body, field: field.to_owned(), problem }.into()
        }
        error => error.into(),
    })
}

impl wire::ListQuery {
    /// What the core is asked for.
    pub(super) fn into_request(self) -> Result<(SandboxFilter, PageRequest<SandboxId>), Rejection> {
        let (limit, order) = page(self.limit, self.order)?;
        let after = match &self.after {
            Some(text) => Some(
                ids::parse_sandbox(text)
                    .ok_or_else(|| Rejection::query("after", "is not the id of a sandbox"))?,
            ),
            None => None,
        };
        let filter = SandboxFilter {
            name: self.name,
            states: self.state.as_deref().map_or(Ok(Vec::new()), states)?,
            labels: self.label.iter().map(|label| label_pair(label)).collect::<Result<_, Rejection>>()?,
        };
        Ok((filter, PageRequest { limit, order, after }))
    }
}

/// Size and direction of a page, as every list here takes them.
pub(in crate::native) fn page(
    limit: Option<u32>,
    order: Option<wire::Order>,
) -> Result<(usize, lazaret_core::Order), Rejection> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Rejection::query("limit", format!("must be from 1 to {LIMIT_MAX}, not {limit}")));
    }
    let order = match order {
        Some(wire::Order::Asc) => lazaret_core::Order::Ascending,
        Some(wire::Order::Desc) | None => lazaret_core::Order::Descending,
    };
    Ok((usize::try_from(limit).expect("the largest limit fits"), order))
}

fn states(text: &str) -> Result<Vec<State>, Rejection> {
    let state =
        |name: &str| name.parse::<State>().map_err(|error| Rejection::query("state", error.to_string()));
    text.split(',').map(state).collect()
}

fn label_pair(text: &str) -> Result<(String, String), Rejection> {
    let pair = text.split_once('=').ok_or_else(|| Rejection::query("label", "must be written key=value"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl From<(Usage, EgressUsage)> for wire::Stats {
    fn from((usage, egress): (Usage, EgressUsage)) -> Self {
        let Usage { memory_bytes, memory_peak_bytes, cpu_micros, pids, oom_kills, disk_bytes } = usage;
        let EgressUsage { sent_bytes, received_bytes, connections, denied } = egress;
        let egress = wire::Egress { sent_bytes, received_bytes, connections, denied };
        Self { memory_bytes, memory_peak_bytes, cpu_micros, pids, oom_kills, disk_bytes, egress }
    }
}
