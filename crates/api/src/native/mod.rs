//! The native dialect: ours, spoken by the CLI and the dashboard. Its contract is `openapi/native.json`; after a change
//! of it, `cargo run -p lazaret-api --example openapi > crates/api/openapi/native.json` writes it anew.
//!
//! What is deliberately lenient: an id may come in any dialect's form, or be the name of the one sandbox that has it.
//! What is deliberately strict: an unknown key of a body or a query string is refused, since it is a mistake.

mod accounts;
mod contexts;
mod error;
mod events;
mod execs;
mod files;
mod git;
mod images;
mod operations;
mod ports;
mod roles;
mod routes;
mod sandboxes;
mod server;
mod sessions;
mod target;
mod templates;
mod terminals;
mod time;
mod volumes;

pub(crate) use error::Native;
pub(crate) use routes::routes;
pub use server::open_api;
