//! The sandbox: its record, and the states that it moves through.
//!
//! ```text
//! creating ─▶ running ⇄ paused                        expired: out of time; stays listed, cannot run again
//!     │         │  ▲                                  archived: disk packed away, comes back with start
//!     ▼         ▼  │                                  error: with a reason a person can act on; recoverable by start
//!   error    stopping ─▶ stopped ─▶ archiving ─▶ archived     deleted: gone, with everything it held
//! ```
//!
//! Which verb may do what is one pure function ([`State::judge`] in `judge.rs`); the sandbox's driver task applies
//! it, and it alone (`services/driver.rs`).

mod changes;
mod judge;
mod lease;
mod record;
mod secrets;
mod spec;

pub use changes::{LeaseChanges, Life, ResourceChanges, SandboxChanges};
pub use judge::{Decision, State, Verb};
pub use lease::{IdleAction, LeasePolicy};
pub use record::{Reason, Sandbox};
pub(crate) use secrets::{ADDITION_VARIABLE, BUNDLE_VARIABLES};
pub use secrets::{Authority, DomainSecret, DomainSecrets};
pub use spec::{NameUse, SandboxSpec, SeedFile};
pub(crate) use spec::{check_env, check_labels, check_name, check_user};
