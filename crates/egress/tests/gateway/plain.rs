//! Other ports, networks, and how many connections there may be.

use lazaret_core::ports::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{HOST_A, HOST_B, NEIGHBOUR, SANDBOX, STRANGER, World, exchange, id, list, soon, to};

#[tokio::test]
async fn a_port_of_its_own_is_open_at_the_addresses_that_the_name_was_given() {
    let world = World::with_list(&["git.example:22"], &[]).await;
    world.name("git.example", &[HOST_A]);
    let host = world.host(HOST_A, 22).await;
    let early = world.connect(SANDBOX, to(HOST_A, 22)).await;
    assert_eq!(exchange(early, b"before the name was asked for").await, b"");
    assert_eq!(world.resolve(SANDBOX, "git.example.").await, Ok(vec![HOST_A.into()]));
    for (address, port) in [(HOST_B, 22), (HOST_A, 2222), (HOST_A, 443), (HOST_A, 853)] {
        let refused = world.connect(SANDBOX, to(address, port)).await;
        assert_eq!(exchange(refused, b"elsewhere").await, b"", "{address}:{port}");
    }
    let mut client = world.connect(SANDBOX, to(HOST_A, 22)).await;
    let (mut server, _) = soon(host.accept()).await.unwrap();
    server.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    let mut banner = [0; 14];
    soon(client.read_exact(&mut banner)).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0-test\r\n");
    client.write_all(b"hello").await.unwrap();
    soon(server.read_exact(&mut banner[..5])).await.unwrap();
    let usage = world.gateway.usage(id(SANDBOX));
    assert_eq!((usage.sent_bytes, usage.received_bytes, usage.connections), (5 + 9, 14, 1));
    assert_eq!(usage.denied, 5);
    // What one was told is nobody else's.
    world.admit(NEIGHBOUR, list(&["git.example:22"], &[])).await;
    let other = world.connect(NEIGHBOUR, to(HOST_A, 22)).await;
    assert_eq!(exchange(other, b"hearsay").await, b"");
}

#[tokio::test]
async fn an_allowed_network_is_reached_on_any_port_and_nothing_beside_it() {
    let world = World::with_list(&[], &["93.184.215.1/32", "10.0.0.0/8"]).await;
    let host = world.host(HOST_A, 80).await;
    let inside = world.host([10, 0, 0, 1], 80).await;
    let mut client = world.connect(SANDBOX, to(HOST_A, 80)).await;
    client.write_all(b"not http").await.unwrap();
    let (mut server, _) = soon(host.accept()).await.unwrap();
    let mut heard = [0; 8];
    soon(server.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"not http");
    for address in [HOST_B, [10, 0, 0, 1].into()] {
        let refused = world.connect(SANDBOX, to(address, 81)).await;
        assert_eq!(exchange(refused, b"x").await, b"", "{address}");
    }
    assert!(tokio::time::timeout(std::time::Duration::ZERO, inside.accept()).await.is_err(), "nobody came");
}

#[tokio::test]
async fn a_stranger_is_carried_nowhere_and_a_connection_too_many_neither() {
    let world = World::with_list(&[], &["93.184.215.1/32"]).await;
    world.admit(NEIGHBOUR, list(&[], &["93.184.215.1/32"])).await;
    let host = world.host(HOST_A, 7).await;
    let stranger = world.connect(STRANGER, to(HOST_A, 7)).await;
    assert_eq!(exchange(stranger, b"x").await, b"");
    let mut held = Vec::new();
    for _ in 0..256 {
        let client = world.connect(SANDBOX, to(HOST_A, 7)).await;
        held.push((client, soon(host.accept()).await.unwrap()));
    }
    let refused = world.connect(SANDBOX, to(HOST_A, 7)).await;
    assert_eq!(exchange(refused, b"x").await, b"");
    assert_eq!(world.denied(1).await, ["93.184.215.1:7: too many connections x1"]);
    let _neighbour = world.connect(NEIGHBOUR, to(HOST_A, 7)).await;
    soon(host.accept()).await.unwrap();
}
