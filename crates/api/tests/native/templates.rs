//! `/lazaret/v1/templates`, and sandboxes that are made of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

const PATH: &str = "/lazaret/v1/templates";

/// The template once nothing works on it any more.
async fn settled(server: &Server, name: &str) -> Value {
    let look = async {
        loop {
            let template = server.get(&format!("{PATH}/{name}")).send().await.expect(200);
            if !matches!(template["state"].as_str(), Some("pulling" | "committing" | "building")) {
                return template;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("the template is ready")
}

#[tokio::test]
async fn a_sandbox_of_a_template_is_what_the_recipe_says_and_explicit_fields_win() {
    let server = Server::start().await;
    let recipe = json!({
        "name": "web", "image": "host", "env": {"A": "1", "B": "1"}, "cwd": "/srv", "user": "app",
        "resources": {"pids": 77, "disk_bytes": 1 << 30},
    });
    let made = server.post(PATH).json(&recipe).send().await.expect(201);
    assert_eq!((&made["state"], &made["last_used_at"]), (&json!("active"), &Value::Null));
    assert!(made["image_digest"].as_str().unwrap().starts_with("sha256:"));

    let body = json!({"template": "web", "env": {"B": "2"}, "resources": {"pids": 88}});
    let id = crate::sandbox_with(&server, body).await;
    let sandbox = server.get(&crate::at(&id, "")).send().await.expect(200);
    assert_eq!(sandbox["template"], "web");
    assert_eq!(sandbox["image"], "host");
    assert_eq!(sandbox["env"], json!({"A": "1", "B": "2"}));
    assert_eq!((&sandbox["cwd"], &sandbox["user"]), (&json!("/srv"), &json!("app")));
    let resources = &sandbox["resources"];
    assert_eq!((&resources["pids"], &resources["disk_bytes"]), (&json!(88), &json!(1 << 30)));
    let used = server.get(&format!("{PATH}/{}", made["id"].as_str().unwrap())).send().await.expect(200);
    assert_ne!(used["last_used_at"], Value::Null);

    let both = server.post("/lazaret/v1/sandboxes").json(&json!({"template": "web", "image": "host"}));
    let want = "400 invalid image: image: cannot be given with a template, which has its own";
    assert_eq!(both.send().await.native_error(), want);
    let missing = server.post("/lazaret/v1/sandboxes").json(&json!({"template": "no"})).send().await;
    assert_eq!(missing.native_error(), "404 not_found -: template no not found");
}

#[tokio::test]
async fn a_template_of_an_image_that_is_not_here_is_pulled_in_the_background() {
    let server = Server::start().await;
    let new = json!({"name": "far", "image": "registry.test/a/b:1"});
    let made = server.post(PATH).json(&new).send().await.expect(201);
    assert_eq!((&made["state"], &made["image_digest"]), (&json!("pulling"), &Value::Null));
    let ready = settled(&server, "far").await;
    assert_eq!((&ready["state"], &ready["bytes"]), (&json!("active"), &json!(18)));

    let new = json!({"name": "gone", "image": "other.test/a:1"});
    server.post(PATH).json(&new).send().await.expect(201);
    let failed = settled(&server, "gone").await;
    assert_eq!(
        (&failed["state"], &failed["reason"]),
        (&json!("error"), &json!("other.test: cannot be reached"))
    );
    let create = server.post("/lazaret/v1/sandboxes").json(&json!({"template": "gone"})).send().await;
    let want = "400 invalid template: template: is in state error: other.test: cannot be reached";
    assert_eq!(create.native_error(), want);
    let again = server.post(&format!("{PATH}/gone/activate")).send().await.expect(200);
    assert_eq!(again["state"], "pulling", "it is tried once more");
    settled(&server, "gone").await;

    let events = server.get("/lazaret/v1/events?limit=1000").send().await.expect(200);
    let states: Vec<&str> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "template_changed" && event["name"] == "far")
        .map(|event| event["template_state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["pulling", "active"]);
}

#[tokio::test]
async fn a_template_of_a_stopped_sandbox_has_its_ways_and_outlives_it() {
    let server = Server::start().await;
    let body = json!({"name": "box", "env": {"A": "1"}, "resources": {"pids": 99}});
    let id = crate::sandbox_with(&server, body).await;
    let new = json!({"name": "mine", "sandbox": "box", "env": {"B": "2"}});
    let running = server.post(PATH).json(&new).send().await;
    let want = "409 refused -: sandbox is running: cannot make an image of it";
    assert_eq!(running.native_error(), want);
    server.post(&crate::at(&id, "/stop")).json(&json!({"grace_ms": 0})).send().await.expect(200);
    let made = server.post(PATH).json(&new).send().await.expect(201);
    assert_eq!((&made["state"], &made["sandbox_id"]), (&json!("committing"), &json!(id)));
    let ready = settled(&server, "mine").await;
    assert_eq!((&ready["state"], &ready["env"]), (&json!("active"), &json!({"A": "1", "B": "2"})));
    assert_eq!(ready["resources"]["pids"], 99);

    server.delete(&crate::at(&id, "")).send().await.expect(204);
    let of_it = crate::sandbox_with(&server, json!({"template": "mine"})).await;
    let digest = ready["image_digest"].as_str().unwrap();
    let sandbox = server.get(&crate::at(&of_it, "")).send().await.expect(200);
    assert_eq!((&sandbox["image_digest"], &sandbox["image"]), (&json!(digest), &json!(digest)));

    let image = format!("/lazaret/v1/images/{digest}");
    server.delete(&format!("{PATH}/mine")).send().await.expect(204);
    let here = server.get("/lazaret/v1/images").send().await.expect(200).to_string();
    assert!(here.contains(digest), "a sandbox needs it");
    server.delete(&crate::at(&of_it, "")).send().await.expect(204);
    server.delete(&image).send().await.expect(204);
}

#[tokio::test]
async fn an_image_that_was_made_for_a_template_goes_with_it_and_no_other_image_of_one_may_go() {
    let server = Server::start().await;
    let id = crate::sandbox(&server).await;
    server.post(&crate::at(&id, "/stop")).json(&json!({"grace_ms": 0})).send().await.expect(200);
    server.post(PATH).json(&json!({"name": "mine", "sandbox": id})).send().await.expect(201);
    let ready = settled(&server, "mine").await;
    let digest = ready["image_digest"].as_str().unwrap();
    let image = format!("/lazaret/v1/images/{digest}");
    let in_use = server.delete(&image).send().await.native_error();
    let user = ready["id"].as_str().unwrap().replace('-', "");
    assert_eq!(in_use, format!("409 in_use -: image {digest} is in use by template {user}"));
    server.post(&format!("{PATH}/mine/deactivate")).send().await.expect(200);
    assert!(server.delete(&image).send().await.native_error().starts_with("409"), "it cannot be had again");
    server.delete(&format!("{PATH}/mine")).send().await.expect(204);
    assert_eq!(server.delete(&image).send().await.status, 404, "it went with its template");
    assert_eq!(server.delete(&format!("{PATH}/mine")).send().await.status, 404);
}

#[tokio::test]
async fn names_are_unique_within_an_account_and_templates_are_the_accounts_own() {
    let server = Server::start().await;
    let new = json!({"name": "web", "image": "host"});
    let made = server.post(PATH).json(&new).send().await.expect(201);
    let twice = server.post(PATH).json(&new).send().await;
    assert_eq!(twice.native_error(), "409 already_exists -: template web already exists");

    let stranger = server.other_account("stranger").await;
    server.post(PATH).key(&stranger).json(&new).send().await.expect(201);
    let id = made["id"].as_str().unwrap();
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/activate"), ("POST", "/deactivate")] {
        let call = server.call(method.parse().unwrap(), &format!("{PATH}/{id}{rest}")).key(&stranger);
        let want = format!("404 not_found -: template {id} not found");
        assert_eq!(call.send().await.native_error(), want, "{method} {rest}");
    }
    let create = server.post("/lazaret/v1/sandboxes").key(&stranger).json(&json!({"template": id}));
    assert_eq!(create.send().await.status, 404);
    let listed = server.get(PATH).send().await.expect(200);
    assert_eq!(listed["templates"], json!([made]));
}

#[tokio::test]
async fn what_no_template_can_be_is_refused_by_its_field() {
    let server = Server::start().await;
    for (new, want) in [
        (json!({"name": "x"}), "400 invalid image: image: is missing; give an image or a sandbox"),
        (
            json!({"name": "x", "image": "host", "sandbox": "y"}),
            "400 invalid sandbox: sandbox: cannot be given together with image",
        ),
        (json!({"name": "", "image": "host"}), "400 invalid name: name: is empty"),
        (json!({"name": "x", "image": "Not A Name"}), "404 not_found -: image Not A Name not found"),
        (json!({"name": "x", "sandbox": "no"}), "404 not_found -: sandbox no not found"),
        (
            json!({"name": "x", "image": "host", "start_command": [""]}),
            "400 invalid start_command: start_command: begins with an empty word",
        ),
        (
            json!({"name": "x", "image": "host", "cwd": "srv"}),
            "400 invalid cwd: cwd: is not an absolute path",
        ),
    ] {
        assert_eq!(server.post(PATH).json(&new).send().await.native_error(), want, "{new}");
    }
    assert_eq!(server.get(PATH).send().await.expect(200)["templates"], json!([]));
}

#[tokio::test]
async fn an_inactive_template_makes_no_sandboxes_until_it_is_activated() {
    let server = Server::start().await;
    server.post(PATH).json(&json!({"name": "web", "image": "host"})).send().await.expect(201);
    for _ in 0..2 {
        let off = server.post(&format!("{PATH}/web/deactivate")).send().await.expect(200);
        assert_eq!(off["state"], "inactive");
    }
    let create = || server.post("/lazaret/v1/sandboxes").json(&json!({"template": "web"}));
    let want = "400 invalid template: template: is inactive; activate it first";
    assert_eq!(create().send().await.native_error(), want);
    for _ in 0..2 {
        let on = server.post(&format!("{PATH}/web/activate")).send().await.expect(200);
        assert_eq!(on["state"], "active");
    }
    create().send().await.expect(201);
}
