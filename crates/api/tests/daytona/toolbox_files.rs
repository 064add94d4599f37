//! Files of the toolbox, one by one.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Call, Server};
use crate::{core_id, failure, sandbox, toolbox};

async fn ready() -> (Server, String) {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    (server, id)
}

fn get(server: &Server, id: &str, path: &str) -> Call {
    server.get(&toolbox(id, path))
}

fn post(server: &Server, id: &str, path: &str) -> Call {
    server.post(&toolbox(id, path))
}

#[tokio::test]
async fn a_file_is_told_of_with_every_field_and_a_link_is_followed() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/desk/a.txt", "content");
    server.guest.plant_link(core_id(&id), "/desk/link", "/desk/a.txt");
    let info = get(&server, &id, "/files/info?path=/desk/a.txt").send().await.expect(200);
    let want = json!({
        "name": "a.txt", "path": "/desk/a.txt", "size": 7, "mode": "-rw-r--r--", "permissions": "0644",
        "isDir": false, "owner": "0", "group": "0", "modTime": "2025-08-15 23:20:00.000 +0000 UTC",
        "modifiedAt": "2025-08-15T23:20:00.000Z",
    });
    assert_eq!(info, want);
    let link = get(&server, &id, "/files/info?path=/desk/link").send().await.expect(200);
    assert_eq!((&link["name"], &link["size"]), (&json!("link"), &json!(7)));
    let directory = get(&server, &id, "/files/info?path=/desk").send().await.expect(200);
    assert_eq!((&directory["mode"], &directory["isDir"]), (&json!("drwxr-xr-x"), &json!(true)));
}

#[tokio::test]
async fn a_directory_is_listed_from_the_working_directory_and_to_a_depth() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/data/sub/b", "x");
    server.guest.plant(core_id(&id), "/data/a", "x");
    let names = async |query: &str| {
        let list = get(&server, &id, &format!("/files{query}")).send().await.expect(200);
        let names = list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("?path=data").await, ["a", "sub"]);
    assert_eq!(names("?path=/data&depth=2").await, ["a", "sub", "b"]);
    assert!(names("").await.contains(&"data".to_owned()), "the working directory of this image is the root");
    for (query, want) in [
        ("?path=data/a", "400 INVALID_FILE_PATH GET /files: /data/a: not a directory"),
        ("?path=none", "404 FILE_NOT_FOUND GET /files: /none: no such file or directory"),
        ("?path=data&depth=0", "400 BAD_REQUEST GET /files: depth: must be at least 1"),
    ] {
        assert_eq!(failure(&get(&server, &id, &format!("/files{query}")).send().await), want);
    }
}

#[tokio::test]
async fn lines_and_names_are_found_and_told_of_beneath_the_path_that_was_asked() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/data/a.txt", "one\ntwo needle\n");
    server.guest.plant(core_id(&id), "/data/sub/b.txt", "three");
    let found = get(&server, &id, "/files/find?path=data&pattern=needle").send().await.expect(200);
    assert_eq!(found, json!([{"file": "data/a.txt", "line": 2, "content": "two needle"}]));
    let found = get(&server, &id, "/files/search?path=data&pattern=*.txt").send().await.expect(200);
    assert_eq!(found, json!({"files": ["data/a.txt", "data/sub/b.txt"]}));
    for (path, want) in [
        ("/files/find?path=data", "400 INVALID_REQUEST_BODY GET /files/find: pattern: is missing"),
        ("/files/find?path=&pattern=x", "400 INVALID_REQUEST_BODY GET /files/find: path: is missing"),
        ("/files/search?path=data&pattern=", "400 BAD_REQUEST GET /files/search: pattern: is empty"),
        (
            "/files/search?path=none&pattern=x",
            "404 FILE_NOT_FOUND GET /files/search: /none: no such file or directory",
        ),
    ] {
        assert_eq!(failure(&get(&server, &id, path).send().await), want);
    }
}

#[tokio::test]
async fn a_search_that_was_cut_says_so_in_a_header() {
    let (server, id) = ready().await;
    let lines: &'static str = "x\n".repeat(lazaret_core::limits::FIND_MAX_LINES + 1).leak();
    server.guest.plant(core_id(&id), "/data/many", lines);
    let answer = get(&server, &id, "/files/find?path=data&pattern=x").send().await;
    assert_eq!(answer.header("x-lazaret-truncated"), "true");
    assert_eq!(answer.expect(200).as_array().unwrap().len(), lazaret_core::limits::FIND_MAX_LINES);
    let answer = get(&server, &id, "/files/search?path=data&pattern=many").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-lazaret-truncated")), (200, ""));
}

