//! A server in this process: records every request, plays the programs that an exec names, serves a scripted file tree.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The only key.
pub(crate) const KEY: &str = "lz_test";
/// The only sandbox.
pub(crate) const ID: &str = "68a00001-0a0b-8c0d-8e0f-101112131415";

/// A request as the server saw it: method, path with query, body.
pub(crate) type Seen = (Method, String, String);

/// A running server. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// Answers to GET by path, with its query; what is not here is 422 `not_found`.
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Fake {
    /// A server on a free port of this machine.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Shared::default());
        let app = Router::new()
            .route("/lazaret/v1/sandboxes/{id}/exec/ws", get(upgrade))
            .fallback(any(answer))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state }
    }

    /// Requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Methods and paths so far, without what came before the sandbox's own part.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect()
    }

    /// Answers a GET of `path` below the sandbox's `files/` with `body`.
    pub(crate) fn file(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.state.files.lock().unwrap().insert(path.to_owned(), body.into());
    }

    /// Lets a directory have `entries`, each a path, a kind and a link's target.
    pub(crate) fn directory(&self, path: &str, entries: &[(&str, &str, Option<&str>)]) {
        self.entry(path, "directory", None);
        let entries: Vec<Value> =
            entries.iter().map(|(path, kind, target)| entry(path, kind, *target)).collect();
        let listing = json!({ "entries": entries, "truncated": false });
        self.file(&format!("{path}?list=true"), listing.to_string());
    }

    /// Lets `path` be of this kind.
    pub(crate) fn entry(&self, path: &str, kind: &str, target: Option<&str>) {
        self.file(&format!("{path}?stat=true"), entry(&format!("/{path}"), kind, target).to_string());
    }
}

fn entry(path: &str, kind: &str, target: Option<&str>) -> Value {
    let mode = if kind == "directory" { "0755" } else { "6755" };
    json!({ "path": path, "kind": kind, "bytes": 5, "mode": mode, "uid": 0, "gid": 0,
        "modified_at": "2026-01-01T00:00:00Z", "link_target": target })
}

async fn answer(
    State(state): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().unwrap().as_str().trim_start_matches("/lazaret/v1/").to_owned();
    state.seen.lock().unwrap().push((
        method.clone(),
        path.clone(),
        String::from_utf8_lossy(&body).into_owned(),
    ));
    if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {KEY}")) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthenticated", "the key is not valid", None);
    }
    if let Some(file) =
        path.strip_prefix(&format!("sandboxes/{ID}/files/")).or(path.strip_prefix("sandboxes/box/files/"))
    {
        return match (method, state.files.lock().unwrap().get(file)) {
            (Method::GET, Some(body)) => body.clone().into_response(),
            (Method::GET, None) => {
                refuse(StatusCode::UNPROCESSABLE_ENTITY, "file_failed", "no such file", Some("not_found"))
            }
            _ => StatusCode::NO_CONTENT.into_response(),
        };
    }
    match (method.as_str(), path.as_str()) {
        ("POST", "sandboxes") => (StatusCode::CREATED, Json(sandbox())).into_response(),
        ("DELETE", _) => StatusCode::NO_CONTENT.into_response(),
        ("GET", path) if path.starts_with("sandboxes?") => {
            Json(json!({ "sandboxes": [sandbox()], "has_more": false })).into_response()
        }
        ("GET", "images") => Json(json!({ "images": [] })).into_response(),
        (_, path) if path.starts_with(&format!("sandboxes/{ID}")) => Json(sandbox()).into_response(),
        _ => refuse(StatusCode::NOT_FOUND, "not_found", "there is no \u{1b}[31msuch thing", None),
    }
}

fn refuse(status: StatusCode, code: &str, message: &str, problem: Option<&str>) -> Response {
    let error = json!({ "code": code, "message": message, "field": null, "hint": null, "problem": problem });
    (status, Json(json!({ "error": error, "request_id": "req_1" }))).into_response()
}

