//! A sandbox as its client sees it.

use std::time::Duration;

use lazaret_core::{Caller, Sandbox, State};

use super::base::Base;
use super::server::REGION;
use super::volumes::SandboxVolume;
use super::{lease, network, wire};
use crate::daytona::time::iso8601;
use crate::ids;
use crate::settings::App;

const GIB: u64 = 1024 * 1024 * 1024;
/// Who runs things where neither the sandbox nor its image says.
const ROOT: &str = "root";

/// The sandbox, with addresses beneath `base`.
pub(super) fn sandbox(app: &App, base: &Base, sandbox: Sandbox) -> wire::Sandbox {
    let (network_block_all, network_allow_list, domain_allow_list) =
        network::shown(&app.core.sandboxes.network_of(&sandbox));
    let (auto_stop_interval, auto_pause_interval, auto_archive_interval, auto_delete_interval) =
        lease::shown(&sandbox.lease);
    let is_broken = sandbox.state == State::Error;
    wire::Sandbox {
        id: ids::uuid(sandbox.id.as_bytes()),
        organization_id: ids::uuid(sandbox.account.as_bytes()),
        user: app.core.sandboxes.user_of(&sandbox).unwrap_or_else(|| ROOT.to_owned()),
        public: sandbox.public,
        network_block_all,
        network_allow_list,
        domain_allow_list,
        kvm: false,
        target: REGION,
        cpu: u64::from(sandbox.resources.cpu_millis).div_ceil(1000),
        gpu: 0,
        memory: sandbox.resources.memory_bytes.div_ceil(GIB),
        disk: sandbox.resources.disk_bytes.div_ceil(GIB),
        state: state(&sandbox),
        desired_state: desired(&sandbox),
        error_reason: sandbox.reason.as_ref().filter(|_| is_broken).map(ToString::to_string),
        recoverable: is_broken,
        backup_state: "None",
        auto_stop_interval,
        auto_pause_interval,
        auto_archive_interval,
        auto_delete_interval,
        auto_destroy_at: sandbox.lease.life.map(|life| iso8601(sandbox.created_at.after(life))),
        volumes: sandbox.volumes.into_iter().map(SandboxVolume::from).collect(),
        created_at: iso8601(sandbox.created_at),
        updated_at: iso8601(sandbox.state_since),
        last_activity_at: iso8601(sandbox.last_active_at),
        sandbox_class: "container",
        toolbox_proxy_url: base.toolbox(),
        name: sandbox.name,
        snapshot: sandbox.template.unwrap_or(sandbox.image),
        env: sandbox.env,
        labels: sandbox.labels,
    }
}

/// The sandbox's state in this API's words.
pub(super) fn state(sandbox: &Sandbox) -> &'static str {
    let is_ephemeral = is_ephemeral(sandbox);
    match sandbox.state {
        State::Creating => "creating",
        State::Running => "started",
        State::Paused => "paused",
        State::Stopping | State::Stopped if is_ephemeral => "destroying",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Archiving => "archiving",
        State::Archived => "archived",
        State::Error => "error",
        State::Expired | State::Deleted => "destroyed",
    }
}

fn desired(sandbox: &Sandbox) -> &'static str {
    match sandbox.state {
        State::Creating | State::Running => "started",
        State::Paused => "paused",
        State::Stopping | State::Stopped if is_ephemeral(sandbox) => "destroyed",
        State::Stopping | State::Stopped | State::Error => "stopped",
        State::Archiving | State::Archived => "archived",
        State::Expired | State::Deleted => "destroyed",
    }
}

/// Deleted as it stops.
pub(super) fn is_ephemeral(sandbox: &Sandbox) -> bool {
    sandbox.lease.delete_stopped_after == Some(Duration::ZERO)
}

/// The organization of a caller: its account.
pub(super) fn organization(caller: &Caller) -> String {
    ids::uuid(caller.account.as_bytes())
}
