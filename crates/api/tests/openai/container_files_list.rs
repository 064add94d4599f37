//! `GET /v1/containers/{container_id}/files` and of one file.

use std::time::Duration;

use serde_json::{Value, json};

use crate::form::Form;
use crate::support::Server;
use crate::{column, container, core_id, failure, got, put, text, tree};

const LIST: &str = "ContainerFileListResource";

#[tokio::test]
async fn what_code_wrote_is_listed_with_an_id_that_stays() {
    let server = Server::start().await;
    let id = container(&server).await;
    let files = format!("/v1/containers/{id}/files");
    let up = put(&server, &id, Form::new().text("file_path", "in.csv").file("file", "f", "1")).await;
    server.clock.advance(Duration::from_secs(5));
    server.guest.plant(core_id(&id), "/mnt/data/out.csv", "a,b");
    server.guest.plant(core_id(&id), "/mnt/data/deep/er/plot.png", "png");
    server.guest.plant(core_id(&id), "/tmp/elsewhere", "not shown");
    server.guest.plant_link(core_id(&id), "/mnt/data/link", "/etc/hostname");
    let first = got(&server, &files, LIST).await;
    insta::assert_json_snapshot!(first);
    assert_eq!(got(&server, &files, LIST).await, first);
    let one = |id: &str| format!("{files}/{id}");
    let out =
        first["data"].as_array().unwrap().iter().find(|file| file["path"] == "/mnt/data/out.csv").unwrap();
    assert_eq!(got(&server, &one(&text(out, "id")), "ContainerFileResource").await, *out);

    server.clock.advance(Duration::from_secs(5));
    server.guest.plant(core_id(&id), "/mnt/data/out.csv", "longer than before");
    let again = got(&server, &one(&text(out, "id")), "ContainerFileResource").await;
    let mut want = out.clone();
    want["bytes"] = json!(18);
    assert_eq!(again, want, "its size follows, nothing else does");

    server.guest.erase(core_id(&id), "/mnt/data/in.csv");
    let answer = server.get(&one(&text(&up, "id"))).send().await;
    let gone =
        format!("404 invalid_request_error - -: File {} not found on container {id}.", text(&up, "id"));
    assert_eq!(failure(&answer), gone);
    server.guest.plant(core_id(&id), "/mnt/data/in.csv", "new");
    let list = got(&server, &files, LIST).await;
    assert!(!column(&list, "id").contains(&text(&up, "id")), "a path that was gone begins anew");
}

#[tokio::test]
async fn pages_show_each_file_once_and_a_cursor_outlives_its_file() {
    let server = Server::start().await;
    let id = container(&server).await;
    let files = format!("/v1/containers/{id}/files");
    let mut made: Vec<Value> = Vec::new();
    for name in 0..5 {
        made.push(put(&server, &id, Form::new().file("file", &name.to_string(), "x")).await);
    }
    let ids: Vec<_> = made.iter().map(|file| text(file, "id")).collect();
    let mut seen = Vec::new();
    let mut path = format!("{files}?limit=2&order=asc");
    loop {
        let page = got(&server, &path, LIST).await;
        seen.extend(column(&page, "id"));
        if page["has_more"] == json!(false) {
            break;
        }
        path = format!("{files}?limit=2&order=asc&after={}", seen.last().unwrap());
    }
    assert_eq!(seen, ids);
    server.delete(&format!("{files}/{}", ids[2])).send().await.expect(200);
    let behind = got(&server, &format!("{files}?after={}", ids[2]), LIST).await;
    assert_eq!(column(&behind, "id"), [ids[1].clone(), ids[0].clone()]);
    let other = container(&server).await;
    for cursor in [ids[0].as_str(), ids[2].as_str(), "cfile_none"] {
        let answer = server.get(&format!("/v1/containers/{other}/files?after={cursor}")).send().await;
        assert_eq!(failure(&answer), "404 invalid_request_error - after: Resource not found.");
    }
}

#[tokio::test]
async fn another_accounts_files_look_like_files_of_a_container_that_is_not_there() {
    let server = Server::start().await;
    let id = container(&server).await;
    let file = text(&put(&server, &id, Form::new().file("file", "a", "1")).await, "id");
    let stranger = server.other_account("stranger").await;
    let want = format!("404 invalid_request_error - -: Container with id '{id}' not found.");
    for path in ["", &format!("/{file}"), &format!("/{file}/content")] {
        let answer = server.get(&format!("/v1/containers/{id}/files{path}")).key(&stranger).send().await;
        assert_eq!(failure(&answer), want);
    }
    let mine = text(
        &server.post("/v1/containers").key(&stranger).json(&json!({"name": "c"})).send().await.expect(200),
        "id",
    );
    let answer = server.get(&format!("/v1/containers/{mine}/files/{file}")).key(&stranger).send().await;
    assert_eq!(
        failure(&answer),
        format!("404 invalid_request_error - -: File {file} not found on container {mine}.")
    );
    assert_eq!(tree(&server, &id).await.len(), 1);
}

#[tokio::test]
async fn what_a_killed_server_left_waiting_is_removed_at_the_next_look() {
    let server = Server::start().await;
    let id = container(&server).await;
    let left = format!("/mnt/data/.lazaret-staged-{}", "0".repeat(32));
    server.guest.plant(core_id(&id), &left, "half");
    server.guest.plant(core_id(&id), "/mnt/data/.lazaret-staged-mine", "kept");
    server.guest.plant(core_id(&id), &left.replace("/data/", "/data/sub/"), "kept");
    let list = got(&server, &format!("/v1/containers/{id}/files"), LIST).await;
    assert_eq!(column(&list, "id").len(), 2);
    assert_eq!(tree(&server, &id).await.len(), 2);
}
