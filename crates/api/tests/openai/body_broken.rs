//! Bodies that end early, never end, or are larger than they may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use lazaret_core::limits;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::form::Form;
use crate::support::{ADMIN_KEY, DEADLINE, Server, eventually};
use crate::{container, core_id, failure, got, tree};

fn head(path: &str, length: &str) -> String {
    let media_type = Form::media_type();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: {media_type}\r\n\
         {length}\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_wherever_it_does() {
    let server = Server::start().await;
    let id = container(&server).await;
    let whole = Form::new().text("purpose", "user_data").file("file", "a", "hello").text("x", "y").finished();
    for path in ["/v1/files".to_owned(), format!("/v1/containers/{id}/files")] {
        for end in (0..whole.len() - 2).step_by(7) {
            let part = Bytes::copy_from_slice(&whole[..end]);
            // One that ends too early, and one that is cut off.
            let short = Body::from(part.clone());
            let cut = Body::from_stream(stream::iter([Ok(part), Err(std::io::Error::other("reset"))]));
            for body in [short, cut] {
                let call = server.post(&path).header("content-type", &Form::media_type()).body(body);
                let said = failure(&call.send().await);
                assert!(
                    said.starts_with("400 invalid_request_error - -: The request body "),
                    "{end}: {said}"
                );
            }
        }
    }
    eventually("nothing is left", || !server.guest.has_staged(core_id(&id))).await;
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
    assert_eq!(got(&server, "/v1/files", "ListFilesResponse").await["data"], json!([]));
    eventually("no content is left", || server.blob_files() == 0).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_half_way_leaves_nothing() {
    let server = Server::start().await;
    let id = container(&server).await;
    let address = server.listen().await;
    let files = format!("/v1/containers/{id}/files");
    // In the middle of the file, and behind it.
    let most = Form::new().file("file", "a", &"x".repeat(1000)).text("x", "y").unfinished();
    for sent in [&most[..600], &most[..]] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(head(&files, "Content-Length: 5000").as_bytes()).await.unwrap();
        client.write_all(sent).await.unwrap();
        if sent.len() == most.len() {
            eventually("the file is inside", || server.guest.has_staged(core_id(&id))).await;
        }
        drop(client);
        eventually("nothing is left", || !server.guest.has_staged(core_id(&id))).await;
    }
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
    let list = got(&server, &files, "ContainerFileListResource").await;
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn a_chunked_upload_is_taken() {
    let server = Server::start().await;
    let id = container(&server).await;
    let address = server.listen().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = head(&format!("/v1/containers/{id}/files"), "Transfer-Encoding: chunked");
    client.write_all(request.as_bytes()).await.unwrap();
    // One byte each, so that every boundary is cut everywhere.
    for byte in Form::new().file("file", "up.csv", "a,b\r\n--x\r\n").text("file_path", "up.csv").finished() {
        client.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']).await.unwrap();
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"bytes\":10"), "{answer}");
    assert_eq!(tree(&server, &id).await, ["/mnt/data/up.csv"]);
}

#[tokio::test]
async fn a_form_that_says_it_is_too_large_is_refused_before_it_comes() {
    let server = Server::start().await;
    let id = container(&server).await;
    let address = server.listen().await;
    let too_large = limits::UPLOAD_MAX_BYTES + 2 * 1024 * 1024;
    for path in ["/v1/files".to_owned(), format!("/v1/containers/{id}/files")] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = head(&path, &format!("Content-Length: {too_large}"));
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(DEADLINE, client.read_to_string(&mut answer)).await;
        read.expect("an answer without a body having been sent").unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 413 ")
                && answer.contains("The file is too large: at most 536870912"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_head_of_a_part_that_never_ends_is_not_collected() {
    let server = Server::start().await;
    let id = container(&server).await;
    let start = Form::new().text("x", "y").unfinished();
    let begin = [&start[..], b"------lazaret7MA4YWxkTrZu0gW\r\nX-Endless: "].concat();
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let endless =
        stream::iter(std::iter::once(Bytes::from(begin)).chain(std::iter::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Bytes::from(vec![b'x'; 64 * 1024])
        })));
    let body = Body::from_stream(futures_util::StreamExt::map(endless, Ok::<_, std::io::Error>));
    let call = server.post(&format!("/v1/containers/{id}/files")).header("content-type", &Form::media_type());
    let said = failure(&call.body(body).send().await);
    assert!(
        said.starts_with("400 invalid_request_error - -: The request body has a part whose head"),
        "{said}"
    );
    assert!(given.load(Ordering::Relaxed) <= 20, "it took {} chunks", given.load(Ordering::Relaxed));
}
