//! Health, readiness and metrics, and what every answer has in common.

use std::sync::Arc;

use lazaret_core::Error;

use crate::support::Server;

#[tokio::test]
async fn health_and_readiness_need_no_key() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = server.get(path).no_key().send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("x-request-id").starts_with("req_"), "{path}");
    }
}

#[tokio::test]
async fn readiness_fails_while_what_the_server_adds_to_it_fails() {
    let server = Server::start_with(|settings| {
        settings.ready = Some(Arc::new(|| {
            Box::pin(async { Err(Error::Unavailable { retry_after: None, source: "no spawner".into() }) })
        }));
    })
    .await;
    let answer = server.get("/readyz").send().await;
    assert_eq!(answer.native_error(), "503 unavailable -: temporarily unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn metrics_are_for_loopback_peers_and_admins() {
    let server = Server::start_with(|settings| {
        settings.metrics = Some(Arc::new(|| "up 1\n".to_owned()));
    })
    .await;
    let stranger = || server.get("/metrics").peer("192.0.2.1:4000");
    for allowed in [
        server.get("/metrics").no_key().peer("127.0.0.1:4000"),
        server.get("/metrics").no_key().peer("[::1]:4000"),
        stranger(),
    ] {
        let answer = allowed.send().await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"up 1\n"[..]));
    }
    let other = server.other_account("other").await;
    assert_eq!(stranger().no_key().send().await.status, 401);
    assert_eq!(stranger().key(&other).send().await.status, 403);
}
