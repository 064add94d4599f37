//! The native dialect over HTTP, one file for each route's behaviour, against the router in this process.

#[path = "../support/mod.rs"]
mod support;

mod operations;
