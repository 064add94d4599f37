//! What every route does alike with a request that is not right.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use crate::support::Server;

const SANDBOXES: &str = "/lazaret/v1/sandboxes";

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_dialects_shape() {
    let server = Server::start().await;
    for (method, path, want) in [
        (Method::GET, "/lazaret/v1/nothing", "404 unknown_path -: there is nothing at this path"),
        (Method::GET, "/nothing", "404 unknown_path -: there is nothing at this path"),
        (Method::GET, "/lazaret/v1/sandboxes/a/b/c", "404 unknown_path -: there is nothing at this path"),
        (Method::PATCH, SANDBOXES, "405 wrong_method -: the method is not allowed here"),
    ] {
        let answer = server.call(method, path).no_key().send().await;
        assert_eq!(answer.native_error(), want, "{path}");
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    }
    let answer = server.call(Method::PATCH, SANDBOXES).send().await;
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn the_request_id_is_always_our_own() {
    let server = Server::start().await;
    let answer = server.get("/healthz").header("x-request-id", "req_mine").send().await;
    let id = answer.header("x-request-id").strip_prefix("req_").expect("our prefix");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}

#[tokio::test]
async fn a_bad_body_is_refused_naming_the_field() {
    let server = Server::start().await;
    for (body, want) in [
        ("{", "400 malformed -: the body cannot be read: EOF while parsing an object at line 1 column 1"),
        ("[]", "400 malformed -: the body cannot be read: must be an object, not sequence"),
        (r#"{"nam":"x"}"#, "400 unknown_field nam: nam: is not a known field"),
        (r#"{"name":5}"#, "400 invalid name: name: must be a string, not integer `5`"),
        (r#"{"name":" "}"#, "400 invalid name: name: is empty"),
        (r#"{"name":"a\nb"}"#, "400 invalid name: name: has a control character"),
        (r#"{"name":"a\u0000b"}"#, "400 invalid name: name: has a control character"),
        (
            r#"{"resources":{"pids":1}}"#,
            "400 invalid resources.pids: resources.pids: must be from 16 to 32768, not 1",
        ),
        (
            r#"{"resources":{"pids":"1"}}"#,
            "400 invalid resources.pids: resources.pids: must be u32, not string \"1\"",
        ),
        (r#"{"resources":{"x":1}}"#, "400 unknown_field resources.x: resources.x: is not a known field"),
        (
            r#"{"lease":{"idle_timeout_s":0}}"#,
            "400 invalid lease.idle_timeout_s: lease.idle_timeout_s: must be from 1 to 31536000 seconds",
        ),
        (
            r#"{"lease":{"idle_action":"burn"}}"#,
            "400 invalid lease.idle_action: lease.idle_action: unknown variant `burn`, expected one of `stop`, `expire`, `pause`",
        ),
        (
            r#"{"network":{"type":"allowlist"}}"#,
            "400 invalid network: network: an allowlist needs at least one domain or network",
        ),
        (
            r#"{"network":{"type":"allowlist","domains":["pypi.org","a b"]}}"#,
            "400 invalid network.domains: network.domains: 'a b' has a character that a host name cannot have",
        ),
        (
            r#"{"network":{"type":"allowlist","cidrs":["169.254.169.254"]}}"#,
            "400 invalid network.cidrs: network.cidrs: '169.254.169.254/32' has private or special addresses, which this server's operator has not opened",
        ),
        (r#"{"network":{}}"#, "400 missing_field network.type: network.type: is missing"),
        (r#"{"cwd":"tmp"}"#, "400 invalid cwd: cwd: is not absolute"),
        (r#"{"env":{"A=B":"1"}}"#, "400 invalid env: env: 'A=B' is not a variable name"),
        (r#"{"files":[{"upload":"x"}]}"#, "400 missing_field files[0].path: files[0].path: is missing"),
        (r#"{"files":[{"upload":"x","path":"/x"}]}"#, "404 not_found -: file x not found"),
        (
            r#"{"files":[{"upload":"00000000-0000-8000-8000-000000000000","path":"x"}]}"#,
            "400 invalid files[0].path: files[0].path: is not absolute",
        ),
        (r#"{"image":"0123456789ab"}"#, "404 not_found -: image 0123456789ab not found"),
    ] {
        let answer =
            server.post(SANDBOXES).header("content-type", "application/json").body(body).send().await;
        assert_eq!(answer.native_error(), want, "{body}");
    }
    assert_eq!(server.runtime.count(), 0, "nothing was made");
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_and_be_of_bounded_size() {
    let server = Server::start_with(|settings| settings.json_max_bytes = 100).await;
    let answer = server.post(SANDBOXES).header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(answer.native_error(), "415 wrong_media_type -: the body must be application/json");
    let answer = server.post(SANDBOXES).body("{}").send().await;
    assert_eq!(answer.status, 415);
    let typed = server.post(SANDBOXES).header("content-type", "application/json; charset=utf-8").body("{}");
    assert_eq!(typed.send().await.status, 201);

    let big = json!({"name": "x".repeat(200)});
    let want = "413 too_large -: the body is larger than 100 bytes";
    assert_eq!(server.post(SANDBOXES).json(&big).send().await.native_error(), want);
    let chunks = stream::iter([Ok::<_, std::io::Error>(Bytes::from(big.to_string()))]);
    let chunked =
        server.post(SANDBOXES).header("content-type", "application/json").body(Body::from_stream(chunks));
    assert_eq!(chunked.send().await.native_error(), want);
}

#[tokio::test]
async fn a_client_that_falls_silent_in_its_body_is_told_so() {
    let server = Server::start_with(|settings| settings.body_idle_timeout = Duration::from_millis(20)).await;
    let silent = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer =
        server.post(SANDBOXES).header("content-type", "application/json").body(silent()).send().await;
    assert_eq!(answer.native_error(), "408 slow_body -: the body did not come in time");

    let id = crate::sandbox(&server).await;
    let answer = server.put(&crate::at(&id, "/files/tmp/x")).body(silent()).send().await;
    assert_eq!(answer.native_error(), "400 invalid body: body: no bytes came for 0 seconds");
    assert!(!server.guest.has(crate::core_id(&id), "/tmp/x"));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let server = Server::start_with(|settings| {
        settings.request_timeout = Duration::from_millis(20);
        settings.ready = Some(std::sync::Arc::new(|| Box::pin(std::future::pending())));
    })
    .await;
    let answer = server.get("/readyz").send().await;
    assert_eq!(answer.native_error(), "503 timed_out -: the answer took too long");
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing_of_it() {
    let server = Server::start_with(|settings| {
        settings.metrics = Some(std::sync::Arc::new(|| panic!("a secret")));
    })
    .await;
    let answer = server.get("/metrics").send().await;
    assert_eq!(answer.native_error(), "500 internal -: internal error");
    assert!(!answer.json().to_string().contains("secret"));
    assert_eq!(server.get("/healthz").send().await.status, 200, "the server lives on");
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_with_its_name() {
    let server = Server::start().await;
    let key = server.key_with(&[lazaret_core::Scope::SandboxesRead]).await;
    let answer = server.post(SANDBOXES).key(&key).json(&json!({})).send().await;
    assert_eq!(answer.native_error(), "403 forbidden -: the API key lacks the scope sandboxes:write");
    assert_eq!(server.get(SANDBOXES).key(&key).send().await.status, 200);
}
