//! The `Runtime` port on Linux namespaces: making, guarding and ending sandboxes on this host.
//!
//! ```text
//!   server process                               spawner process              a sandbox
//!   runtime ─▶ client ═══ spawner::wire ══════▶ spawner::serve ── clone3 ──▶ child ─▶ the guest
//!      │                                         │      └─ cgroup              └─ seccomp, capabilities
//!      └── template, record, connect             └─ tree, disk, filesystem
//! ```
//!
//! Unsafe code is in `sys` alone. Not here: which sandboxes there should be and what they may use (the core), images
//! (`lazaret-images`), and what the guest does (`lazaret-guest`).

#![deny(unsafe_code)]

pub mod capabilities;
pub mod cgroup;
mod child;
mod client;
mod connect;
mod disk;
pub mod doctor;
mod error;
mod filesystem;
mod git_client;
mod guard;
mod guest_client;
mod id_range;
mod layout;
mod network;
mod pack;
pub mod privileges;
mod process;
mod programs;
mod record;
mod runtime;
pub mod seccomp;
pub mod spawner;
mod stopwatch;
mod sys;
mod template;

pub use error::{Error, SetupError, Step};
pub use guard::DiskSpace;
pub use guest_client::GuestClient;
pub use id_range::{IdRange, IdSpace, RANGE_IDS};
pub use network::{FamilySockets, GatewaySockets, NetworkConfig};
pub use runtime::{NamespacesRuntime, RuntimeConfig};
