//! The command line: a client of the native API.
//!
//! ```text
//!   clap ──▶ ClientCommand ──▶ commands/* ──▶ Client (HTTP, SSE) ──▶ server
//!                                    └──────▶ exec (WebSocket ⇄ stdin, stdout, signals, terminal)
//! ```
//!
//! Data goes to standard output, talk to standard error. What comes from the server may come from inside a sandbox: its
//! JSON is bounded, its text is printed without control characters, its file names are checked.
//!
//! Not here: `serve` and `doctor`, which the server's program adds, and any knowledge of how sandboxes are made; this
//! crate builds where they cannot be.

#![forbid(unsafe_code)]

mod client;
mod commands;
mod environment;
mod events_stream;
mod exec;
mod failure;
mod globals;
mod new_sandbox;
mod progress;
mod reference;
mod role;
mod server_error;
mod signals;
mod sizes;
mod stdio;
mod terminal;
mod text;
mod variables;
mod wire;

pub use commands::{ClientCommand, run, run_blocking};
pub use environment::default_data_dir;
pub use failure::{Failure, report};
pub use globals::Globals;
