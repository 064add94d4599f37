//! `GET /v1/containers`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;
use crate::{column, container, failure, got, text};

/// Containers with the names `0`, `1`, ..., all made in the same second.
async fn containers(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for name in 0..count {
        let made = server.post("/v1/containers").json(&json!({"name": name.to_string()})).send().await;
        ids.push(text(&made.expect(200), "id"));
    }
    ids
}

/// The ids of all pages, as the SDKs walk them: by the id of the last item, until there is no more.
async fn walk(server: &Server, query: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    let mut path = format!("/v1/containers?{query}");
    loop {
        let page = got(server, &path, "ContainerListResource").await;
        let found = column(&page, "id");
        assert_eq!(page["first_id"].as_str(), found.first().map(String::as_str));
        assert_eq!(page["last_id"].as_str(), found.last().map(String::as_str));
        pages += 1;
        let Some(last) = found.last() else { break };
        path = format!("/v1/containers?{query}&after={last}");
        ids.extend(found);
        if page["has_more"] == json!(false) {
            break;
        }
    }
    (ids, pages)
}

#[tokio::test]
async fn forty_five_containers_of_one_second_are_each_listed_once_in_either_order() {
    let server = Server::start().await;
    let mut ids = containers(&server, 45).await;
    assert_eq!(walk(&server, "order=asc").await, (ids.clone(), 3), "20 is the default");
    assert_eq!(walk(&server, "order=asc&limit=7").await, (ids.clone(), 7));
    assert_eq!(walk(&server, "order=asc&limit=45").await, (ids.clone(), 1));
    ids.reverse();
    assert_eq!(walk(&server, "limit=44").await, (ids.clone(), 2), "newest first is the default");
    assert_eq!(walk(&server, "limit=1").await.0, ids);
}

#[tokio::test]
async fn a_cursor_goes_on_working_after_its_container_is_deleted() {
    let server = Server::start().await;
    let ids = containers(&server, 5).await;
    server.delete(&format!("/v1/containers/{}", ids[2])).send().await.expect(200);
    let behind = |order: &str| format!("/v1/containers?order={order}&after={}", ids[2]);
    let list = got(&server, &behind("asc"), "ContainerListResource").await;
    assert_eq!(column(&list, "id"), ids[3..]);
    let list = got(&server, &behind("desc"), "ContainerListResource").await;
    assert_eq!(column(&list, "id"), [ids[1].clone(), ids[0].clone()]);
}

#[tokio::test]
async fn a_cursor_of_another_account_is_like_one_that_never_was() {
    let server = Server::start().await;
    let id = container(&server).await;
    let stranger = server.other_account("stranger").await;
    for (key, cursor) in
        [(stranger.as_str(), id.as_str()), ("My API Key", "cntr_none"), ("My API Key", "after")]
    {
        let answer = server.get(&format!("/v1/containers?after={cursor}")).key(key).send().await;
        assert_eq!(failure(&answer), "404 invalid_request_error - after: Resource not found.");
    }
    server.delete(&format!("/v1/containers/{id}")).send().await.expect(200);
    let answer = server.get(&format!("/v1/containers?after={id}")).key(&stranger).send().await;
    assert_eq!(failure(&answer), "404 invalid_request_error - after: Resource not found.");
    let theirs = server.get("/v1/containers").key(&stranger).send().await.expect(200);
    assert_eq!(theirs["data"], json!([]));
}

#[tokio::test]
async fn an_empty_list_has_null_ids() {
    let server = Server::start().await;
    let want = json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false});
    assert_eq!(got(&server, "/v1/containers", "ContainerListResource").await, want);
}

#[tokio::test]
async fn names_are_matched_exactly_and_unknown_keys_are_ignored() {
    let server = Server::start().await;
    for name in ["conf", "Conf", "conf ", "conf/é?"] {
        server.post("/v1/containers").json(&json!({"name": name})).send().await.expect(200);
    }
    let named = |name: &str| format!("/v1/containers?name={name}&api-version=1&tenant_id=t&x=%ff");
    for (name, want) in [("conf", vec!["conf"]), ("conf%2F%C3%A9%3F", vec!["conf/é?"]), ("con", vec![])] {
        let list = got(&server, &named(name), "ContainerListResource").await;
        assert_eq!(column(&list, "name"), want);
    }
}

#[tokio::test]
async fn listing_is_no_use_of_what_is_listed() {
    let server = Server::start().await;
    let id = container(&server).await;
    server.clock.advance(Duration::from_secs(19 * 60));
    let list = got(&server, "/v1/containers", "ContainerListResource").await;
    assert_eq!(list["data"][0]["last_active_at"], list["data"][0]["created_at"]);
    server.clock.advance(Duration::from_secs(60));
    let list = got(&server, "/v1/containers", "ContainerListResource").await;
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["status"]), (&Value::from(id), &json!("expired")));
}