fn sandbox() -> Value {
    json!({
        "id": ID, "name": "box", "image": "host", "image_digest": "sha256:00", "state": "running", "reason": null,
        "resources": { "memory_bytes": 1, "cpu_millis": 1, "pids": 1, "disk_bytes": 1 }, "env": {}, "cwd": null,
        "user": null, "network": { "type": "disabled" }, "labels": {}, "lease": {},
        "created_at": "2026-01-01T00:00:00Z", "last_active_at": "2026-01-01T00:00:00Z",
        "state_since": "2026-01-01T00:00:00Z", "added_later": 7,
    })
}

async fn upgrade(
    State(state): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let path = uri.path().trim_start_matches("/lazaret/v1/").to_owned();
    state.seen.lock().unwrap().push((Method::GET, path, String::new()));
    upgrade.on_upgrade(async |mut socket| {
        // A client that goes away ends the play.
        let _gone = play(&mut socket).await;
    })
}

/// Plays the program that the exec request names.
async fn play(socket: &mut WebSocket) -> Option<()> {
    let Message::Text(request) = socket.recv().await?.ok()? else {
        return None;
    };
    let request: Value = serde_json::from_str(&request).ok()?;
    say(socket, json!({ "type": "started", "pid": 7 })).await?;
    match request.pointer("/command/0")?.as_str()? {
        "both" => {
            let all: Vec<u8> = (0..=255).collect();
            output(socket, 1, &all).await?;
            output(socket, 2, b"to stderr").await?;
            exited(socket, json!({ "exit_code": 3, "signal": null })).await
        }
        "cat" => {
            loop {
                match socket.recv().await?.ok()? {
                    Message::Binary(bytes) => output(socket, 1, &bytes).await?,
                    // It says that standard input is over.
                    Message::Text(_) => break,
                    _ => {}
                }
            }
            exited(socket, json!({ "exit_code": 0, "signal": null })).await
        }
        "wait" => {
            output(socket, 1, b"ready\n").await?;
            loop {
                let Message::Text(told) = socket.recv().await?.ok()? else {
                    continue;
                };
                let told: Value = serde_json::from_str(&told).ok()?;
                output(socket, 1, format!("{told}\n").as_bytes()).await?;
                if told.get("signal")? == 9 {
                    return exited(socket, json!({ "exit_code": null, "signal": 9 })).await;
                }
            }
        }
        "deaf" => {
            output(socket, 1, b"ready\n").await?;
            while socket.recv().await?.is_ok() {}
            None
        }
        "flood" => loop {
            output(socket, 1, &[b'x'; 32 * 1024]).await?;
        },
        "slow" => exited(socket, json!({ "exit_code": null, "signal": 9, "timed_out": true })).await,
        "terminal" => {
            output(socket, 1, format!("{}\r\n", request.get("tty")?).as_bytes()).await?;
            loop {
                match socket.recv().await?.ok()? {
                    Message::Text(told) => output(socket, 1, format!("{told}\r\n").as_bytes()).await?,
                    Message::Binary(keys) if keys.as_ref() == b"q" => {
                        return exited(socket, json!({ "exit_code": 5, "signal": null })).await;
                    }
                    Message::Binary(keys) => output(socket, 1, format!("{keys:?}\r\n").as_bytes()).await?,
                    _ => {}
                }
            }
        }
        "vanish" => Some(()),
        name => {
            let error = json!({ "code": "exec_failed", "message": format!("cannot run {name}: program not found"),
                "problem": "program_not_found" });
            say(socket, json!({ "type": "error", "error": error })).await
        }
    }
}

async fn say(socket: &mut WebSocket, value: Value) -> Option<()> {
    socket.send(Message::text(value.to_string())).await.ok()
}

async fn output(socket: &mut WebSocket, stream: u8, bytes: &[u8]) -> Option<()> {
    socket.send(Message::binary([&[stream], bytes].concat())).await.ok()
}

async fn exited(socket: &mut WebSocket, mut value: Value) -> Option<()> {
    value.as_object_mut()?.insert("type".to_owned(), json!("exited"));
    say(socket, value).await
}
