//! A client that asks too often is told when to come back, in both dialects' words.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::Method;
use lazaret_api::RateSettings;

use crate::support::Server;

const SANDBOXES: &str = "/lazaret/v1/sandboxes";
const CONTAINERS: &str = "/v1/containers";

async fn server_with(requests_per_second: u32, burst: u32, refusals_per_minute: u32) -> Server {
    Server::start_with(|settings| {
        settings.rates = RateSettings {
            requests_per_second: NonZeroU32::new(requests_per_second),
            request_burst: NonZeroU32::new(burst).expect("a burst"),
            refusals_per_minute: NonZeroU32::new(refusals_per_minute),
        };
    })
    .await
}

#[tokio::test]
async fn a_key_that_sends_too_many_requests_is_told_when_to_come_back() {
    let server = server_with(1, 2, 0).await;
    let other = server.other_account("other").await;
    for _ in 0..2 {
        assert_eq!(server.get(SANDBOXES).send().await.status, 200);
    }
    let refused = server.get(SANDBOXES).send().await;
    assert_eq!(refused.native_error(), "429 too_many_requests -: too many requests");
    assert_eq!(refused.header("retry-after"), "1");

    let refused = server.get(CONTAINERS).send().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(refused.header("retry-after"), "1");

    assert_eq!(server.get(SANDBOXES).key(&other).send().await.status, 200, "another key is not concerned");
    assert_eq!(server.call(Method::GET, "/healthz").no_key().send().await.status, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(server.get(SANDBOXES).send().await.status, 200);
}

#[tokio::test]
async fn an_address_that_guesses_keys_is_slowed_down_and_a_right_key_from_there_still_works() {
    let server = server_with(0, 1, 2).await;
    for _ in 0..2 {
        assert_eq!(server.get(SANDBOXES).key("guess").peer("192.0.2.1:9").send().await.status, 401);
    }
    let refused = server.get(SANDBOXES).key("guess").peer("192.0.2.1:9").send().await;
    assert_eq!(refused.native_error(), "429 too_many_requests -: too many requests");
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(server.get(SANDBOXES).no_key().peer("192.0.2.1:9").send().await.status, 429);

    assert_eq!(server.get(SANDBOXES).peer("192.0.2.1:9").send().await.status, 200);
    assert_eq!(server.get(SANDBOXES).key("guess").peer("192.0.2.2:9").send().await.status, 401);
}
