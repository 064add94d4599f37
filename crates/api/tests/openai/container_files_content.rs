//! `GET /v1/containers/{container_id}/files/{file_id}/content`.

use crate::form::Form;
use crate::support::Server;
use crate::{column, container, core_id, entry_id, failure, got, put, text};

#[tokio::test]
async fn the_content_is_the_bytes_with_headers_that_a_browser_cannot_be_fooled_by() {
    let server = Server::start().await;
    let id = container(&server).await;
    let form = Form::new().text("file_path", "é \"x\".html").file("file", "f", "<script>");
    let file = put(&server, &id, form).await;
    let path = format!("/v1/containers/{id}/files/{}/content", text(&file, "id"));
    let answer = server.get(&path).header("accept", "application/binary").send().await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"<script>"[..]));
    for (name, want) in [
        ("content-type", "text/html"),
        ("content-length", "8"),
        ("x-content-type-options", "nosniff"),
        (
            "content-disposition",
            "attachment; filename=\"_ _x_.html\"; filename*=UTF-8''%C3%A9%20%22x%22.html",
        ),
    ] {
        assert_eq!(answer.header(name), want, "{name}");
    }
    assert!(answer.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn a_single_range_is_honoured() {
    let server = Server::start().await;
    let id = container(&server).await;
    let file = put(&server, &id, Form::new().file("file", "f", "0123456789")).await;
    let path = format!("/v1/containers/{id}/files/{}/content", text(&file, "id"));
    let part = server.get(&path).header("range", "bytes=2-4").send().await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"234"[..]));
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 2-4/10", "3"));
    let beyond = server.get(&path).header("range", "bytes=10-").send().await;
    assert_eq!(
        failure(&beyond),
        "416 invalid_request_error - -: The range is not within the 10 bytes of the file."
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_404_and_never_a_200() {
    let server = Server::start().await;
    let id = container(&server).await;
    let absent = format!("cfile_{}", "0".repeat(32));
    for file in [absent.as_str(), "cfile_x", "a%2Fb", "%00", "%ff"] {
        let answer = server.get(&format!("/v1/containers/{id}/files/{file}/content")).send().await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(failure(&answer).starts_with("404 invalid_request_error - -: File "), "{}", failure(&answer));
    }
}

#[tokio::test]
async fn a_file_that_became_a_link_is_not_followed() {
    let server = Server::start().await;
    let id = container(&server).await;
    server.guest.plant(core_id(&id), "/mnt/data/a", "mine");
    let files = format!("/v1/containers/{id}/files");
    let file = column(&got(&server, &files, "ContainerFileListResource").await, "id")[0].clone();
    server.guest.plant_link(core_id(&id), "/mnt/data/a", "/etc/hostname");
    let answer = server.get(&format!("{files}/{file}/content")).send().await;
    assert_eq!(
        failure(&answer),
        format!("404 invalid_request_error - -: File {file} not found on container {id}.")
    );
    // Between the look at the tree and the read it may become one as well: the core refuses that too.
    let admin = server.admin().await;
    let read =
        server.services.catalogue.read(&admin, core_id(&id), entry_id(&file), Default::default()).await;
    assert!(matches!(read, Err(lazaret_core::Error::NotFound { .. })));
}
