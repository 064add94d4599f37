//! The sandbox: its record, and the states that it moves through.
//!
//! ```text
//! creating ─▶ running ⇄ paused          expired: out of time; stays listed, cannot run again
//!     │         │  ▲                    archived: upper packed away, comes back with start
//!     ▼         ▼  │                    error: with a reason a person can act on; recoverable by start
//!   error    stopping ─▶ stopped        deleted: gone, with everything it held
//! ```
//!
//! Which verb may do what is one pure function ([`State::judge`] in `judge.rs`); the sandbox's driver task applies
//! it, and it alone (`services/driver.rs`).

mod judge;
mod lease;
mod record;
mod spec;

pub use judge::{Decision, State, Verb};
pub use lease::{IdleAction, LeasePolicy};
pub use record::{Reason, Sandbox};
pub use spec::{SandboxSpec, SeedFile};
pub(crate) use spec::{check_env, check_name, check_user};
