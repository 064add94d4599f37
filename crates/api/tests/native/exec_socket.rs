//! `GET .../exec/ws`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::support::{ADMIN_KEY, DEADLINE, Server, eventually};
use crate::{at, sandbox};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr, id: &str, key: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}{}", at(id, "/exec/ws")).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn open(server: &Server, first: Value) -> Socket {
    let id = sandbox(server).await;
    let address = server.listen().await;
    let mut socket = connect(address, &id, ADMIN_KEY).await.expect("the upgrade");
    socket.send(Message::text(first.to_string())).await.unwrap();
    socket
}

/// The next message that is not a ping: JSON, or a stream's number and its bytes.
async fn next(socket: &mut Socket) -> Result<Value, (u8, String)> {
    loop {
        let message = tokio::time::timeout(DEADLINE, socket.next()).await.expect("a message comes");
        match message.expect("no end").expect("no error") {
            Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
            Message::Binary(bytes) => {
                return Err((bytes[0], String::from_utf8_lossy(&bytes[1..]).into_owned()));
            }
            Message::Close(_) => return Ok(json!("close")),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

const STARTED: &str = r#"{"type":"started","pid":7}"#;

fn started() -> Result<Value, (u8, String)> {
    Ok(serde_json::from_str(STARTED).unwrap())
}

#[tokio::test]
async fn output_comes_with_its_stream_and_then_the_exit() {
    let server = Server::start().await;
    let mut socket = open(&server, json!({"command": ["fail", "oh"]})).await;
    assert_eq!(next(&mut socket).await, started());
    assert_eq!(next(&mut socket).await, Err((2, "oh\n".to_owned())));
    let exited = json!({"type": "exited", "exit_code": 3, "signal": null, "duration_ms": 9,
        "truncated": false, "timed_out": false, "oom": false});
    assert_eq!(next(&mut socket).await, Ok(exited));
    assert_eq!(next(&mut socket).await, Ok(json!("close")));
}

#[tokio::test]
async fn input_streams_until_its_end() {
    let server = Server::start().await;
    let mut socket =
        open(&server, json!({"command": ["cat"], "stdin": "first ", "stdin_stream": true})).await;
    assert_eq!(next(&mut socket).await, started());
    assert_eq!(next(&mut socket).await, Err((1, "first ".to_owned())));
    socket.send(Message::binary(b"second".to_vec())).await.unwrap();
    assert_eq!(next(&mut socket).await, Err((1, "second".to_owned())));
    socket.send(Message::text(r#"{"type":"stdin_end"}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap()["exit_code"], 0);
}

#[tokio::test]
async fn a_terminal_is_resized_and_signalled() {
    let server = Server::start().await;
    let mut socket = open(&server, json!({"command": ["size"], "tty": {"rows": 24, "cols": 80}})).await;
    assert_eq!(next(&mut socket).await, started());
    assert_eq!(next(&mut socket).await, Err((1, "24 80\n".to_owned())));
    socket.send(Message::text(r#"{"type":"resize","rows":50,"cols":132}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await, Err((1, "50 132\n".to_owned())));
    socket.send(Message::text(r#"{"type":"signal","signal":2}"#)).await.unwrap();
    let exited = next(&mut socket).await.unwrap();
    assert_eq!((&exited["exit_code"], &exited["signal"]), (&Value::Null, &json!(2)));
}

#[tokio::test]
async fn a_socket_that_closes_kills_the_process() {
    let server = Server::start().await;
    let mut socket = open(&server, json!({"command": ["sleep"]})).await;
    assert_eq!(next(&mut socket).await, started());
    assert_eq!(server.guest.running(), 1);
    drop(socket);
    eventually("the process is killed", || server.guest.running() == 0).await;
}

/// Over a pipe in memory, whose time can be moved: time waits for the kernel's sockets to no purpose.
#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_gone_and_one_that_does_stays() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.get("/lazaret/v1/server").send().await.expect(200);
    tokio::time::pause();
    for answers in [true, false] {
        let (client, host) = tokio::io::duplex(64 * 1024);
        let service = TowerToHyperService::new(server.router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(host), service).with_upgrades();
        let connection = tokio::spawn(connection);
        let mut request = format!("ws://lazaret{}", at(&id, "/exec/ws")).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {ADMIN_KEY}").parse().unwrap());
        let (mut socket, _) = client_async(request, client).await.expect("the upgrade");
        socket.send(Message::text(json!({"command": ["sleep"]}).to_string())).await.unwrap();
        let reads = async {
            while answers && socket.next().await.is_some() {}
            std::future::pending::<()>().await;
        };
        let five_minutes = tokio::time::timeout(Duration::from_secs(300), reads);
        let _ = five_minutes.await.expect_err("reading goes on");
        assert_eq!(server.guest.running(), usize::from(answers), "the client answers: {answers}");
        drop(socket);
        connection.await.expect("no panic").expect("no error");
        eventually("the process is killed", || server.guest.running() == 0).await;
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_before_the_close() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let address = server.listen().await;
    for (first, second, code, field) in [
        (json!({"command": ["nothere"]}).to_string(), None, "exec_failed", Value::Null),
        ("{".to_owned(), None, "malformed", Value::Null),
        (json!({"command": []}).to_string(), None, "invalid", json!("command")),
        (json!({"command": ["true"], "background": true}).to_string(), None, "invalid", json!("background")),
        (
            json!({"command": ["cat"], "tty": {"rows": 1, "cols": 1, "term": ""}}).to_string(),
            None,
            "invalid",
            json!("tty.term"),
        ),
        (
            json!({"command": ["sleep"]}).to_string(),
            Some(Message::binary(b"x".to_vec())),
            "malformed",
            Value::Null,
        ),
        (
            json!({"command": ["sleep"]}).to_string(),
            Some(Message::text(r#"{"type":"signal","signal":65}"#)),
            "invalid",
            json!("signal"),
        ),
    ] {
        let mut socket = connect(address, &id, ADMIN_KEY).await.expect("the upgrade");
        socket.send(Message::text(first.clone())).await.unwrap();
        if let Some(second) = second {
            assert_eq!(next(&mut socket).await, started());
            socket.send(second).await.unwrap();
        }
        let told = next(&mut socket).await.expect("text");
        assert_eq!(
            (&told["type"], &told["error"]["code"], &told["error"]["field"]),
            (&json!("error"), &json!(code), &field),
            "{first}"
        );
        assert_eq!(next(&mut socket).await, Ok(json!("close")), "{first}");
    }
    eventually("nothing runs on", || server.guest.running() == 0).await;
}

#[tokio::test]
async fn an_upgrade_is_refused_with_a_status_while_there_can_be_one() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let stranger = server.other_account("stranger").await;
    let address = server.listen().await;
    for (id, key, want) in [
        (id.as_str(), "no", 401),
        (id.as_str(), stranger.as_str(), 404),
        ("68a00000-0000-8000-8000-0000000000ff", ADMIN_KEY, 404),
    ] {
        match connect(address, id, key).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), want),
            other => panic!("{other:?}"),
        }
    }
    let plain = server.get(&at(&id, "/exec/ws")).send().await;
    assert_eq!(plain.json()["error"]["code"], "malformed");
}
