//! The OpenAI dialect over HTTP, one file for each route's behaviour, against the router in this process. Answers are
//! checked against the published component schemas (`schemas.json`).

#[path = "../support/mod.rs"]
mod support;

mod form;
mod schema;

mod bifrost;
mod body_broken;
mod container_expire;
mod container_files_content;
mod container_files_create;
mod container_files_delete;
mod container_files_list;
mod containers_create;
mod containers_delete;
mod containers_list;
mod containers_retrieve;
mod errors;
mod files_create;
mod files_list;
mod files_retrieve;
mod paths_aliases;
mod unauthorized;

use lazaret_core::{CatalogueEntryId, FileScope, SandboxId, ports::Guest};
use serde_json::{Value, json};

use form::Form;
use support::{Answer, Server};

/// A container called `c`.
async fn container(server: &Server) -> String {
    let made = server.post("/v1/containers").json(&json!({"name": "c"})).send().await;
    text(&schema::checked(&made, 200, "ContainerResource"), "id")
}

/// A file that a client uploaded.
async fn upload(server: &Server, filename: &str, content: &str) -> Value {
    let form = Form::new().text("purpose", "user_data").file("file", filename, content);
    schema::checked(&form.send(server.post("/v1/files")).await, 200, "OpenAIFile")
}

/// A file put into a container.
async fn put(server: &Server, container: &str, form: Form) -> Value {
    let answer = form.send(server.post(&format!("/v1/containers/{container}/files"))).await;
    schema::checked(&answer, 200, "ContainerFileResource")
}

/// Answer to `GET`, which must be a 200 of this schema.
async fn got(server: &Server, path: &str, component: &str) -> Value {
    schema::checked(&server.get(path).send().await, 200, component)
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("{key} in {body}")).to_owned()
}

/// The values of one key, down a list.
fn column(list: &Value, key: &str) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(|item| text(item, key)).collect()
}

/// The core's id of a container.
fn core_id(container: &str) -> SandboxId {
    container["cntr_".len()..][..32].parse().expect("an id of ours")
}

/// The core's id of a container file.
fn entry_id(file: &str) -> CatalogueEntryId {
    file["cfile_".len()..].parse().expect("an id of ours")
}

/// Every file under the data directory, shown to clients or not.
async fn tree(server: &Server, container: &str) -> Vec<String> {
    let root = lazaret_core::FilePath::new("/mnt/data").expect("an absolute path");
    let walked = server.guest.walk(core_id(container), &FileScope::default(), &root, 1000).await;
    walked.expect("the data directory").entries.iter().map(|entry| entry.path.to_text()).collect()
}

/// Status, type, code, param and message of an error, in one line.
fn failure(answer: &Answer) -> String {
    let body = answer.json();
    schema::conforms("ErrorResponse", &body);
    assert!(answer.header("x-request-id").starts_with("req_"), "every answer has its id");
    let error = &body["error"];
    let text = |key: &str| error[key].as_str().unwrap_or("-").to_owned();
    let (kind, code, param) = (text("type"), text("code"), text("param"));
    format!("{} {kind} {code} {param}: {}", answer.status.as_u16(), text("message"))
}

/// The path with the prefix that makes it unique taken away.
fn plain(path: &str) -> String {
    let name = path.strip_prefix("/mnt/data/").unwrap_or_else(|| panic!("{path} is elsewhere"));
    let (prefix, rest) = name.split_once('-').unwrap_or_else(|| panic!("{path} has no prefix"));
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(prefix.len() == 32 && prefix.bytes().all(is_hex), "{path}");
    rest.to_owned()
}
