//! The native dialect: ours, spoken by the CLI and the dashboard. Its contract is `openapi/native.json`.
//!
//! What is deliberately lenient: an id may come in any dialect's form, or be the name of the one sandbox that has it.
//! What is deliberately strict: an unknown key of a body or a query string is refused, since it is a mistake.

mod error;
mod operations;
mod routes;

pub(crate) use error::Native;
pub(crate) use routes::routes;