#[tokio::test]
async fn folders_moves_permissions_and_deletions_answer_as_the_contract_says() {
    let (server, id) = ready().await;
    let core = core_id(&id);
    let folder = post(&server, &id, "/files/folder?path=data/sub&mode=700").send().await;
    assert_eq!((folder.status.as_u16(), folder.body.len()), (201, 0));
    post(&server, &id, "/files/folder?path=data/sub&mode=755").send().await.expect(201);
    let info = get(&server, &id, "/files/info?path=data/sub").send().await.expect(200);
    assert_eq!(info["permissions"], "0700");
    server.guest.plant(core, "/data/a", "a");
    server.guest.plant(core, "/data/b", "b");
    post(&server, &id, "/files/move?source=data/a&destination=data/sub/a").send().await.expect(200);
    assert!(server.guest.has(core, "/data/sub/a") && !server.guest.has(core, "/data/a"));
    let owned = "/files/permissions?path=data/sub/a&mode=600&owner=7&group=root";
    post(&server, &id, owned).send().await.expect(200);
    let info = get(&server, &id, "/files/info?path=data/sub/a").send().await.expect(200);
    let got = ["permissions", "owner", "group"].map(|field| info[field].as_str().unwrap());
    assert_eq!(got, ["0600", "7", "0"]);
    let delete = |path: &str| server.call(Method::DELETE, &toolbox(&id, path));
    delete("/files?path=data/b").send().await.expect(204);
    let lines = [
        failure(&delete("/files?path=data/sub").send().await),
        failure(&delete("/files?path=data/none").send().await),
        failure(&delete("/files?path=data/sub&recursive=perhaps").send().await),
        failure(&post(&server, &id, "/files/move?source=data/sub/a&destination=data/sub").send().await),
        failure(&post(&server, &id, "/files/move?source=none&destination=x").send().await),
        failure(&post(&server, &id, "/files/move?source=data/sub/a&destination=none/x").send().await),
        failure(&post(&server, &id, "/files/move?source=a").send().await),
        failure(&post(&server, &id, "/files/permissions?path=data/sub/a&mode=8").send().await),
        failure(&post(&server, &id, "/files/permissions?path=data/sub/a&owner=eve").send().await),
        failure(&post(&server, &id, "/files/permissions?path=none").send().await),
        failure(&post(&server, &id, "/files/folder?path=x&mode=rwx").send().await),
        failure(&post(&server, &id, "/files/folder").send().await),
    ];
    insta::assert_snapshot!(lines.join("\n"));
    delete("/files?path=data/sub&recursive=true").send().await.expect(204);
    assert!(!server.guest.has(core, "/data/sub"));
}

#[tokio::test]
async fn a_text_is_replaced_file_by_file_and_each_says_how_it_went() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/data/a", "old old");
    let body = json!({"files": ["data/a", "data/none"], "pattern": "old", "newValue": "new"});
    let results = post(&server, &id, "/files/replace").json(&body).send().await.expect(200);
    let want = json!([
        {"file": "data/a", "success": true},
        {"file": "data/none", "success": false, "error": "/data/none: no such file or directory"},
    ]);
    assert_eq!(results, want);
    let content = get(&server, &id, "/files/download?path=data/a").send().await;
    assert_eq!(content.body, "new new");
    let empty = json!({"files": ["data/a"], "pattern": "", "newValue": "new"});
    let refused = post(&server, &id, "/files/replace").json(&empty).send().await;
    assert_eq!(failure(&refused), "400 BAD_REQUEST POST /files/replace: pattern: is empty");
}

#[tokio::test]
async fn a_download_is_bytes_and_never_a_page() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/data/page.html", "<script>");
    let answer = get(&server, &id, "/files/download?path=data/page.html").send().await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"<script>"[..]));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"page.html\""));
    let lines = [
        failure(&get(&server, &id, "/files/download?path=data").send().await),
        failure(&get(&server, &id, "/files/download?path=none").send().await),
        failure(&get(&server, &id, "/files/download").send().await),
    ];
    let want = [
        "400 INVALID_FILE_PATH GET /files/download: /data: is a directory",
        "404 FILE_NOT_FOUND GET /files/download: /none: no such file or directory",
        "400 INVALID_REQUEST_BODY GET /files/download: path: is missing",
    ];
    assert_eq!(lines, want);
}

/// A form with these parts: name, file name if it is one, content.
pub(crate) fn form(parts: &[(&str, Option<&str>, &str)]) -> (String, String) {
    let mut body = String::new();
    for (name, filename, content) in parts {
        let filename = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        body +=
            &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n{content}\r\n");
    }
    ("multipart/form-data; boundary=b".to_owned(), body + "--b--\r\n")
}

