//! Keys, organizations, regions, configuration, and what this server does not do.

use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, made};

#[tokio::test]
async fn a_key_is_shown_once_works_as_far_as_it_may_and_can_be_revoked() {
    let server = Server::start().await;
    let new = json!({"name": "ci", "permissions": ["write:sandboxes"], "expiresAt": null});
    let key = server.post("/api/api-keys").json(&new).send().await.expect(201);
    let secret = key["value"].as_str().unwrap().to_owned();
    assert_eq!(key["permissions"], json!(["write:sandboxes", "delete:sandboxes"]));
    let create = || server.post("/api/sandbox").key(&secret).json(&json!({}));
    create().send().await.expect(200);
    let own = server.get("/api/api-keys").key(&secret).send().await;
    assert_eq!(failure(&own), "403 Forbidden /api/api-keys: the API key lacks the scope admin");

    let listed = server.get("/api/api-keys").send().await.expect(200);
    assert!(!listed.to_string().contains(&secret), "a secret is shown once");
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(server.get("/api/api-keys/current").send().await.expect(200)["name"], "admin");
    assert_eq!(server.post("/api/api-keys").json(&new).send().await.status, 409);
    let bad = json!({"name": "x", "permissions": ["everything"]});
    let refused = failure(&server.post("/api/api-keys").json(&bad).send().await);
    assert!(refused.contains("permissions: 'everything' is not one of"), "{refused}");

    assert_eq!(server.delete("/api/api-keys/ci").send().await.status, 204);
    assert_eq!(create().send().await.status, 401);
    assert_eq!(server.delete("/api/api-keys/ci").send().await.status, 404);
}

#[tokio::test]
async fn an_account_is_an_organization_and_this_server_a_region() {
    let server = Server::start().await;
    let sandbox = made(&server, json!({"cpu": 2})).await;
    let organization = sandbox["organizationId"].as_str().unwrap().to_owned();
    let get = async |path: &str| server.get(path).send().await.expect(200);
    assert_eq!(get("/api/organizations").await[0]["id"], organization.as_str());
    assert_eq!(get(&format!("/api/organizations/{organization}")).await["id"], organization.as_str());
    let usage = get(&format!("/api/organizations/{organization}/usage")).await;
    assert_eq!(usage["regionUsage"][0]["currentCpuUsage"], 2);
    assert_eq!(get("/api/users/me").await["id"], organization.as_str());
    assert_eq!(get("/api/shared-regions").await[0]["id"], sandbox["target"]);
    assert_eq!(get("/api/regions/local").await["name"], "local");
    for path in ["/api/organizations/other", "/api/regions/us"] {
        assert_eq!(server.get(path).send().await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_configuration_needs_no_key_and_names_the_address_that_was_asked() {
    let server = Server::start().await;
    let config = server.get("/api/config").no_key().header("host", "box.test:3000").send().await.expect(200);
    insta::assert_json_snapshot!(config);
    let fixed = Server::start_with(|settings| {
        settings.daytona.public_url = Some("https://sandboxes.example.org/".to_owned());
    })
    .await;
    let sandbox = made(&fixed, json!({})).await;
    assert_eq!(sandbox["toolboxProxyUrl"], "https://sandboxes.example.org/toolbox");
    let path = format!("/api/sandbox/{}/toolbox-proxy-url", sandbox["id"].as_str().unwrap());
    let url: Value = fixed.get(&path).send().await.expect(200);
    assert_eq!(url, json!({"url": sandbox["toolboxProxyUrl"]}));
}

#[tokio::test]
async fn what_this_server_does_not_do_is_told_by_its_name() {
    let server = Server::start().await;
    made(&server, json!({"name": "box"})).await;
    let mut lines = Vec::new();
    for (method, path) in [
        ("POST", "/api/sandbox/box/ssh-access"),
        ("GET", "/api/sandbox/ssh-access/validate?token=x"),
        ("PUT", "/api/sandbox/box/secrets"),
        ("GET", "/api/object-storage/push-access"),
    ] {
        let answer = server.call(method.parse().unwrap(), path).send().await;
        lines.push(failure(&answer));
    }
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(server.get("/api/warm-pools").send().await.expect(200), json!([]));
}
