//! The native dialect over HTTP, one file for each route's behaviour, against the router in this process.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod audit;
mod contract;
mod events;
mod exec_background;
mod exec_run;
mod exec_socket;
mod exec_stream;
mod files_change;
mod files_read;
mod files_write;
mod git;
mod image_build;
mod images;
mod observed;
mod operations;
mod ports;
mod rates;
mod requests;
mod roles;
mod run_code;
mod sandbox_fork;
mod sandboxes_archive;
mod sandboxes_create;
mod sandboxes_get;
mod sandboxes_lifecycle;
mod sandboxes_list;
mod sandboxes_update;
mod templates;
mod unauthorized;
mod volumes;

use serde_json::{Value, json};
use support::Server;

/// Makes a sandbox and returns its id.
async fn sandbox(server: &Server) -> String {
    sandbox_with(server, json!({})).await
}

/// Makes a sandbox from this body and returns its id.
async fn sandbox_with(server: &Server, body: Value) -> String {
    let made = server.post("/lazaret/v1/sandboxes").json(&body).send().await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

/// A path beneath a sandbox.
fn at(id: &str, rest: &str) -> String {
    format!("/lazaret/v1/sandboxes/{id}{rest}")
}

/// The core's id of a sandbox, for looking behind the API.
fn core_id(id: &str) -> lazaret_core::SandboxId {
    id.replace('-', "").parse().expect("a UUID")
}
