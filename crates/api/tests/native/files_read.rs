//! `GET` and `HEAD` of `.../files/{path}`.

use axum::http::Method;
use serde_json::json;

use crate::support::Server;
use crate::{at, core_id, sandbox};

#[tokio::test]
async fn content_comes_whole_and_cannot_be_mistaken_for_a_page() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a page.html", "<script>");
    let answer = server.get(&at(&id, "/files/tmp/a%20page.html")).send().await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"<script>"[..]));
    for (header, want) in [
        ("content-type", "text/html"),
        ("content-length", "8"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename=\"a page.html\"; filename*=UTF-8''a%20page.html"),
    ] {
        assert_eq!(answer.header(header), want);
    }
}

#[tokio::test]
async fn head_tells_the_size_without_the_content() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = server.call(Method::HEAD, &at(&id, "/files/etc/hostname")).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, "4", 0));
    let missing = server.call(Method::HEAD, &at(&id, "/files/none")).send().await;
    assert_eq!((missing.status.as_u16(), missing.body.len()), (422, 0));
}

#[tokio::test]
async fn a_range_is_answered_with_its_part() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/digits", "0123456789");
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-1", 206, "bytes 9-9/10", "9"),
        ("bytes=0-1,3-4", 200, "", "0123456789"),
    ] {
        let answer = server.get(&at(&id, "/files/tmp/digits")).header("range", range).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range")),
            (status, content_range),
            "{range}"
        );
        assert_eq!(answer.body, body, "{range}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{range}");
    }
    let answer = server.get(&at(&id, "/files/tmp/digits")).header("range", "bytes=10-").send().await;
    assert_eq!(answer.header("content-range"), "bytes */10");
    assert_eq!(
        answer.native_error(),
        "416 range_not_satisfiable -: the range is not within the 10 bytes of the file"
    );
}

#[tokio::test]
async fn a_path_need_not_be_utf8() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let path = at(&id, "/files/tmp/%ff%2F..%fe");
    // The encoded slash is a slash of the path, once the route is found.
    let written = server.put(&path).body("x").send().await.expect(200);
    assert_eq!(written["path"], "/tmp/\u{fffd}/..\u{fffd}");
    assert_eq!(written["path_base64"], "L3RtcC//Ly4u/g==");
    let answer = server.get(&path).send().await;
    assert_eq!(answer.body, "x");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\".._\"; filename*=UTF-8''..%FE");
}

#[tokio::test]
async fn an_entry_and_a_directory_come_as_json() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant_link(core_id(&id), "/etc/link", "hostname");
    let stat = server.get(&at(&id, "/files/etc/hostname?stat=true")).send().await.expect(200);
    insta::assert_json_snapshot!("an_entry", stat);
    let list = server.get(&at(&id, "/files/etc?list=true")).send().await.expect(200);
    insta::assert_json_snapshot!("a_directory", list);
    for root in ["/files?list=true", "/files/?list=true", "/files/%2F?list=true"] {
        let list = server.get(&at(&id, root)).send().await.expect(200);
        let paths: Vec<_> = list["entries"].as_array().unwrap().iter().map(|one| &one["path"]).collect();
        assert_eq!(paths, [&json!("/etc"), &json!("/mnt"), &json!("/tmp")], "{root}");
    }
}

#[tokio::test]
async fn a_tree_is_listed_to_a_depth_and_by_a_glob() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a/b/c.txt", "x");
    server.guest.plant(core_id(&id), "/tmp/d.txt", "x");
    for (query, want) in [
        ("depth=1", vec!["/tmp/a", "/tmp/d.txt"]),
        ("depth=2", vec!["/tmp/a", "/tmp/a/b", "/tmp/d.txt"]),
        ("name=*.txt", vec!["/tmp/a/b/c.txt", "/tmp/d.txt"]),
        ("name=*.txt&depth=1", vec!["/tmp/d.txt"]),
    ] {
        let list = server.get(&at(&id, &format!("/files/tmp?list=true&{query}"))).send().await.expect(200);
        let paths: Vec<_> = list["entries"].as_array().unwrap().iter().map(|one| &one["path"]).collect();
        assert_eq!(paths, want, "{query}");
        assert_eq!(list["truncated"], false);
    }
}

#[tokio::test]
async fn lines_with_a_text_come_with_their_place() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a/one", "first\nneedle two\n");
    for path in ["/files/tmp?find=needle", "/files/tmp/a/one?find=needle%20two"] {
        let found = server.get(&at(&id, path)).send().await.expect(200);
        let line = json!({"path": "/tmp/a/one", "line": 2, "text": "needle two"});
        assert_eq!(found, json!({"matches": [line], "truncated": false}), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let long = format!("/files/{}", "x/".repeat(2048));
    for (path, want) in [
        ("/files/none", "422 file_failed -: /none: no such file or directory"),
        ("/files/etc", "422 file_failed -: /etc: is a directory"),
        ("/files/etc/hostname?list=true", "422 file_failed -: /etc/hostname: not a directory"),
        ("/files/a%00b", "400 invalid path: path: has a NUL byte"),
        (long.as_str(), "400 invalid path: path: is longer than 4095 bytes"),
        ("/files/x?stat=true&list=true", "400 invalid list: list: cannot be asked together with stat"),
        ("/files/x?stat=maybe", "400 invalid stat: stat: provided string was not `true` or `false`"),
        ("/files/x?deep=1", "400 unknown_field deep: deep: is not a known field"),
        ("/files/x?depth=1", "400 invalid depth: depth: needs list"),
        ("/files/x?name=a", "400 invalid name: name: needs list"),
        ("/files/x?find=a&list=true", "400 invalid find: find: cannot be asked together with list"),
        ("/files/etc?list=true&depth=0", "400 invalid depth: depth: must be at least 1"),
    ] {
        assert_eq!(server.get(&at(&id, path)).send().await.native_error(), want);
    }
}
