//! The twelve actions for agents: as plain HTTP, and as tools of the Model Context Protocol.
//!
//! ```text
//!   POST /actions/{name} ─┐
//!                         ├─▶ call ──▶ core's Actions ──▶ output object, success or not
//!   POST /mcp tools/call ─┘     ▲
//!   GET /actions, tools/list ◀── catalogue: names, arguments, outputs, from which both schemas are made
//! ```
//!
//! An action that fails is an answer: status 200, `success: false` and a sentence in `error`, and over MCP `isError: false`,
//! since several clients make an exception of anything else. What never reached an action has a status of its own.
//!
//! What is deliberately lenient: unknown arguments are ignored, null and empty are absent, numbers may be texts.

mod arguments;
mod call;
mod catalogue;
mod error;
mod mcp;
mod routes;

pub(crate) use routes::routes;
