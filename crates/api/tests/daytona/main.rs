//! Daytona's control API and toolbox over HTTP, one file for each subject, against the router in this process.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod contract;
mod errors;
mod events;
mod previews;
mod process;
mod sandbox_changes;
mod sandbox_create;
mod sandbox_lifecycle;
mod sandbox_list;
mod shared_prefix;
mod signed_files;
mod toolbox_files;
mod toolbox_git;
mod toolbox_info;
mod toolbox_lsp;
mod unauthorized;
mod volumes;

use serde_json::{Value, json};

use support::{Answer, Server};

/// A sandbox, as its UUID.
async fn sandbox(server: &Server) -> String {
    sandbox_with(server, json!({})).await
}

/// A sandbox made by the native API with this body, as its UUID.
async fn sandbox_with(server: &Server, body: Value) -> String {
    let made = server.post("/lazaret/v1/sandboxes").json(&body).send().await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

/// The core's id of a sandbox, for looking behind the API.
fn core_id(uuid: &str) -> lazaret_core::SandboxId {
    uuid.replace('-', "").parse().expect("an id of ours")
}

/// A sandbox made by the control API with this body.
async fn made(server: &Server, body: Value) -> Value {
    server.post("/api/sandbox").json(&body).send().await.expect(200)
}

fn id_of(sandbox: &Value) -> String {
    sandbox["id"].as_str().expect("an id").to_owned()
}

/// A path of the toolbox of a sandbox.
fn toolbox(id: &str, path: &str) -> String {
    format!("/toolbox/{id}{path}")
}

/// Status, code or reason, and message of a failure of either API, in one line; every field of its body is checked.
fn failure(answer: &Answer) -> String {
    let body = answer.json();
    assert!(answer.header("x-request-id").starts_with("req_"), "every answer has its id");
    assert_eq!(body["statusCode"], answer.status.as_u16(), "{body}");
    assert!(body["timestamp"].as_str().is_some_and(|at| at.len() == 24 && at.ends_with('Z')), "{body}");
    let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("{key} in {body}")).to_owned();
    let word = if body.get("code").is_some() {
        assert_eq!(body["source"], "DAYTONA_DAEMON", "{body}");
        format!("{} {} {}", text("code"), text("method"), text("path"))
    } else {
        format!("{} {}", text("error"), text("path"))
    };
    format!("{} {word}: {}", answer.status.as_u16(), text("message"))
}
