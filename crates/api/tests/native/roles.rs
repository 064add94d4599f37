//! `GET /lazaret/v1/roles`, and sandboxes that are made with one.

use std::time::Duration;

use lazaret_core::limits;
use serde_json::{Value, json};

use crate::at;
use crate::support::{DEADLINE, Server, eventually};

const SANDBOXES: &str = "/lazaret/v1/sandboxes";

/// Makes a sandbox with a role and gives its id, and the role as the answer has it.
async fn made(server: &Server, role: &str) -> (String, Value) {
    let made = server.post(SANDBOXES).json(&json!({"role": role})).send().await.expect(201);
    assert_eq!(made["state"], "running");
    (made["id"].as_str().unwrap().to_owned(), made["role"].clone())
}

/// The role once the last event of it is told.
async fn settled(server: &Server, id: &str) -> Value {
    let look = async {
        while !told(server).await.last().is_some_and(|(step, _)| step == "applied" || step == "failed") {
            tokio::task::yield_now().await;
        }
        server.get(&at(id, "")).send().await.expect(200)["role"].clone()
    };
    tokio::time::timeout(DEADLINE, look).await.expect("the role comes to an end")
}

/// Step and message of every event of roles.
async fn told(server: &Server) -> Vec<(String, Option<String>)> {
    let all = server.get("/lazaret/v1/events?limit=1000").send().await.expect(200);
    let of_roles = all["events"].as_array().unwrap().iter().filter(|event| event["type"] == "role_progress");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    of_roles.map(|event| (text(&event["step"]).unwrap(), text(&event["message"]))).collect()
}

fn steps(steps: &[&str]) -> Vec<(String, Option<String>)> {
    steps.iter().map(|step| ((*step).to_owned(), None)).collect()
}

#[tokio::test]
async fn the_roles_of_the_server_are_listed_with_what_they_install() {
    let server = Server::start().await;
    let listed = server.get("/lazaret/v1/roles").send().await.expect(200);
    let ids: Vec<&str> =
        listed["roles"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["barebone", "broken", "quick", "slow", "tools"]);
    let tools = json!({
        "id": "tools", "name": "Role tools", "description": "Everyday tools", "icon": "terminal",
        "packages": {"apt": ["git", "jq"], "apk": ["git"]}, "has_script": false,
    });
    assert_eq!(listed["roles"][4], tools);
}

