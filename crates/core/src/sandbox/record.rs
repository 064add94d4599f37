//! The record of a sandbox: what the store keeps and every dialect renders.

use std::collections::BTreeMap;
use std::fmt;

use crate::{
    AccountId, Digest, EgressPolicy, LeasePolicy, Resources, SandboxId, SandboxRole, State, Timestamp,
    VolumeMount,
};

/// A sandbox as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub account: AccountId,
    /// A name for people; never empty, not unique unless its makers saw to that ([`crate::NameUse`]).
    pub name: String,
    /// The image's name, as resolved at creation.
    pub image: String,
    /// The image's digest, which the name pointed at then.
    pub image_digest: Digest,
    /// Bounds.
    pub resources: Resources,
    /// Variables of every exec, on top of the image's.
    pub env: BTreeMap<String, String>,
    /// Working directory of every exec; `None` for the image's.
    pub cwd: Option<String>,
    /// User of every exec; `None` for the image's.
    pub user: Option<String>,
    /// Network policy; `None` if the maker named none, which means [`EgressPolicy::Disabled`].
    pub network: Option<EgressPolicy>,
    /// Name of the template that it was made of, as it was then.
    pub template: Option<String>,
    /// Started in the background whenever the sandbox starts; empty for nothing.
    pub start_command: Vec<String>,
    /// What was, or is being, applied to it after its first start; a fork has what was applied to its origin.
    pub role: Option<SandboxRole>,
    /// Volumes that it mounts.
    pub volumes: Vec<VolumeMount>,
    /// The maker's labels.
    pub labels: BTreeMap<String, String>,
    /// Whoever has the address of one of its ports may see what is there, without a key.
    pub public: bool,
    /// Time limits.
    pub lease: LeasePolicy,
    /// Where it is in its life.
    pub state: State,
    /// Why it is in this state, if there is more to say.
    pub reason: Option<Reason>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_active_at: Timestamp,
    /// When it entered its state.
    pub state_since: Timestamp,
    /// Position in creation order; breaks ties of `created_at`. Zero until the store has numbered it.
    pub sequence: u64,
}

/// Why a sandbox is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked.
    Requested,
    /// Nobody used it for its idle time.
    Idle,
    /// Its longest life is over.
    EndOfLife,
    /// Its PID 1 ended by itself or was killed.
    GuestDied,
    /// Its PID 1 ended after processes of it were killed for want of memory.
    OutOfMemory,
    /// The host's disk has no room for what it has set aside.
    HostDiskFull,
    /// It was not there when the server came back, after a reboot for instance.
    LostWithHost,
    /// It could not be started; the text says what to do.
    StartFailed(String),
    /// It runs, and what was to be started with it could not be.
    StartCommandFailed(String),
    /// It could not be removed whole; deleting it again may do.
    RemoveFailed(String),
}

impl Reason {
    /// A word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Idle => "idle",
            Self::EndOfLife => "end_of_life",
            Self::GuestDied => "guest_died",
            Self::OutOfMemory => "out_of_memory",
            Self::HostDiskFull => "host_disk_full",
            Self::LostWithHost => "lost_with_host",
            Self::StartFailed(_) => "start_failed",
            Self::StartCommandFailed(_) => "start_command_failed",
            Self::RemoveFailed(_) => "remove_failed",
        }
    }
}

/// A sentence for people.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Idle => f.write_str("not used for its idle time"),
            Self::EndOfLife => f.write_str("its longest life is over"),
            Self::GuestDied => f.write_str("its first process ended"),
            Self::OutOfMemory => f.write_str("it reached its memory limit and its first process ended"),
            Self::HostDiskFull => f.write_str(
                "it set aside more disk space than the host has left; start it again when there is room",
            ),
            Self::LostWithHost => f.write_str("not there any more when the server came back"),
            Self::StartFailed(why) => write!(f, "could not be started: {why}"),
            Self::StartCommandFailed(why) => write!(f, "its start command could not be started: {why}"),
            Self::RemoveFailed(why) => write!(f, "could not be removed: {why}"),
        }
    }
}
