//! `/lazaret/v1/volumes`, and sandboxes that mount them.

use lazaret_core::services::{Settings, Tier};
use serde_json::{Value, json};

use crate::support::Server;
use crate::{at, sandbox, sandbox_with};

const PATH: &str = "/lazaret/v1/volumes";

async fn made(server: &Server, name: &str) -> Value {
    server.post(PATH).json(&json!({"name": name, "size_bytes": 1 << 30})).send().await.expect(201)
}

#[tokio::test]
async fn a_volume_is_made_found_by_either_name_and_removed() {
    let server = Server::start().await;
    let volume = made(&server, "cache").await;
    assert_eq!((&volume["name"], &volume["size_bytes"]), (&json!("cache"), &json!(1 << 30)));
    assert_eq!((&volume["state"], &volume["last_used_at"]), (&json!("ready"), &Value::Null));
    let id = volume["id"].as_str().unwrap();
    for name in [id, &id.replace('-', ""), "cache"] {
        assert_eq!(server.get(&format!("{PATH}/{name}")).send().await.expect(200), volume);
    }
    let again = server.post(PATH).json(&json!({"name": "cache"})).send().await;
    assert_eq!(again.native_error(), "409 already_exists -: volume cache already exists");
    assert_eq!(server.runtime.volumes(), 1, "what was refused left nothing");
    let plain = server.post(PATH).json(&json!({"name": "plain"})).send().await.expect(201);
    assert_eq!(plain["size_bytes"], 10_u64 << 30);

    assert_eq!(server.delete(&format!("{PATH}/cache")).send().await.status, 204);
    let gone = server.get(&format!("{PATH}/cache")).send().await;
    assert_eq!(gone.native_error(), "404 not_found -: volume cache not found");
    assert_eq!(server.delete(&format!("{PATH}/{id}")).send().await.status, 404);
    assert_eq!(server.runtime.volumes(), 1);
}

#[tokio::test]
async fn pages_of_volumes_follow_each_other_behind_one_that_was_deleted() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(made(&server, name).await["id"].as_str().unwrap().to_owned());
    }
    let names = async |query: &str| {
        let page = server.get(&format!("{PATH}?{query}")).send().await.expect(200);
        let names = page["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].clone());
        (Value::from_iter(names), page["has_more"].clone())
    };
    assert_eq!(names("limit=2").await, (json!(["d", "c"]), json!(true)));
    server.delete(&format!("{PATH}/b")).send().await;
    let behind = names(&format!("order=asc&after={}", ids[1])).await;
    assert_eq!(behind, (json!(["c", "d"]), json!(false)));
    let never = "68a00000-0000-8000-8000-0000000000ff";
    assert_eq!(server.get(&format!("{PATH}?after={never}")).send().await.status, 404);
    assert_eq!(server.get(&format!("{PATH}?limit=0")).send().await.status, 400);
}

#[tokio::test]
async fn a_sandbox_mounts_volumes_by_id_or_name_and_keeps_them_from_being_removed() {
    let server = Server::start().await;
    let (data, cache) = (made(&server, "data").await, made(&server, "cache").await);
    let mounts = json!([
        {"volume": "data", "path": "/srv/", "subpath": "sites/web"},
        {"volume": cache["id"], "path": "/root/.cache"},
    ]);
    let id = sandbox_with(&server, json!({"name": "box", "volumes": mounts})).await;
    let shown = server.get(&at(&id, "")).send().await.expect(200);
    let want = json!([
        {"volume": data["id"], "path": "/srv", "subpath": "sites/web"},
        {"volume": cache["id"], "path": "/root/.cache"},
    ]);
    assert_eq!(shown["volumes"], want);
    assert_ne!(server.get(&format!("{PATH}/data")).send().await.expect(200)["last_used_at"], Value::Null);

    let remove = async || server.delete(&format!("{PATH}/data")).send().await;
    let refused = remove().await.native_error();
    assert_eq!(refused, "409 in_use -: volume data is in use by sandbox box");
    for verb in ["/stop", "/archive"] {
        server.post(&at(&id, verb)).send().await.expect(200);
        assert_eq!(remove().await.status, 409, "after {verb}");
    }
    server.post(&at(&id, "/start")).send().await.expect(200);
    server.post(&at(&id, "/stop")).send().await.expect(200);
    let fork = server.post(&at(&id, "/fork")).send().await.expect(201);
    assert_eq!(fork["volumes"], want);
    server.delete(&at(&id, "")).send().await;
    assert_eq!(remove().await.status, 409, "the fork has it");
    server.delete(&at(fork["id"].as_str().unwrap(), "")).send().await;
    assert_eq!(remove().await.status, 204);
    let late = json!({"volumes": [{"volume": "data", "path": "/srv"}]});
    let refused = server.post("/lazaret/v1/sandboxes").json(&late).send().await;
    assert_eq!(refused.native_error(), "404 not_found -: volume data not found");
}

