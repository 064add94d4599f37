//! Clients that misbehave: they hang up half-way, send what is too large or ask for what is not theirs.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use lazaret_tests::{Client, KEY, Native, Server, wait};
use serde_json::{Value, json};
use ureq::SendBody;
use ureq::http::Method;

/// Longest until the server has noticed that a client is gone.
const NOTICE_LIMIT: Duration = Duration::from_secs(15);

/// Opens a connection and sends a request's head and the beginning of its body.
fn begin(server: &Server, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<TcpStream> {
    let address = server.url().strip_prefix("http://").context("a plain URL")?.to_owned();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(NOTICE_LIMIT))?;
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{headers}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Ok(stream)
}

#[test]
fn a_client_that_hangs_up_during_an_upload_leaves_no_half_file_under_its_name() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    native.write(&id, "/tmp/kept", b"before")?;
    let url = Native::file_url(&id, b"/tmp/kept");
    let part = vec![b'x'; 200_000];
    drop(begin(&server, "PUT", &url, "content-length: 100000000", &part)?);
    let settled = wait::within(NOTICE_LIMIT, || {
        let left = native.shell(&id, "ls -A /tmp; cat /tmp/kept").ok()?;
        (left == "kept\nbefore").then_some(())
    });
    assert!(settled.is_some(), "{}", native.shell(&id, "ls -lA /tmp; head -c 20 /tmp/kept")?);
    Ok(())
}

#[test]
fn sandboxes_made_at_once_share_a_quota_exactly() -> Result<()> {
    const QUOTA: usize = 3;
    let settings = format!("[tiers.default]\nsandboxes = {QUOTA}\n");
    let server = Server::start_configured(&lazaret_tests::binary(), &[], &settings)?;
    let create = || server.client().post("/lazaret/v1/sandboxes", &json!({}));
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..3 * QUOTA).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let made: Vec<Value> =
        answers.iter().filter(|answer| answer.status == 201).map(lazaret_tests::Answer::json).collect();
    assert_eq!(made.len(), QUOTA);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (429, Some("limit_reached")),
            "{answer}"
        );
    }
    // A place that is given back can be taken again, once.
    let id = made[0]["id"].as_str().context("an id")?;
    server.native().delete(id)?;
    assert_eq!((create()?.status, create()?.status), (201, 429));
    Ok(())
}

#[test]
fn a_client_that_hangs_up_during_an_exec_ends_the_command() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let body = json!({ "command": ["sh", "-c", "echo $$ > /tmp/pid; exec sleep 1000"] }).to_string();
    let headers = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    let path = format!("/lazaret/v1/sandboxes/{id}/exec");
    let stream = begin(&server, "POST", &path, &headers, body.as_bytes())?;
    let pid = wait::until("the command to start", NOTICE_LIMIT, || native.shell(&id, "cat /tmp/pid").ok());
    drop(stream);
    let gone = format!("test -e /proc/{}", pid.trim());
    wait::until("the command to end", NOTICE_LIMIT, || native.shell(&id, &gone).is_err().then_some(()));
    Ok(())
}

#[test]
fn a_file_body_that_ends_early_is_not_taken_for_an_upload() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let container = client.post("/v1/containers", &json!({ "name": "early" }))?.expect(200);
    let path = format!("/v1/containers/{}/files", container["id"].as_str().context("an id")?);
    let part = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf";
    let headers = "content-type: multipart/form-data; boundary=b\r\ncontent-length: 90000";
    let stream = begin(&server, "POST", &path, headers, part)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    // A reset instead of an answer is as good a refusal.
    let _ = { &stream }.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(client.get(&path)?.expect(200)["data"], json!([]));
    Ok(())
}

