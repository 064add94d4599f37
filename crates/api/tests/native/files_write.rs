//! `PUT .../files/{path}`.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncWriteExt;

use crate::support::{ADMIN_KEY, Server, eventually};
use crate::{at, core_id, sandbox};

#[tokio::test]
async fn a_written_file_is_read_back_byte_for_byte() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    let chunks: Vec<_> =
        bytes.chunks(7001).map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk))).collect();
    let path = at(&id, "/files/new/deep/file.bin?mode=0600");
    let entry = server.put(&path).body(Body::from_stream(stream::iter(chunks))).send().await.expect(200);
    assert_eq!((&entry["bytes"], &entry["mode"]), (&300_000.into(), &"0600".into()));
    let answer = server.get(&at(&id, "/files/new/deep/file.bin")).send().await;
    assert!(answer.body == bytes, "the content came back changed");
}

#[tokio::test]
async fn how_to_write_is_checked() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let mode = "400 invalid mode: mode: must be octal digits up to 7777";
    for (path, want) in [
        ("/files/x?mode=0888", mode),
        ("/files/x?mode=17777", mode),
        ("/files/x?mode=%2B1", mode),
        ("/files/a/b?parents=false", "422 file_failed -: /a/b: no such file or directory"),
        ("/files/etc", "422 file_failed -: /etc: is a directory"),
        ("/files/x?user=a%0Ab", "400 invalid user: user: is not a user name or id"),
    ] {
        assert_eq!(server.put(&at(&id, path)).body("x").send().await.native_error(), want, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_what_was_there() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/x", "before");
    let broken = stream::iter([Ok(Bytes::from("aft")), Err(std::io::Error::other("cut"))]);
    let answer = server.put(&at(&id, "/files/tmp/x")).body(Body::from_stream(broken)).send().await;
    assert_eq!(answer.native_error(), "400 invalid body: body: ended before it was complete");
    assert_eq!(server.get(&at(&id, "/files/tmp/x")).send().await.body, "before");
}

#[tokio::test]
async fn a_client_that_disconnects_half_way_leaves_nothing() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let address = server.listen().await;
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = at(&id, "/files/tmp/half");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\ncontent-length: 1000\r\n\r\nhalf"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    eventually("the write has begun", || server.guest.writing() == 1).await;
    drop(socket);

    eventually("the write is given up", || server.guest.writing() == 0).await;
    assert!(!server.guest.has(core_id(&id), "/tmp/half"));
    server.put(&path).body("whole").send().await.expect(200);
    assert_eq!(server.get(&path).send().await.body, "whole");
}
