//! `/lazaret/v1/accounts` and below, and `/lazaret/v1/server`.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;

const PATH: &str = "/lazaret/v1/accounts";

#[tokio::test]
async fn an_account_is_made_listed_and_removed() {
    let server = Server::start().await;
    let made = server.post(PATH).json(&json!({"name": "red"})).send().await.expect(201);
    insta::assert_json_snapshot!(made);
    let listed = server.get(PATH).send().await.expect(200);
    assert_eq!(listed["accounts"][1], made);
    let twice = server.post(PATH).json(&json!({"name": "red"})).send().await;
    assert_eq!(twice.native_error(), "409 already_exists -: account red already exists");
    let tier = server.post(PATH).json(&json!({"name": "blue", "tier": "gold"})).send().await;
    assert_eq!(tier.native_error(), "400 invalid tier: tier: 'gold' is not configured");
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    server.delete(&path).send().await.expect(204);
    assert_eq!(server.delete(&path).send().await.status, 404);
    let own = server.delete(&format!("{PATH}/self")).send().await;
    assert_eq!(own.json()["error"]["code"], "in_use");
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_and_its_secret_is_told_once() {
    let server = Server::start().await;
    let keys = format!("{PATH}/self/keys");
    let made = server.post(&keys).json(&json!({"name": "laptop"})).send().await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201);
    insta::assert_json_snapshot!(made, {".secret" => "[secret]", ".hint" => "[hint]"});
    let secret = made["secret"].as_str().unwrap();
    let use_it = || server.get("/lazaret/v1/sandboxes").key(secret).send();
    assert_eq!(use_it().await.status, 200);

    let listed = server.get(&keys).send().await.expect(200);
    assert!(!listed.to_string().contains(secret));
    assert_eq!(listed["keys"][1]["id"], made["id"]);
    server.delete(&format!("{keys}/{}", made["id"].as_str().unwrap())).send().await.expect(204);
    assert_eq!(use_it().await.status, 401);
}

#[tokio::test]
async fn a_key_ends_with_its_time() {
    let server = Server::start().await;
    let body = json!({"name": "short", "scopes": ["sandboxes:read"], "expires_in_s": 60});
    let made = server.post(&format!("{PATH}/self/keys")).json(&body).send().await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    let use_it = || server.get("/lazaret/v1/sandboxes").key(secret).send();
    assert_eq!(use_it().await.status, 200);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(use_it().await.status, 401);
}

#[tokio::test]
async fn accounts_and_keys_are_for_admins() {
    let server = Server::start().await;
    let key = server.other_account("stranger").await;
    for (call, what) in [
        (server.get(PATH), "list accounts"),
        (server.post(PATH).json(&json!({"name": "x"})), "create account"),
        (server.get(&format!("{PATH}/self/keys")), "list keys"),
        (server.post(&format!("{PATH}/self/keys")).json(&json!({"name": "x"})), "create key"),
    ] {
        assert_eq!(call.key(&key).send().await.status, 403, "{what}");
    }
    let unknown = json!({"name": "x", "scopes": ["all"]});
    let answer = server.post(&format!("{PATH}/self/keys")).json(&unknown).send().await;
    assert_eq!(answer.json()["error"]["field"], "scopes");
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let server = Server::start().await;
    insta::assert_json_snapshot!(server.get("/lazaret/v1/server").send().await.expect(200));
}
