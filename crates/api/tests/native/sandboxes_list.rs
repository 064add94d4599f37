//! `GET /lazaret/v1/sandboxes`: pages, filters and cursors.

use serde_json::{Value, json};

use crate::support::Server;
use crate::{at, sandbox_with};

const PATH: &str = "/lazaret/v1/sandboxes";

fn names(page: &Value) -> Vec<&str> {
    page["sandboxes"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

async fn with_five() -> (Server, Vec<String>) {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let parity = if ["a", "c", "e"].contains(&name) { "odd" } else { "even" };
        let body = json!({"name": name, "labels": {"parity": parity, "all": "x=y"}});
        ids.push(sandbox_with(&server, body).await);
    }
    (server, ids)
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions_without_gap_or_repeat() {
    let (server, _) = with_five().await;
    for (order, want) in [("desc", ["e", "d", "c", "b", "a"]), ("asc", ["a", "b", "c", "d", "e"])] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = server.get(&format!("{PATH}?limit=2&order={order}{after}")).send().await.expect(200);
            seen.extend(names(&page).into_iter().map(str::to_owned));
            if page["has_more"] == false {
                break;
            }
            after = format!("&after={}", page["sandboxes"][1]["id"].as_str().unwrap());
        }
        assert_eq!(seen, want, "{order}");
    }
}

#[tokio::test]
async fn a_cursor_outlives_its_sandbox() {
    let (server, ids) = with_five().await;
    server.delete(&at(&ids[2], "")).send().await.expect(204);
    let page = server.get(&format!("{PATH}?after={}", ids[2])).send().await.expect(200);
    assert_eq!(names(&page), ["b", "a"]);
}

#[tokio::test]
async fn filters_narrow_a_list() {
    let (server, ids) = with_five().await;
    server.post(&at(&ids[0], "/stop")).send().await.expect(200);
    for (query, want) in [
        ("name=b", vec!["b"]),
        ("label=parity%3Dodd", vec!["e", "c", "a"]),
        ("label=parity=even&label=all=x%3Dy", vec!["d", "b"]),
        ("label=parity=odd&label=parity=even", vec![]),
        ("state=stopped", vec!["a"]),
        ("state=stopped,running&name=a", vec!["a"]),
        ("state=paused", vec![]),
    ] {
        let page = server.get(&format!("{PATH}?{query}")).send().await.expect(200);
        assert_eq!(names(&page), want, "{query}");
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_naming_the_key() {
    let server = Server::start().await;
    for (query, want) in [
        ("limit=0", "400 invalid limit: limit: must be from 1 to 1000, not 0"),
        ("limit=1001", "400 invalid limit: limit: must be from 1 to 1000, not 1001"),
        ("limit=x", "400 invalid limit: limit: invalid digit found in string"),
        ("order=up", "400 invalid order: order: unknown variant `up`, expected `asc` or `desc`"),
        ("after=x", "400 invalid after: after: is not the id of a sandbox"),
        ("state=asleep", "400 invalid state: state: 'asleep' is not a state"),
        ("label=x", "400 invalid label: label: must be written key=value"),
        ("colour=red", "400 unknown_field colour: colour: is not a known field"),
        ("name=a&name=b", "400 invalid name: name: is given twice"),
    ] {
        assert_eq!(server.get(&format!("{PATH}?{query}")).send().await.native_error(), want, "{query}");
    }
    let never = "68a00000-0000-8000-8000-0000000000ff";
    let answer = server.get(&format!("{PATH}?after={never}")).send().await;
    assert_eq!(answer.native_error(), format!("404 not_found after: cursor {never} not found"));
}

#[tokio::test]
async fn another_accounts_sandboxes_and_cursors_do_not_exist() {
    let (server, ids) = with_five().await;
    let stranger = server.other_account("stranger").await;
    let page = server.get(PATH).key(&stranger).send().await.expect(200);
    assert_eq!(page, json!({"sandboxes": [], "has_more": false}));
    let answer = server.get(&format!("{PATH}?after={}", ids[0])).key(&stranger).send().await;
    assert_eq!(answer.status, 404);
}
