//! `POST /v1/containers`.

use lazaret_core::ports::Guest;
use lazaret_core::{Error, FilePath, FileScope, Links};
use serde_json::json;

use crate::support::Server;
use crate::{column, container, core_id, failure, got, plain, schema, text, tree, upload};

const PATH: &str = "/v1/containers";

#[tokio::test]
async fn a_container_with_only_a_name_has_the_defaults() {
    let server = Server::start().await;
    let answer = server.post(PATH).json(&json!({"name": "report"})).send().await;
    insta::assert_json_snapshot!(schema::checked(&answer, 200, "ContainerResource"));
}

#[tokio::test]
async fn a_container_has_what_was_asked_for_and_unknown_fields_are_ignored() {
    let server = Server::start().await;
    let asked = json!({
        "name": "rapport é", "memory_limit": "4g", "expires_after": {"anchor": "last_active_at", "minutes": 1},
        "network_policy": {"type": "disabled"}, "metadata": {"team": "red"}, "skills": [], "file_ids": [],
        "custom_llm_provider": "openai", "extra": {"deep": [1, 2]},
    });
    let made = schema::checked(&server.post(PATH).json(&asked).send().await, 200, "ContainerResource");
    insta::assert_json_snapshot!(made);
    let shown = got(&server, &format!("{PATH}/{}", text(&made, "id")), "ContainerResource").await;
    assert_eq!(shown, made);
}

#[tokio::test]
async fn null_is_the_same_as_absent_for_what_is_optional() {
    let server = Server::start().await;
    let asked = json!({
        "name": "n", "memory_limit": null, "expires_after": null, "network_policy": null, "metadata": null,
        "skills": null, "file_ids": null,
    });
    let made = schema::checked(&server.post(PATH).json(&asked).send().await, 200, "ContainerResource");
    assert_eq!((&made["memory_limit"], &made["expires_after"]["minutes"]), (&json!("1g"), &json!(20)));
}

#[tokio::test]
async fn files_are_copied_in_and_the_same_id_twice_is_two_copies() {
    let server = Server::start().await;
    let (a, b) = (upload(&server, "in.csv", "a,b\n").await, upload(&server, "in.csv", "other").await);
    let ids = json!([a["id"], b["id"], a["id"]]);
    let made = server.post(PATH).json(&json!({"name": "c", "file_ids": ids})).send().await.expect(200);
    let id = text(&made, "id");
    let files = got(&server, &format!("{PATH}/{id}/files?order=asc"), "ContainerFileListResource").await;
    let names: Vec<_> = column(&files, "path").iter().map(|path| plain(path)).collect();
    assert_eq!(names, ["in.csv", "in.csv", "in.csv"]);
    assert_eq!(column(&files, "source"), ["user", "user", "user"]);
    let sizes: Vec<_> = files["data"].as_array().unwrap().iter().map(|file| file["bytes"].clone()).collect();
    assert_eq!(sizes, [4, 5, 4]);
    // A copy is a copy: the file may go.
    server.delete(&format!("/v1/files/{}", text(&a, "id"))).send().await.expect(200);
    let content = format!("{PATH}/{id}/files/{}/content", column(&files, "id")[0]);
    assert_eq!(server.get(&content).send().await.body, "a,b\n");
}

#[tokio::test]
async fn with_plain_names_a_copy_keeps_its_name_where_it_is_free() {
    let server = Server::start_with(|settings| settings.openai.plain_names = true).await;
    let a = upload(&server, "in.csv", "1").await;
    let asked = json!({"name": "c", "file_ids": [a["id"], a["id"]]});
    let made = server.post(PATH).json(&asked).send().await.expect(200);
    let files = format!("{PATH}/{}/files?order=asc", text(&made, "id"));
    let paths = column(&got(&server, &files, "ContainerFileListResource").await, "path");
    assert_eq!(paths[0], "/mnt/data/in.csv");
    assert_eq!(plain(&paths[1]), "in.csv");
}

#[tokio::test]
async fn one_file_that_is_not_there_makes_nothing() {
    let server = Server::start().await;
    let a = upload(&server, "in.csv", "1").await;
    let stranger = server.other_account("stranger").await;
    let absent = "file-000000000000000000000A";
    for (key, ids, want) in [
        ("My API Key", json!([a["id"], absent]), absent),
        ("My API Key", json!(["file_id"]), "file_id"),
        (stranger.as_str(), json!([a["id"]]), a["id"].as_str().unwrap()),
    ] {
        let answer = server.post(PATH).key(key).json(&json!({"name": "c", "file_ids": ids})).send().await;
        let message = format!("404 invalid_request_error - file_ids: No such File object: {want}");
        assert_eq!(failure(&answer), message);
    }
    assert_eq!(server.runtime.count(), 0);
}

#[tokio::test]
async fn a_file_whose_time_has_ended_is_not_there() {
    let server = Server::start().await;
    let form = crate::Form::new()
        .text("purpose", "user_data")
        .text("expires_after[anchor]", "created_at")
        .text("expires_after[seconds]", "3600")
        .file("file", "a", "1");
    let made = form.send(server.post("/v1/files")).await.expect(200);
    server.clock.advance(std::time::Duration::from_secs(3600));
    let answer = server.post(PATH).json(&json!({"name": "c", "file_ids": [made["id"]]})).send().await;
    let message = format!("404 invalid_request_error - file_ids: No such File object: {}", text(&made, "id"));
    assert_eq!(failure(&answer), message);
}

#[tokio::test]
async fn a_container_that_does_not_start_leaves_nothing() {
    let server = Server::start().await;
    for (error, want) in [
        (
            Error::internal("the kernel said no: /secret/path"),
            "500 server_error - -: The server had an error",
        ),
        (
            Error::LimitReached(lazaret_core::Limit::HostDisk),
            "503 server_error - -: Limit reached: disk space of the host.",
        ),
    ] {
        server.runtime.fail_next_start(error);
        let answer = server.post(PATH).json(&json!({"name": "c"})).send().await;
        let got = failure(&answer);
        assert!(got.starts_with(want) && !got.contains("secret"), "{got}");
        assert_eq!(answer.header("retry-after"), if want.starts_with("503") { "1" } else { "" });
    }
    assert_eq!(server.runtime.count(), 0);
    let list = got(&server, PATH, "ContainerListResource").await;
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn the_data_directory_is_there_from_the_beginning_and_open_to_every_user() {
    let server = Server::start().await;
    let id = container(&server).await;
    let path = FilePath::new("/mnt/data").unwrap();
    let entry = server.guest.stat(core_id(&id), &FileScope::default(), &path, Links::Kept).await.unwrap();
    assert_eq!(entry.mode, 0o777);
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
}
