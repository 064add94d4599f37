//! `POST /v1/containers/{container_id}/files`.

use serde_json::json;

use crate::form::Form;
use crate::support::Server;
use crate::{column, container, core_id, failure, got, plain, put, schema, text, tree, upload};

#[tokio::test]
async fn a_file_can_come_before_or_after_the_text_of_its_form() {
    let server = Server::start().await;
    let id = container(&server).await;
    let file = |form: Form| form.file("file", "a.txt", "hello");
    let path = |form: Form| form.text("file_path", "/test-file.txt");
    let before = put(&server, &id, path(file(Form::new()))).await;
    insta::assert_json_snapshot!(before);
    let after = put(&server, &id, file(path(Form::new()))).await;
    assert_eq!(after["id"], before["id"], "a path that is there keeps its id");
    assert_eq!(tree(&server, &id).await, ["/mnt/data/test-file.txt"]);
}

#[tokio::test]
async fn a_file_without_a_path_gets_a_name_that_no_other_has() {
    let server = Server::start().await;
    let id = container(&server).await;
    // What Bifrost sends for every file.
    let (a, b) = (
        put(&server, &id, Form::new().file("file", "file", "1")).await,
        put(&server, &id, Form::new().file("file", "file", "22")).await,
    );
    assert_ne!((&a["id"], &a["path"]), (&b["id"], &b["path"]));
    assert_eq!((plain(&text(&a, "path")), plain(&text(&b, "path"))), ("file".to_owned(), "file".to_owned()));
    assert_eq!((&a["bytes"], &b["bytes"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn with_plain_names_a_file_keeps_its_name_where_it_is_free() {
    let server = Server::start_with(|settings| settings.openai.plain_names = true).await;
    let id = container(&server).await;
    let first = put(&server, &id, Form::new().file("file", "a.txt", "1")).await;
    assert_eq!(first["path"], "/mnt/data/a.txt");
    let second = put(&server, &id, Form::new().file("file", "a.txt", "2")).await;
    assert_eq!(plain(&text(&second, "path")), "a.txt");
}

#[tokio::test]
async fn a_clients_file_name_is_cut_to_what_a_name_can_be() {
    let server = Server::start().await;
    let id = container(&server).await;
    let long = format!("{}.csv", "x".repeat(4096));
    let cut = format!("{}.csv", "x".repeat(255 - 33 - 4));
    let cases: [(&[u8], &str); 9] = [
        (b"upload", "upload"),
        ("dir/na meé.txt".as_bytes(), "na meé.txt"),
        (br"C:\temp\up.csv", "up.csv"),
        (b"a\tb", "ab"),
        (b"", "upload"),
        (b"..", "upload"),
        (b"../../etc/passwd", "passwd"),
        (b"\xff\xfe.csv", "upload"),
        (long.as_bytes(), &cut),
    ];
    for (given, want) in cases {
        let disposition = [b"form-data; name=\"file\"; filename=\"", given, b"\""].concat();
        let made = put(&server, &id, Form::new().part(&disposition, b"x")).await;
        assert_eq!(plain(&text(&made, "path")), want, "{}", String::from_utf8_lossy(given));
    }
    let nameless = put(&server, &id, Form::new().part(b"form-data; name=\"file\"", b"x")).await;
    assert_eq!(plain(&text(&nameless, "path")), "upload");
}

#[tokio::test]
async fn a_path_that_leaves_the_data_directory_or_names_no_file_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let id = container(&server).await;
    let long = format!("/{}", "x/".repeat(2050));
    let name = "x".repeat(256);
    let reserved = format!(".lazaret-staged-{}", "0".repeat(32));
    let paths = [
        "../x",
        "/mnt/data/../x",
        "a/../../b",
        "a\0b",
        "dir/",
        "",
        ".",
        "/mnt/data",
        &long,
        &name,
        &reserved,
    ];
    let mut said = Vec::new();
    for path in paths {
        let files = format!("/v1/containers/{id}/files");
        let by_form =
            Form::new().file("file", "a", "1").text("file_path", path).send(server.post(&files)).await;
        let up = upload(&server, "a", "1").await;
        let by_id = server.post(&files).json(&json!({"file_id": up["id"], "file_path": path})).send().await;
        assert_eq!(failure(&by_form), failure(&by_id));
        let shown: String = path.chars().take(20).collect();
        said.push(format!("{shown:?}: {}", failure(&by_form)));
    }
    insta::assert_snapshot!(said.join("\n"));
    crate::support::eventually("nothing is left", || !server.guest.has_staged(core_id(&id))).await;
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
}

#[tokio::test]
async fn names_that_are_odd_and_legal_are_kept() {
    let server = Server::start().await;
    let id = container(&server).await;
    for (given, want) in [
        ("line\nbreak", "/mnt/data/line\nbreak"),
        ("/data/up.csv", "/mnt/data/data/up.csv"),
        ("/mnt/data/a//./b", "/mnt/data/a/b"),
        ("a/../b", "/mnt/data/b"),
        ("..x", "/mnt/data/..x"),
        ("-rf", "/mnt/data/-rf"),
    ] {
        let made = put(&server, &id, Form::new().text("file_path", given).file("file", "f", "1")).await;
        assert_eq!(made["path"], want);
    }
}

#[tokio::test]
async fn an_uploaded_file_is_copied_by_its_id_as_it_is_then() {
    let server = Server::start().await;
    let id = container(&server).await;
    let files = format!("/v1/containers/{id}/files");
    let up = upload(&server, "in.csv", "a,b\n").await;
    for call in [
        server.post(&files).json(&json!({"file_id": up["id"], "unknown": 1})),
        // No content type at all.
        server.post(&files).body(json!({"file_id": up["id"]}).to_string()),
        server
            .post(&files)
            .body(json!({"file_id": up["id"]}).to_string())
            .header("content-type", "Application/JSON; charset=utf-8"),
    ] {
        let made = schema::checked(&call.send().await, 200, "ContainerFileResource");
        assert_eq!((plain(&text(&made, "path")).as_str(), &made["source"]), ("in.csv", &json!("user")));
    }
    let form = Form::new().text("file_id", up["id"].as_str().unwrap());
    assert_eq!(put(&server, &id, form).await["bytes"], 4, "a form without a file may name one too");
    let exact = server.post(&files).json(&json!({"file_id": up["id"], "file_path": "/x/y.csv"})).send().await;
    assert_eq!(exact.expect(200)["path"], "/mnt/data/x/y.csv");
    let list = got(&server, &files, "ContainerFileListResource").await;
    assert_eq!(column(&list, "id").len(), 5);
}

#[tokio::test]
async fn of_a_file_and_the_id_of_one_the_file_wins() {
    let server = Server::start().await;
    let id = container(&server).await;
    for form in [
        Form::new().text("file_id", "file_id").file("file", "a.txt", "hello"),
        Form::new().file("file", "a.txt", "hello").text("file_id", "file_id"),
    ] {
        assert_eq!(put(&server, &id, form).await["bytes"], 5);
    }
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let server = Server::start().await;
    let id = container(&server).await;
    let made = put(&server, &id, Form::new().file("file", "empty", "")).await;
    assert_eq!(made["bytes"], 0);
    let content = format!("/v1/containers/{id}/files/{}/content", text(&made, "id"));
    let answer = server.get(&content).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, "0", 0));
}

#[tokio::test]
async fn bodies_that_say_too_little_or_too_much_are_refused_and_leave_nothing() {
    let server = Server::start().await;
    let id = container(&server).await;
    let files = format!("/v1/containers/{id}/files");
    let call = || server.post(&files);
    let form = Form::new;
    let many = (0..65).fold(form(), |form, _| form.text("x", "y"));
    let answers = [
        ("{}", call().json(&json!({})).send().await),
        ("no body", call().send().await),
        ("no part", form().send(call()).await),
        ("text alone", form().text("provider", "x").send(call()).await),
        ("two files", form().file("file", "a", "1").file("file", "b", "2").send(call()).await),
        ("another name", form().file("document", "a", "1").send(call()).await),
        ("long text", form().file("file", "a", "1").text("file_path", &"x".repeat(8193)).send(call()).await),
        ("text not UTF-8", form().part(b"form-data; name=\"file_id\"", b"\xff").send(call()).await),
        ("65 parts", many.send(call()).await),
        ("file_id of a number", call().json(&json!({"file_id": 5})).send().await),
        ("file_id unknown", call().json(&json!({"file_id": "file-x"})).send().await),
        ("array", call().json(&json!([])).send().await),
        ("not JSON", call().header("content-type", "application/json").body("{\"file_id\"").send().await),
        ("XML", call().header("content-type", "application/xml").body("<a/>").send().await),
        ("no boundary", call().header("content-type", "multipart/form-data").body("x").send().await),
    ];
    let said: Vec<_> = answers.iter().map(|(what, answer)| format!("{what}: {}", failure(answer))).collect();
    insta::assert_snapshot!(said.join("\n"));
    crate::support::eventually("nothing is left", || !server.guest.has_staged(core_id(&id))).await;
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_path_that_is_a_directory_or_beneath_a_file_is_refused() {
    let server = Server::start().await;
    let id = container(&server).await;
    put(&server, &id, Form::new().text("file_path", "dir/a").file("file", "f", "1")).await;
    for path in ["dir", "dir/a/b"] {
        let form = Form::new().text("file_path", path).file("file", "f", "1");
        let answer = form.send(server.post(&format!("/v1/containers/{id}/files"))).await;
        let want = "400 invalid_request_error invalid_value file_path: The file cannot be used: ";
        assert!(failure(&answer).starts_with(want), "{}", failure(&answer));
    }
    crate::support::eventually("nothing is left", || !server.guest.has_staged(core_id(&id))).await;
    assert_eq!(tree(&server, &id).await, ["/mnt/data/dir/a"]);
}

#[tokio::test]
async fn a_data_directory_that_code_removed_is_made_again() {
    let server = Server::start().await;
    let id = container(&server).await;
    server.guest.erase(core_id(&id), "/mnt/data");
    let files = got(&server, &format!("/v1/containers/{id}/files"), "ContainerFileListResource").await;
    assert_eq!(files["data"], json!([]));
    assert_eq!(put(&server, &id, Form::new().file("file", "a", "1")).await["bytes"], 1);
}
