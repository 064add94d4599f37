//! `GET /api/sandbox` and its predecessor.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, made};

fn names(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["name"].as_str().expect("a name"))
        .collect()
}

async fn list(server: &Server, query: &str) -> Value {
    server.get(&format!("/api/sandbox?{query}")).send().await.expect(200)
}

/// Five sandboxes, made a minute apart.
async fn five(server: &Server) {
    for (name, cpu) in [("alpha", 1), ("beta", 2), ("Alpine", 2), ("delta", 1), ("epsilon", 4)] {
        let labels = json!({"kind": if cpu == 2 { "even" } else { "odd" }});
        made(
            server,
            json!({"name": name, "cpu": cpu, "labels": labels, "public": cpu == 4, "autoStopInterval": 0}),
        )
        .await;
        server.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_cursor_goes_through_all_of_them_once_whatever_comes_and_goes() {
    let server = Server::start().await;
    five(&server).await;
    let first = list(&server, "limit=2&sort=name&order=asc").await;
    assert_eq!(names(&first), ["Alpine", "alpha"]);
    server.delete("/api/sandbox/alpha").send().await.expect(200);
    server.delete("/api/sandbox/delta").send().await.expect(200);
    made(&server, json!({"name": "aaa"})).await;
    made(&server, json!({"name": "gamma"})).await;
    let cursor = |page: &Value| page["nextCursor"].as_str().map(str::to_owned);
    let mut seen = Vec::new();
    let mut next = cursor(&first);
    while let Some(at) = next {
        let page = list(&server, &format!("limit=2&sort=name&order=asc&cursor={at}")).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        next = cursor(&page);
        assert!(seen.len() < 10, "it goes round in circles: {seen:?}");
    }
    assert_eq!(seen, ["beta", "epsilon", "gamma"]);
    let other = server.get(&format!("/api/sandbox?sort=cpu&cursor={}", cursor(&first).unwrap())).send().await;
    assert_eq!(failure(&other), "400 Bad Request /api/sandbox: Invalid cursor");
}

#[tokio::test]
async fn filters_are_joined_and_the_last_used_comes_first() {
    let server = Server::start().await;
    five(&server).await;
    server.post("/api/sandbox/beta/last-activity").send().await.expect(201);
    server.post("/api/sandbox/alpha/stop").send().await.expect(200);
    server.clock.advance(Duration::from_secs(60));
    for (query, want) in [
        ("", vec!["beta", "epsilon", "delta", "Alpine", "alpha"]),
        ("sort=createdAt&order=asc", vec!["alpha", "beta", "Alpine", "delta", "epsilon"]),
        ("sort=cpu&order=asc", vec!["alpha", "delta", "beta", "Alpine", "epsilon"]),
        ("name=ALP", vec!["Alpine", "alpha"]),
        ("states=stopped&states=archived", vec!["alpha"]),
        ("states=started&name=al", vec!["Alpine"]),
        ("labels=%7B%22kind%22%3A%22even%22%7D", vec!["beta", "Alpine"]),
        ("labels=%7B%22kind%22%3A%22none%22%7D", vec![]),
        ("minCpu=2&maxCpu=2&unknown=1", vec!["beta", "Alpine"]),
        ("isPublic=true", vec!["epsilon"]),
        ("isRecoverable=true", vec![]),
        ("snapshots=host&regionIds=local&limit=1", vec!["beta"]),
        ("regionIds=us", vec![]),
        ("createdAtAfter=2025-08-15T23:22:00Z&createdAtBefore=2025-08-15T23:24:00Z", vec!["delta"]),
        ("autoDestroyAtAfter=2000-01-01T00:00:00Z", vec![]),
        ("minMemoryGiB=2", vec![]),
        ("id=zzz", vec![]),
    ] {
        assert_eq!(names(&list(&server, query).await), want, "{query}");
    }
    let page = server.get("/api/sandbox/paginated?limit=2&page=2").send().await.expect(200);
    assert_eq!((&page["total"], &page["page"], &page["totalPages"]), (&json!(5), &json!(2), &json!(3)));
    assert_eq!(names(&page), ["Alpine", "beta"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let mut lines = Vec::new();
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "labels=%7B",
        "labels=%7B%22a%22%3A1%7D",
        "states=destroyed",
        "sort=age",
        "order=up",
        "cursor=x",
        "createdAtAfter=yesterday",
        "isPublic=maybe",
    ] {
        lines.push(format!(
            "{query}: {}",
            failure(&server.get(&format!("/api/sandbox?{query}")).send().await)
        ));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn another_accounts_sandboxes_are_not_listed_and_expired_ones_neither() {
    let server = Server::start().await;
    five(&server).await;
    let stranger = server.other_account("stranger").await;
    let theirs = server.get("/api/sandbox").key(&stranger).send().await.expect(200);
    assert_eq!(names(&theirs), Vec::<&str>::new());
    server.post("/v1/containers").json(&json!({"name": "container"})).send().await.expect(200);
    assert_eq!(names(&list(&server, "name=cont").await), ["container"]);
    server.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(names(&list(&server, "name=cont").await), Vec::<&str>::new());
}