#[tokio::test]
async fn one_file_goes_up_in_a_form_or_as_the_body_itself() {
    let (server, id) = ready().await;
    let content =
        async |path: &str| get(&server, &id, &format!("/files/download?path={path}")).send().await.body;
    let (kind, body) = form(&[("file", Some("other name"), "in a form")]);
    let send = |route: &str| post(&server, &id, route).header("content-type", &kind).body(body.clone());
    send("/files/upload?path=new/a.txt").send().await.expect(200);
    assert_eq!(content("new/a.txt").await, "in a form");
    let answer = send("/files/upload-v2?path=new/b.txt").send().await.expect(200);
    assert_eq!(answer, json!({"name": "b.txt", "path": "new/b.txt", "type": "file"}));
    let raw = post(&server, &id, "/files/upload-v2?path=new/c.txt").body("raw").send().await.expect(200);
    assert_eq!(raw["name"], "c.txt");
    assert_eq!(content("new/c.txt").await, "raw");
    let (kind, body) = form(&[("note", None, "no file")]);
    let missing = post(&server, &id, "/files/upload?path=x").header("content-type", &kind).body(body);
    assert_eq!(
        failure(&missing.send().await),
        "400 INVALID_REQUEST_BODY POST /files/upload: file: is missing"
    );
}

#[tokio::test]
async fn many_files_go_up_in_both_orders_that_clients_send() {
    let (server, id) = ready().await;
    let send = async |parts: &[(&str, Option<&str>, &str)]| {
        let (kind, body) = form(parts);
        post(&server, &id, "/files/bulk-upload").header("content-type", &kind).body(body).send().await
    };
    let python = [
        ("files[0].path", None, "up/1 é.txt"),
        ("files[1].path", None, " up/2.txt "),
        ("files[0].file", Some("up/1 é.txt"), "one"),
        ("files[1].file", Some("x"), "two!"),
    ];
    let want = json!({"files": [{"path": "up/1 é.txt", "bytes": 3}, {"path": "up/2.txt", "bytes": 4}]});
    assert_eq!(send(&python).await.expect(200), want);
    let typescript = [
        ("files[0].path", None, "up/a"),
        ("files[0].file", Some("a"), "a"),
        ("files[1].path", None, "up/b"),
        ("files[1].file", None, "b"),
    ];
    assert_eq!(send(&typescript).await.expect(200)["files"].as_array().unwrap().len(), 2);
    for (path, want) in [("up/1%20%C3%A9.txt", "one"), ("up/2.txt", "two!"), ("up/b", "b")] {
        let got = get(&server, &id, &format!("/files/download?path={path}")).send().await;
        assert_eq!(got.body, want, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_fails_does_not_keep_the_others_from_their_place() {
    let (server, id) = ready().await;
    let (kind, body) = form(&[
        ("files[0].file", Some("x"), "no path yet"),
        ("files[1].path", None, "/etc"),
        ("files[1].file", Some("x"), "a directory"),
        ("files[2].path", None, "/tmp/good"),
        ("files[2].file", Some("x"), "good"),
    ]);
    let answer =
        post(&server, &id, "/files/bulk-upload").header("content-type", &kind).body(body).send().await;
    let body: Value = answer.json();
    assert_eq!(body["errors"], json!(["file[0]: missing .path metadata", "/etc: /etc: is a directory"]));
    assert_eq!(body["files"], json!([{"path": "/tmp/good", "bytes": 4}]));
    assert_eq!(
        failure(&answer),
        "400 BAD_REQUEST POST /files/bulk-upload: file[0]: missing .path metadata, /etc: /etc: is a directory"
    );
    let broken =
        post(&server, &id, "/files/bulk-upload").header("content-type", &kind).body("--b\r\nnothing");
    assert!(failure(&broken.send().await).starts_with("400 BAD_REQUEST POST /files/bulk-upload: body: "));
}

#[tokio::test]
async fn many_files_come_down_with_a_part_for_each_failure() {
    let (server, id) = ready().await;
    server.guest.plant(core_id(&id), "/data/a \"b\".txt", "content");
    let body = json!({"paths": ["data/a \"b\".txt", "data/none", "data"]});
    let answer = post(&server, &id, "/files/bulk-download").json(&body).send().await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
    let text = String::from_utf8(answer.body.to_vec()).unwrap().replace(boundary, "BOUNDARY");
    insta::assert_snapshot!(text.replace("\r\n", "\n"));
    let empty = post(&server, &id, "/files/bulk-download").json(&json!({"paths": []})).send().await;
    assert!(String::from_utf8_lossy(&empty.body).ends_with("--\r\n"));
}
