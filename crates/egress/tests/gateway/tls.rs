//! Port 443.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{HOST_A, HOST_B, SANDBOX, World, exchange, soon, to};

/// Alert "access denied", fatal, in its record.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
/// Alert "internal error", the same way.
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// What rustls says first to a host.
fn hello_to(host: &'static str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host).unwrap();
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn the_handshake_goes_to_the_host_that_it_names_wherever_it_was_sent() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.name("example.com", &[HOST_A]);
    let (host, elsewhere) = (world.host(HOST_A, 443).await, world.host(HOST_B, 443).await);
    let hello = hello_to("Example.COM");
    let mut client = world.connect(SANDBOX, to(HOST_B, 443)).await;
    client.write_all(&hello).await.unwrap();
    let (mut server, _) = soon(host.accept()).await.unwrap();
    let mut heard = vec![0; hello.len()];
    soon(server.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, hello, "to the letter");

    // Each end says that it has no more in its own time.
    client.write_all(b"more").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(server.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"more");
    server.write_all(b"a late answer").await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    soon(client.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"a late answer");
    drop(elsewhere);
}

#[tokio::test]
async fn a_handshake_for_another_name_or_for_none_is_told_so_and_goes_nowhere() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.name("example.com", &[HOST_A]);
    world.name("evil.net", &[HOST_B]);
    let host = world.host(HOST_A, 443).await;
    // An address in place of a name is left out of a hello.
    for name in ["evil.net", "example.com.evil.net", "sub.example.com", "93.184.215.1"] {
        let client = world.connect(SANDBOX, to(HOST_A, 443)).await;
        assert_eq!(exchange(client, &hello_to(name)).await, ACCESS_DENIED, "{name}");
    }
    let client = world.connect(SANDBOX, to(HOST_A, 443)).await;
    assert_eq!(exchange(client, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await, b"");
    let want = [
        "93.184.215.1:443: no server name x1",
        "93.184.215.1:443: not tls x1",
        "evil.net:443: name not allowed x1",
        "example.com.evil.net:443: name not allowed x1",
        "sub.example.com:443: name not allowed x1",
    ];
    assert_eq!(world.denied(5).await, want);
    // An accept that would be ready now would have been ready at the first look.
    assert!(tokio::time::timeout(std::time::Duration::ZERO, host.accept()).await.is_err(), "nobody came");
}

#[tokio::test]
async fn a_name_that_turned_private_is_not_dialled() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.name("example.com", &[[127, 0, 0, 1].into()]);
    let inside = world.host([127, 0, 0, 1], 443).await;
    let client = world.connect(SANDBOX, to(HOST_A, 443)).await;
    assert_eq!(exchange(client, &hello_to("example.com")).await, INTERNAL_ERROR);
    assert_eq!(world.denied(1).await, ["example.com: name of a private address x1"]);
    assert!(tokio::time::timeout(std::time::Duration::ZERO, inside.accept()).await.is_err(), "nobody came");
}
