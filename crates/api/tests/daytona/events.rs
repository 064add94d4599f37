//! Events over Socket.IO.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{ADMIN_KEY, DEADLINE, Server};
use crate::{failure, id_of, made};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(server: &Server) -> Socket {
    let address = server.listen().await;
    let url = format!("ws://{address}/api/socket.io/?EIO=4&transport=websocket&source=test");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
    let hello = text(&mut socket).await;
    let open: Value = serde_json::from_str(hello.strip_prefix('0').expect("an open packet")).unwrap();
    assert_eq!((&open["pingInterval"], &open["pingTimeout"]), (&json!(25_000), &json!(20_000)));
    socket
}

async fn text(socket: &mut Socket) -> String {
    let next = tokio::time::timeout(DEADLINE, socket.next()).await.expect("a message comes in time");
    match next {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn say(socket: &mut Socket, text: String) {
    socket.send(Message::Text(text.into())).await.expect("sent");
}

async fn connected(server: &Server, key: &str) -> Socket {
    let mut socket = open(server).await;
    say(&mut socket, format!("40{}", json!({"token": key}))).await;
    let answer = text(&mut socket).await;
    assert!(answer.starts_with("40{\"sid\":"), "{answer}");
    socket
}

/// Name and payload of the next event.
async fn event(socket: &mut Socket) -> (String, Value) {
    let text = text(socket).await;
    let event: Value = serde_json::from_str(text.strip_prefix("42").expect("an event")).unwrap();
    (event[0].as_str().unwrap().to_owned(), event[1].clone())
}

#[tokio::test]
async fn a_client_hears_of_its_sandboxes_from_creation_to_destruction() {
    let server = Server::start().await;
    let stranger = server.other_account("stranger").await;
    let mut socket = connected(&server, ADMIN_KEY).await;
    server.post("/api/sandbox").key(&stranger).json(&json!({"name": "theirs"})).send().await.expect(200);
    let id = id_of(&made(&server, json!({"name": "box"})).await);
    let (name, created) = event(&mut socket).await;
    assert_eq!(
        (name.as_str(), &created["id"], &created["name"]),
        ("sandbox.created", &json!(id), &json!("box"))
    );
    server.post("/api/sandbox/box/stop").send().await.expect(200);
    server.post("/api/sandbox/box/archive").send().await.expect(200);
    server.delete("/api/sandbox/box").send().await.expect(200);
    for (old, new) in [
        ("started", "stopping"),
        ("stopping", "stopped"),
        ("stopped", "archiving"),
        ("archiving", "archived"),
        ("archived", "destroyed"),
    ] {
        let (name, change) = event(&mut socket).await;
        assert_eq!(name, "sandbox.state.updated");
        assert_eq!((&change["oldState"], &change["newState"]), (&json!(old), &json!(new)));
        assert_eq!((&change["sandbox"]["id"], &change["sandbox"]["state"]), (&json!(id), &json!(new)));
    }
    say(&mut socket, "41".to_owned()).await;
    let last = tokio::time::timeout(DEADLINE, socket.next()).await.expect("it ends in time");
    assert!(matches!(last, Some(Ok(Message::Close(_)))), "{last:?}");
}

#[tokio::test]
async fn nobody_hears_anything_without_a_key_that_works() {
    let server = Server::start().await;
    for key in ["", "no", "bad\nkey"] {
        let mut socket = open(&server).await;
        say(&mut socket, format!("40{}", json!({"token": key}))).await;
        assert_eq!(text(&mut socket).await, r#"44{"message":"Unauthorized"}"#);
        let last = tokio::time::timeout(DEADLINE, socket.next()).await.expect("it ends in time");
        assert!(matches!(last, Some(Ok(Message::Close(_)))), "{last:?}");
    }
}

#[tokio::test]
async fn other_transports_are_refused_at_once() {
    let server = Server::start().await;
    for query in ["", "?EIO=4&transport=polling", "?EIO=3&transport=websocket"] {
        let answer = server.get(&format!("/api/socket.io/{query}")).no_key().send().await;
        let want = "400 Bad Request /api/socket.io/: events come by Engine.IO 4 over a WebSocket: \
                    EIO=4&transport=websocket";
        assert_eq!(failure(&answer), want);
    }
}
