//! What the black-box suites and the benchmark share: a real server on a data directory of its own.
//!
//! ```text
//!   Server   starts, kills and stops one `lazaret serve`, and on drop deletes what it made and checks the host
//!   Client   HTTP with the server's key, kept alive; answers are status, headers and bytes
//!   Native   the calls of the native API, each insisting on its success
//!   Traces   what a data directory's sandboxes have left on the host: processes, mounts, cgroups, loop devices
//!   escape   attempts to get out of a sandbox, and the places where they are made
//!   registry Debian's docker-registry on loopback, and images for it
//!   internet hosts and names outside, for sandboxes that have a network
//!   wait     the only way to wait: for a condition, with a deadline
//! ```
//!
//! Nothing here knows how the server works inside; it is driven as a user drives it.

#![forbid(unsafe_code)]

mod client;
pub mod escape;
pub mod internet;
mod native;
pub mod registry;
mod server;
mod traces;
pub mod wait;

pub use client::{Answer, Client};
pub use native::Native;
pub use server::{KEY, Server, binary, target};
pub use traces::{Traces, remove_cgroup_parent};
