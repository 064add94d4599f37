//! Port 80.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{HOST_A, HOST_B, SANDBOX, World, exchange, soon, to};

/// A host that answers every request with its head, and never closes.
async fn echo_heads(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            while let Some(head) = read_head(&mut stream).await {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// Bytes up to an empty line; `None` at the end.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

async fn world() -> World {
    let world = World::with_list(&["a.example", "*.b.example"], &[]).await;
    for (name, address) in [("a.example", HOST_A), ("x.b.example", HOST_B), ("evil.example", HOST_B)] {
        world.name(name, &[address]);
    }
    tokio::spawn(echo_heads(world.host(HOST_A, 80).await));
    tokio::spawn(echo_heads(world.host(HOST_B, 80).await));
    world
}

async fn say(world: &World, address: Ipv4Addr, said: &str) -> String {
    let client = world.connect(SANDBOX, to(address, 80)).await;
    String::from_utf8(exchange(client, said.as_bytes()).await).unwrap()
}

#[tokio::test]
async fn a_request_goes_to_the_host_that_it_names_and_so_does_the_next() {
    let world = world().await;
    let said = "GET /one HTTP/1.1\r\nHost: A.example\r\nX-Kept: 1\r\nProxy-Connection: x\r\n\r\n\
                GET http://x.b.example/two?q HTTP/1.1\r\nHost: x.b.example\r\nConnection: close\r\n\r\n";
    let answer = say(&world, HOST_B, said).await;
    assert!(answer.contains("GET /one HTTP/1.1\r\nHost: A.example\r\nX-Kept: 1\r\n\r\n"), "{answer}");
    assert!(answer.contains("GET /two?q HTTP/1.1\r\nHost: x.b.example\r\n\r\n"), "{answer}");
    assert!(!answer.contains("Proxy-Connection"), "{answer}");
}

#[tokio::test]
async fn a_later_request_on_an_allowed_connection_is_judged_like_the_first() {
    let world = world().await;
    let said = "GET /one HTTP/1.1\r\nHost: a.example\r\n\r\nGET /two HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let answer = say(&world, HOST_A, said).await;
    assert!(answer.contains("GET /one") && !answer.contains("GET /two"), "{answer}");
    assert!(answer.contains("HTTP/1.1 403 Forbidden"), "{answer}");
    assert!(answer.contains("name not allowed: evil.example"), "{answer}");
    assert_eq!(world.denied(1).await, ["evil.example: name not allowed x1"]);
}

#[tokio::test]
async fn what_does_not_name_one_allowed_host_is_refused() {
    let world = world().await;
    let cases = [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "evil.example: name not allowed"),
        ("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 403, "b.example: name not allowed"),
        (
            "GET / HTTP/1.1\r\nHost: a.example.evil.example\r\n\r\n",
            403,
            "a.example.evil.example: name not allowed",
        ),
        ("GET / HTTP/1.1\r\nHost: 93.184.215.1\r\n\r\n", 403, "93.184.215.1: name not allowed"),
        (
            "GET / HTTP/1.1\r\nHost: [::ffff:93.184.215.1]\r\n\r\n",
            403,
            "[::ffff:93.184.215.1]: name not allowed",
        ),
        ("GET / HTTP/1.1\r\nHost: 0x5db8d701\r\n\r\n", 403, "0x5db8d701: name not allowed"),
        (
            "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
            400,
            "a.example:8080: host contradicts the request",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nHost: evil.example\r\n\r\n",
            400,
            "93.184.215.1:80: no single host",
        ),
        ("GET / HTTP/1.0\r\n\r\n", 400, "93.184.215.1:80: no single host"),
        (
            "GET http://evil.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            400,
            "http://evil.example/ with host a.example: host contradicts the request",
        ),
        (
            "CONNECT evil.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
            400,
            "evil.example:443: connect method",
        ),
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "a.example:443: connect method"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, "93.184.215.1:80: not http"),
        ("GET / HTTP/1.1\r\nHost: a.example\0.evil.example\r\n\r\n", 400, "93.184.215.1:80: not http"),
        ("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", 400, "93.184.215.1:80: not http"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "93.184.215.1:80: not http"),
    ];
    for (said, status, why) in cases {
        let answer = say(&world, HOST_A, said).await;
        // Without a version to answer in, a connection that speaks another protocol is only closed.
        let refused = answer.starts_with(&format!("HTTP/1.1 {status} "))
            || answer.starts_with(&format!("HTTP/1.0 {status} "))
            || (answer.is_empty() && why.ends_with("not http"));
        assert!(refused, "{said:?}: {answer}");
    }
    let mut want: BTreeMap<&str, u32> = BTreeMap::new();
    cases.iter().for_each(|(_, _, why)| *want.entry(why).or_default() += 1);
    let want: Vec<_> = want.iter().map(|(why, count)| format!("{why} x{count}")).collect();
    assert_eq!(world.denied(cases.len() as u64).await, want);
}

#[tokio::test]
async fn a_request_that_two_readers_would_split_differently_leaves_as_one() {
    let world = World::with_list(&["a.example"], &[]).await;
    world.name("a.example", &[HOST_A]);
    let host = world.host(HOST_A, 80).await;
    let said = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                2e\r\nGET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n\r\n0\r\n\r\n";
    let mut client = world.connect(SANDBOX, to(HOST_A, 80)).await;
    client.write_all(said.as_bytes()).await.unwrap();
    let (mut server, _) = soon(host.accept()).await.unwrap();
    let head = soon(read_head(&mut server)).await.unwrap().to_lowercase();
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    // The body is framed as one chunk of 46 bytes: what is in it is nobody's request.
    let mut size = [0; 4];
    soon(server.read_exact(&mut size)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&size).to_lowercase(), "2e\r\n");
}

#[tokio::test]
async fn a_connection_may_become_a_websocket_and_nothing_else() {
    let world = World::with_list(&["a.example"], &[]).await;
    world.name("a.example", &[HOST_A]);
    let host = world.host(HOST_A, 80).await;
    let mut client = world.connect(SANDBOX, to(HOST_A, 80)).await;
    let upgrade = |to: &str| {
        format!("GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, x\r\nUpgrade: {to}\r\n\r\n")
    };
    client.write_all(upgrade("websocket").as_bytes()).await.unwrap();
    let (mut server, _) = soon(host.accept()).await.unwrap();
    let head = soon(read_head(&mut server)).await.unwrap().to_lowercase();
    assert!(head.contains("upgrade: websocket"), "{head}");
    server
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        )
        .await
        .unwrap();
    let head = soon(read_head(&mut client)).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut frame = [0; 5];
    soon(client.read_exact(&mut frame)).await.unwrap();
    client.write_all(b"world").await.unwrap();
    soon(server.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame, b"world");

    let mut client = world.connect(SANDBOX, to(HOST_A, 80)).await;
    client.write_all(upgrade("h2c").as_bytes()).await.unwrap();
    let (mut server, _) = soon(host.accept()).await.unwrap();
    let head = soon(read_head(&mut server)).await.unwrap().to_lowercase();
    assert!(!head.contains("upgrade"), "{head}");
}