#[tokio::test]
async fn a_role_is_applied_in_the_background_and_each_step_is_told_once() {
    let server = Server::start().await;
    let (id, role) = made(&server, "quick").await;
    assert_eq!(role, json!({"id": "quick", "status": "applying", "message": null}));
    assert_eq!(settled(&server, &id).await, json!({"id": "quick", "status": "applied", "message": null}));
    assert_eq!(told(&server).await, steps(&["started", "script", "applied"]));
    let execs = || async { server.get(&at(&id, "/execs")).send().await.expect(200) };
    let look = async {
        while execs().await["execs"] != json!([]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, look).await.expect("nothing is left of what applied it");
}

#[tokio::test]
async fn a_role_that_fails_says_why_and_its_sandbox_runs() {
    let server = Server::start().await;
    let (id, _) = made(&server, "broken").await;
    let message = "the script failed: E: no [31mluck";
    assert_eq!(settled(&server, &id).await, json!({"id": "broken", "status": "failed", "message": message}));
    let last = told(&server).await.pop().unwrap();
    assert_eq!(last, ("failed".to_owned(), Some(message.to_owned())));
    let done = server.post(&at(&id, "/exec")).json(&json!({"command": ["echo", "hi"]})).send().await;
    assert_eq!(done.expect(200)["stdout"], "hi\n");
    let execs = server.get(&at(&id, "/execs")).send().await.expect(200);
    assert_eq!(execs["execs"].as_array().unwrap().len(), 1, "its output can be read: {execs}");
}

#[tokio::test]
async fn what_cannot_be_applied_is_told_by_the_answer_and_nothing_is_tried() {
    let server = Server::start().await;
    let (_, role) = made(&server, "barebone").await;
    assert_eq!(role, json!({"id": "barebone", "status": "applied", "message": null}));
    let (_, role) = made(&server, "tools").await;
    let own = "nothing can be installed in the image host: its /usr is the host's own";
    assert_eq!(role, json!({"id": "tools", "status": "failed", "message": own}));
    let far = json!({"role": "tools", "image": "registry.test/a/b:1"});
    let made = server.post(SANDBOXES).json(&far).send().await.expect(201);
    let offline = "no network: the sandbox's policy is disabled";
    assert_eq!(made["role"], json!({"id": "tools", "status": "failed", "message": offline}));
    let failed = |message: &str| ("failed".to_owned(), Some(message.to_owned()));
    let want = [("applied".to_owned(), None), failed(own), failed(offline)];
    assert_eq!(told(&server).await, want);
    assert_eq!(server.guest.running(), 0);
}

#[tokio::test]
async fn an_unknown_role_is_refused_with_those_that_there_are_and_nothing_is_made() {
    let server = Server::start().await;
    for id in ["pyhton", "", "Go"] {
        let refused = server.post(SANDBOXES).json(&json!({"role": id})).send().await;
        let want =
            format!("400 invalid role: role: '{id}' is not one of barebone, broken, quick, slow, tools");
        assert_eq!(refused.native_error(), want);
    }
    let listed = server.get(SANDBOXES).send().await.expect(200);
    assert_eq!(listed["sandboxes"], json!([]));
}

#[tokio::test]
async fn a_stop_interrupts_the_role_and_neither_a_start_nor_a_fork_applies_it_again() {
    let server = Server::start().await;
    let (id, _) = made(&server, "slow").await;
    eventually("it runs", || server.guest.running() == 1).await;
    let stopped = server.post(&at(&id, "/stop")).json(&json!({"grace_ms": 0})).send().await.expect(200);
    let want = json!({
        "id": "slow", "status": "failed", "message": "interrupted: the sandbox has stopped",
    });
    assert_eq!(stopped["role"], want);
    let fork = server.post(&at(&id, "/fork")).json(&json!({})).send().await.expect(201);
    assert_eq!(fork["role"], want, "a fork has what its origin has");
    let started = server.post(&at(&id, "/start")).send().await.expect(200);
    assert_eq!(started["role"], want);
    let ends = told(&server).await.into_iter().filter(|(step, _)| step == "failed").count();
    assert_eq!(ends, 1);
}

#[tokio::test]
async fn a_delete_while_the_role_is_applied_leaves_nothing() {
    let server = Server::start().await;
    let (id, _) = made(&server, "slow").await;
    eventually("it runs", || server.guest.running() == 1).await;
    server.delete(&at(&id, "")).send().await.expect(204);
    eventually("nothing runs", || server.guest.running() == 0).await;
    assert_eq!(server.get(&at(&id, "")).send().await.status, 404);
    tokio::time::timeout(DEADLINE, server.services.shutdown()).await.expect("no task waits for it");
}

#[tokio::test]
async fn a_sandbox_is_in_use_while_its_role_is_applied() {
    let server = Server::start().await;
    let body = json!({"role": "slow", "lease": {"idle_timeout_s": 60, "idle_action": "stop"}});
    let made = server.post(SANDBOXES).json(&body).send().await.expect(201);
    let id = made["id"].as_str().unwrap();
    eventually("it runs", || server.guest.running() == 1).await;
    server.clock.advance(Duration::from_secs(120));
    server.services.reconcile().await;
    assert_eq!(server.get(&at(id, "")).send().await.expect(200)["state"], "running");
}

#[tokio::test]
async fn a_role_that_takes_too_long_fails() {
    let server = Server::start().await;
    let (id, _) = made(&server, "slow").await;
    let begun = async {
        while told(&server).await != steps(&["started", "script"]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, begun).await.expect("it waits");
    // The limit is a timer inside, which this brings to its end.
    tokio::time::pause();
    tokio::time::advance(limits::ROLE_TIMEOUT + Duration::from_secs(1)).await;
    tokio::time::resume();
    let want = json!({"id": "slow", "status": "failed", "message": "it was not done within 300 s"});
    assert_eq!(settled(&server, &id).await, want);
}