#[tokio::test]
async fn mounts_that_make_no_sense_are_refused_under_their_field_and_nothing_is_made() {
    let server = Server::start().await;
    made(&server, "data").await;
    let at = |path: &str| json!({"volume": "data", "path": path});
    let mut many = (0..9).map(|number| at(&format!("/{number}"))).collect::<Vec<_>>();
    for (volumes, reason) in [
        (json!([at("srv")]), r#"the path "srv" is not absolute"#),
        (json!([at("/")]), r#"the path "/" is the root"#),
        (json!([at("/dev/x")]), r#"the path "/dev/x" is a place that every sandbox needs for itself"#),
        (json!([at("/a"), at("/a/")]), "/a is the path of two"),
        (
            json!([{"volume": "data", "path": "/a", "subpath": "../x"}]),
            r#"the subpath "../x" has a part that is . or .."#,
        ),
        (Value::from(many.clone()), "more than 8"),
    ] {
        let refused = server.post("/lazaret/v1/sandboxes").json(&json!({"volumes": volumes})).send().await;
        assert_eq!(refused.native_error(), format!("400 invalid volumes: volumes: {reason}"));
    }
    assert_eq!(server.runtime.count(), 0);
    many.pop();
    sandbox_with(&server, json!({"volumes": many})).await;
}

#[tokio::test]
async fn another_accounts_volume_looks_like_a_missing_one() {
    let server = Server::start().await;
    let id = made(&server, "ours").await["id"].as_str().unwrap().to_owned();
    let stranger = server.other_account("stranger").await;
    let missing = "68a00000-0000-8000-8000-0000000000ff";
    for (theirs, none) in [(id.as_str(), missing), ("ours", "none")] {
        let answers = async |name: &str| {
            let path = format!("{PATH}/{name}");
            let mount = json!({"volumes": [{"volume": name, "path": "/data"}]});
            let answers = [
                server.get(&path).key(&stranger).send().await,
                server.delete(&path).key(&stranger).send().await,
                server.post("/lazaret/v1/sandboxes").key(&stranger).json(&mount).send().await,
                server.get(&format!("{PATH}?after={name}")).key(&stranger).send().await,
            ];
            answers.map(|answer| answer.native_error().replace(name, "NAME"))
        };
        assert_eq!(answers(theirs).await, answers(none).await);
    }
    let listed = server.get(PATH).key(&stranger).send().await.expect(200);
    assert_eq!(listed, json!({"volumes": [], "has_more": false}));
    server.post(PATH).key(&stranger).json(&json!({"name": "ours"})).send().await.expect(201);
    assert_eq!(server.get(&format!("{PATH}/{id}")).send().await.status, 200, "its owner still has it");
}

#[tokio::test]
async fn volumes_are_bounded_in_number_and_size_by_the_tier() {
    let tier = Tier { volumes_max: 2, volumes_max_bytes: 3 << 30, ..Tier::default() };
    let tiers = std::collections::BTreeMap::from([("default".to_owned(), tier)]);
    let server = Server::start_under(Settings { tiers, ..Settings::default() }, |_| {}).await;
    let wanted = |name: &str, gib: u64| json!({"name": name, "size_bytes": gib << 30});
    let make = async |name: &str, gib| server.post(PATH).json(&wanted(name, gib)).send().await;
    assert_eq!(
        make("a", 4).await.native_error(),
        "429 limit_reached -: limit reached: size of the volumes of this account"
    );
    assert_eq!(make("a", 2).await.status, 201);
    assert_eq!(make("b", 2).await.status, 429);
    assert_eq!(make("b", 1).await.status, 201);
    server.delete(&format!("{PATH}/b")).send().await;
    assert_eq!(make("b", 1).await.status, 201);
    let bad = server.post(PATH).json(&json!({"name": "c", "size_bytes": 5})).send().await;
    assert!(bad.native_error().starts_with("400 invalid size_bytes: "), "{}", bad.native_error());
    assert_eq!(server.runtime.volumes(), 2, "what was refused left nothing");
}

#[tokio::test]
async fn a_removal_that_failed_can_be_tried_again_and_nobody_mounts_it_meanwhile() {
    let server = Server::start().await;
    made(&server, "data").await;
    server.runtime.fail_next_volume_removal(lazaret_core::Error::internal("the disk is odd"));
    assert_eq!(server.delete(&format!("{PATH}/data")).send().await.status, 500);
    let left = server.get(&format!("{PATH}/data")).send().await.expect(200);
    assert_eq!(left["state"], "deleting");
    let mount = json!({"volumes": [{"volume": "data", "path": "/data"}]});
    assert_eq!(server.post("/lazaret/v1/sandboxes").json(&mount).send().await.status, 404);
    assert_eq!(server.delete(&format!("{PATH}/data")).send().await.status, 204);
    sandbox(&server).await;
}