#[test]
fn two_deletes_at_once_succeed_once_and_find_nothing_once() -> Result<()> {
    let server = Server::start();
    for _ in 0..10 {
        let id = server.native().create(&json!({}))?;
        let path = format!("/lazaret/v1/sandboxes/{id}");
        let mut answers: Vec<u16> = thread::scope(|scope| {
            let delete = || server.client().delete(&path).map(|answer| answer.status).expect("an answer");
            let threads = [scope.spawn(delete), scope.spawn(delete)];
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        answers.sort_unstable();
        // Both may have seen it go; neither may fail or hang.
        assert!([[204, 204], [204, 404]].iter().any(|good| *good == answers[..]), "{answers:?}");
        assert_eq!(server.client().get(&path)?.status, 404);
    }
    Ok(())
}

/// A client with a key of a new account, made by the admin.
fn stranger(server: &Server) -> Result<Client> {
    Ok(Client::new(&server.url(), Some(&server.key_of_new_account("stranger")?)))
}

#[test]
fn what_belongs_to_another_account_answers_like_what_does_not_exist() -> Result<()> {
    let server = Server::start();
    let admin = server.client();
    let stranger = stranger(&server)?;
    let sandbox = server.native().create(&json!({}))?;
    let container = admin.post("/v1/containers", &json!({ "name": "mine" }))?.expect(200);
    let container = container["id"].as_str().context("an id")?;
    let never = "00000000-0000-4000-8000-000000000000";
    let nobody = format!("cntr_{}", "0".repeat(48));
    let native = |id: &str| format!("/lazaret/v1/sandboxes/{id}");
    for (path, missing) in [
        (native(&sandbox), native(never)),
        (format!("{}/stats", native(&sandbox)), format!("{}/stats", native(never))),
        (format!("{}/files/etc/hostname", native(&sandbox)), format!("{}/files/etc/hostname", native(never))),
        (format!("/v1/containers/{container}"), format!("/v1/containers/{nobody}")),
        (format!("/v1/containers/{container}/files"), format!("/v1/containers/{nobody}/files")),
    ] {
        let (foreign, unknown) = (stranger.get(&path)?, stranger.get(&missing)?);
        assert_eq!((foreign.status, unknown.status), (404, 404), "{path}: {foreign} {unknown}");
        let shape = |body: &Value, id: &str| body["error"].to_string().replace(id, "");
        let (own, other) =
            if path.starts_with("/v1") { (container, nobody.as_str()) } else { (sandbox.as_str(), never) };
        assert_eq!(shape(&foreign.json(), own), shape(&unknown.json(), other), "{path} tells them apart");
    }
    for id in [&sandbox, never] {
        assert_eq!(stranger.delete(&native(id))?.status, 404);
        assert_eq!(
            stranger.post(&format!("{}/exec", native(id)), &json!({ "command": ["true"] }))?.status,
            404
        );
        assert_eq!(stranger.post(&format!("{}/stop", native(id)), &json!({}))?.status, 404);
    }
    assert_eq!(stranger.get("/lazaret/v1/sandboxes")?.expect(200)["sandboxes"], json!([]));
    assert_eq!(stranger.get("/v1/containers")?.expect(200)["data"], json!([]));
    assert_eq!(server.native().state(&sandbox)?, "running");
    Ok(())
}

#[test]
fn without_a_key_or_with_a_wrong_one_nothing_answers_but_health() -> Result<()> {
    let server = Server::start();
    for key in [None, Some("wrong"), Some("")] {
        let client = Client::new(&server.url(), key);
        for path in
            ["/lazaret/v1/sandboxes", "/lazaret/v1/images", "/v1/containers", "/v1/files", "/containers"]
        {
            let answer = client.get(path)?;
            assert_eq!(answer.status, 401, "{path} with {key:?}: {answer}");
            assert!(answer.request_id.is_some(), "{path} carries no request id");
        }
        assert_eq!(client.get("/healthz")?.status, 200);
    }
    Ok(())
}

#[test]
fn wrong_types_missing_fields_and_bad_json_are_refused_in_each_dialects_shape() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    for body in [
        json!({ "image": 7 }),
        json!({ "resources": { "memory_bytes": "much" } }),
        json!({ "colour": "red" }),
    ] {
        let error = client.post("/lazaret/v1/sandboxes", &body)?.expect(400)["error"].clone();
        assert!(error["code"].is_string() && error["message"].is_string(), "{body}: {error}");
    }
    for (body, param, code) in [
        (json!({}), json!("name"), json!("missing_required_parameter")),
        (json!({ "name": 7 }), json!("name"), json!("invalid_type")),
        (json!({ "name": "n", "memory_limit": "2g" }), json!("memory_limit"), json!("invalid_value")),
    ] {
        let error = client.post("/v1/containers", &body)?.expect(400)["error"].clone();
        assert_eq!((&error["param"], &error["code"]), (&param, &code), "{body}: {error}");
    }
    for path in ["/lazaret/v1/sandboxes", "/v1/containers"] {
        let mut text = b"{\"name\":".as_slice();
        let headers = [("content-type", "application/json")];
        let answer = client.send(Method::POST, path, &headers, SendBody::from_reader(&mut text))?;
        assert!(answer.expect(400)["error"]["message"].is_string(), "{path}");
    }
    assert_eq!(server.native().list()?, [""; 0]);
    Ok(())
}

#[test]
fn a_json_body_of_a_hundred_mebibytes_is_refused_with_413() -> Result<()> {
    let server = Server::start();
    for path in ["/lazaret/v1/sandboxes", "/v1/containers"] {
        let headers = "content-type: application/json\r\ncontent-length: 104857600";
        let mut stream = begin(&server, "POST", path, headers, b"{\"name\":\"")?;
        // The refusal may come while the body is still being sent; then the rest cannot be.
        let chunk = vec![b'a'; 1 << 20];
        for _ in 0..100 {
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
        let mut start = [0; 12];
        stream.read_exact(&mut start).with_context(|| format!("the answer of {path}"))?;
        assert_eq!(std::str::from_utf8(&start)?, "HTTP/1.1 413", "{path}");
    }
    assert_eq!(server.client().get("/readyz")?.status, 200);
    Ok(())
}

#[test]
fn ids_that_were_guessed_open_no_stream_and_change_nothing_in_any_dialect() -> Result<()> {
    let server = Server::start();
    let (admin, native) = (server.client(), server.native());
    let key = server.key_of_new_account("stranger")?;
    // A new connection each time: the server ends one whose body it has not read.
    let stranger = || Client::new(&server.url(), Some(&key));
    let id = native.create(&json!({ "name": "guess-me" }))?;
    let exec = native.background(&id, &["sh", "-c", "echo secret-words; sleep 1000"])?;
    let container = admin.post("/v1/containers", &json!({ "name": "guessed" }))?.expect(200);
    let container = container["id"].as_str().context("an id")?.to_owned();
    let plain = id.replace('-', "");

    // Every route that the document names, with the true id in each of its forms, and with the name.
    let document = admin.get("/lazaret/v1/openapi.json")?.expect(200);
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for method in
            methods.as_object().context("methods")?.keys().filter(|_| path.contains("/sandboxes/{id}"))
        {
            for form in [id.as_str(), &plain, "guess-me", &container, &format!("cntr_{plain}")] {
                let path =
                    path.replace("{id}", form).replace("{exec}", &exec).replace("{path}", "etc/hostname");
                let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
                let answer = match method {
                    Method::GET => stranger().get(&path)?,
                    Method::DELETE => stranger().delete(&path)?,
                    Method::PUT => stranger().put(&path, b"planted")?,
                    _ => stranger().post(&path, &json!({ "command": ["true"] }))?,
                };
                assert!((400..500).contains(&answer.status), "{method} {path}: {answer}");
                assert!(!String::from_utf8_lossy(&answer.body).contains("secret-words"), "{answer}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 16 * 5, "only {tried} routes were tried");

    // Streams, asked for as their clients ask: the WebSocket's upgrade, and events as they happen.
    let true_key = format!("authorization: Bearer {key}");
    for (key, status) in
        [("x: y", "401"), ("authorization: Bearer guessed", "401"), (true_key.as_str(), "404")]
    {
        let path = format!("/lazaret/v1/sandboxes/{id}/exec/ws");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\n{key}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut stream = TcpStream::connect(server.url().strip_prefix("http://").context("a URL")?)?;
        stream.set_read_timeout(Some(NOTICE_LIMIT))?;
        stream.write_all(head.as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        assert_eq!(std::str::from_utf8(&start)?, format!("HTTP/1.1 {status}"));
    }
    for path in ["/lazaret/v1/events?after=0", "/lazaret/v1/events"] {
        let answer = stranger().get(path)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(&id) && !text.contains(&container), "{path}: {text}");
    }
    assert_eq!(native.state(&id)?, "running");
    assert!(native.shell(&id, "cat /etc/hostname")?.len() > 1, "nothing was changed or deleted");
    let list = admin.get(&format!("/lazaret/v1/sandboxes/{id}/execs"))?.expect(200);
    assert_eq!(list["execs"][0]["running"], true, "{list}");
    Ok(())
}
