//! `ANY /lazaret/v1/sandboxes/{id}/ports/{port}/{path}`: a server inside, asked from outside.

use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::{any, get, post};
use futures_util::{SinkExt, StreamExt, stream};
use lazaret_core::Scope;
use tokio_tungstenite::tungstenite;

use crate::sandbox;
use crate::support::Server;

/// What a tenant might run: it tells what it was asked, echoes bodies and messages, and sets what it should not.
async fn inside() -> u16 {
    let tell = |method: Method, uri: Uri, headers: HeaderMap| async move {
        let mut lines = vec![format!("{method} {uri}")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        let told = [
            ("set-cookie", "session=stolen; Path=/"),
            ("service-worker-allowed", "/"),
            ("content-security-policy", "default-src 'self'"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-inside", "kept"),
        ];
        (axum::http::StatusCode::IM_A_TEAPOT, told, lines.join("\n"))
    };
    let echo = |body: Body| async { body };
    let talk = |upgrade: WebSocketUpgrade| async {
        let upgrade = upgrade.protocols(["chat"]);
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                socket.send(Message::Text(format!("{text}, too").into())).await.unwrap();
            }
        })
    };
    let router = axum::Router::new().route("/echo", post(echo)).route("/talk", get(talk)).fallback(any(tell));
    serve(router).await
}

async fn serve(router: axum::Router) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_but_for_the_key_and_what_is_of_one_hop() {
    let server = Server::start().await;
    let (id, port) = (sandbox(&server).await, inside().await);
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let path = format!("/lazaret/v1/sandboxes/{id}/ports/{port}/a%2Fb//c?x=1&x=%20");
        let answer = server
            .call(method.clone(), &path)
            .header("cookie", "lazaret=mine")
            .header("te", "trailers")
            .header("x-mine", "kept")
            .send()
            .await;
        assert_eq!(answer.status, 418);
        let told = String::from_utf8(answer.body.to_vec()).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], format!("{method} /a%2Fb//c?x=1&x=%20"));
        assert!(lines.contains(&"x-mine: kept"), "{told}");
        assert!(lines.contains(&format!("host: localhost:{port}").as_str()), "{told}");
        let prefix = format!("x-forwarded-prefix: /lazaret/v1/sandboxes/{id}/ports/{port}");
        assert!(lines.contains(&prefix.as_str()), "{told}");
        for absent in ["authorization", "cookie", "te:", "Key"] {
            assert!(!told.contains(absent), "{absent}: {told}");
        }
        for absent in ["set-cookie", "service-worker-allowed", "x-hop"] {
            assert!(!answer.headers.contains_key(absent), "{absent}");
        }
        assert_eq!(answer.header("x-inside"), "kept");
        let policies: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
        assert_eq!(policies.len(), 2);
        assert!(policies.iter().any(|policy| policy.to_str().unwrap().starts_with("sandbox ")));
    }
    let root = server.get(&format!("/lazaret/v1/sandboxes/{id}/ports/{port}/")).send().await;
    assert!(root.body.starts_with(b"GET /\n"));
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let server = Server::start().await;
    let (id, port) = (sandbox(&server).await, inside().await);
    let path = format!("/lazaret/v1/sandboxes/{id}/ports/{port}/echo");
    let (sender, receiver) = tokio::sync::mpsc::channel::<&'static str>(1);
    let chunks = stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), receiver))
    });
    let answer = server.post(&path).body(Body::from_stream(chunks)).open().await;
    let mut answer = answer.into_body().into_data_stream();
    // Each is awaited before the next is sent.
    for chunk in ["one", "two"] {
        sender.send(chunk).await.unwrap();
        assert_eq!(answer.next().await.unwrap().unwrap(), chunk);
    }
    drop(sender);
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn a_websocket_passes_and_stays_open_until_a_side_closes_it() {
    let server = Server::start().await;
    let (id, port) = (sandbox(&server).await, inside().await);
    let address = server.listen().await;
    let url = format!("ws://{address}/lazaret/v1/sandboxes/{id}/ports/{port}/talk");
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(url).unwrap();
    let headers = request.headers_mut();
    headers.insert("authorization", "Bearer My API Key".parse().unwrap());
    headers.insert("sec-websocket-protocol", "chat".parse().unwrap());
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for text in ["hello", "again"] {
        socket.send(tungstenite::Message::text(text)).await.unwrap();
        let said = socket.next().await.unwrap().unwrap();
        assert_eq!(said, tungstenite::Message::text(format!("{text}, too")));
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn what_is_no_server_is_told_by_its_port_and_never_as_ours() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let ask =
        async |port: &str| server.get(&format!("/lazaret/v1/sandboxes/{id}/ports/{port}/")).send().await;

    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let refused = ask(&port).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["error"]["code"].clone()),
        (502, "port_closed".into())
    );

    // One that hangs up, and one that speaks something else.
    for words in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n"] {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, words).await.unwrap();
        });
        let failed = ask(&port).await;
        assert_eq!(failed.status, 502);
        assert_eq!(failed.json()["error"]["code"], "port_failed");
    }
    for port in ["0", "65536", "http"] {
        let answer = ask(port).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"]["field"].clone()),
            (400, "port".into()),
            "{port}"
        );
    }
}

#[tokio::test]
async fn a_port_needs_the_right_to_change_the_sandbox_and_a_sandbox_that_runs() {
    let server = Server::start().await;
    let (id, port) = (sandbox(&server).await, inside().await);
    let path = format!("/lazaret/v1/sandboxes/{id}/ports/{port}/");
    let reader = server.key_with(&[Scope::SandboxesRead]).await;
    assert_eq!(server.get(&path).key(&reader).send().await.status, 403);
    server.post(&format!("/lazaret/v1/sandboxes/{id}/stop")).send().await.expect(200);
    assert_eq!(server.get(&path).send().await.status, 409);
}
