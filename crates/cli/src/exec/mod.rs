//! Running a command in a sandbox and living its streams here.
//!
//! ```text
//!   stdin thread ──┐                                        ┌──▶ stdout
//!   signals ───────┼──▶ queue ──▶ WebSocket ──▶ reader ──────┼──▶ stderr
//!   window size ───┘                                        └──▶ exit code
//! ```
//!
//! [`socket`] knows the wire, [`mod@attach`] the local side. Both directions are polled side by side, so output that nobody
//! reads never delays a signal.

mod attach;
mod socket;

pub(crate) use attach::{Attachment, Ended, attach};
