//! Names.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use lazaret_core::ports::Gateway;
use lazaret_core::{EgressBounds, EgressPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};

use crate::world::{HOST_A, HOST_B, NEIGHBOUR, SANDBOX, STRANGER, World, id, list, query, soon};

#[tokio::test]
async fn an_allowed_name_has_its_addresses_and_no_look_alike_exists() {
    let world = World::with_list(&["example.com", "*.example.org"], &[]).await;
    for name in ["example.com", "example.org", "a.example.org", "notexample.com", "example.com.evil.net"] {
        world.name(name, &[HOST_A, HOST_B]);
    }
    let both = Ok(vec![IpAddr::from(HOST_A), IpAddr::from(HOST_B)]);
    for name in ["example.com.", "EXAMPLE.com.", "a.example.org.", "A.Example.ORG."] {
        assert_eq!(world.resolve(SANDBOX, name).await, both, "{name}");
    }
    for name in [
        "example.org.",
        "notexample.com.",
        "example.com.evil.net.",
        "xexample.org.",
        "com.",
        ".",
        "example.com^.evil.net.",
        "example!com.",
        "xn--exmple-cua.com.",
    ] {
        assert_eq!(world.resolve(SANDBOX, name).await, Err(ResponseCode::NXDomain), "{name}");
    }
    let denied = world.denied(9).await;
    assert!(denied.contains(&"notexample.com: name not allowed x1".to_owned()), "{denied:?}");
    assert_eq!(world.gateway.usage(id(SANDBOX)).denied, 9);
}

#[tokio::test]
async fn an_alias_is_followed_and_left_out() {
    let world = World::with_list(&["www.example.com"], &[]).await;
    world.alias("www.example.com", "edge.cdn.net");
    world.name("edge.cdn.net", &[HOST_A]);
    let reply = world.ask(SANDBOX, "www.example.com.", RecordType::A).await;
    let names: Vec<_> = reply.answers.iter().map(|record| record.name.to_ascii()).collect();
    assert_eq!(names, ["www.example.com."]);
    assert_eq!(world.resolve(SANDBOX, "edge.cdn.net.").await, Err(ResponseCode::NXDomain));
}

#[tokio::test]
async fn a_name_cannot_lead_inside() {
    let private = [[127, 0, 0, 1], [10, 0, 0, 5], [169, 254, 169, 254], [192, 168, 1, 1]].map(Ipv4Addr::from);
    let world =
        World::bounded(EgressBounds { domains: None, opened: vec!["10.0.0.0/24".parse().unwrap()] }).await;
    world.admit(SANDBOX, list(&["*.example.com"], &[])).await;
    world.admit(NEIGHBOUR, EgressPolicy::Internet).await;
    world.name("rebind.example.com", &private);
    world.name("inside.example.com", &private[2..]);
    world.name("self.example.com", &[HOST_B]);
    world.own(HOST_B);
    for sandbox in [SANDBOX, NEIGHBOUR] {
        // The one that the operator opened.
        assert_eq!(world.resolve(sandbox, "rebind.example.com.").await, Ok(vec![private[1].into()]));
        assert_eq!(world.resolve(sandbox, "inside.example.com.").await, Ok(vec![]));
        assert_eq!(world.resolve(sandbox, "self.example.com.").await, Ok(vec![]));
    }
    assert!(world.denied(4).await.contains(&"self.example.com: name of a private address x2".to_owned()));
}

#[tokio::test]
async fn other_records_are_for_those_who_may_reach_everything() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.admit(NEIGHBOUR, EgressPolicy::Internet).await;
    world.name("example.com", &[HOST_A]);
    world.text("example.com", "a tunnel");
    let code = async |sandbox, name, kind| {
        let reply = world.ask(sandbox, name, kind).await;
        (reply.metadata.response_code, reply.answers.len())
    };
    assert_eq!(code(SANDBOX, "example.com.", RecordType::TXT).await, (ResponseCode::Refused, 0));
    assert_eq!(code(NEIGHBOUR, "example.com.", RecordType::TXT).await, (ResponseCode::NoError, 1));
    assert_eq!(code(NEIGHBOUR, "example.com.", RecordType::ANY).await, (ResponseCode::Refused, 0));
    assert_eq!(code(NEIGHBOUR, "1.0.0.10.in-addr.arpa.", RecordType::PTR).await, (ResponseCode::NXDomain, 0));
    for sandbox in [SANDBOX, NEIGHBOUR] {
        // Neither has IPv6, and nobody is told how to go around the gateway.
        assert_eq!(code(sandbox, "example.com.", RecordType::AAAA).await, (ResponseCode::NoError, 0));
        assert_eq!(code(sandbox, "example.com.", RecordType::HTTPS).await, (ResponseCode::NoError, 0));
    }
}

#[tokio::test]
async fn a_stranger_hears_nothing_and_neither_does_one_who_was_dismissed() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.admit(NEIGHBOUR, EgressPolicy::Internet).await;
    world.name("example.com", &[HOST_A]);
    let stranger = UdpSocket::bind((STRANGER, 0)).await.unwrap();
    stranger.send_to(&query("example.com.", RecordType::A), world.dns_udp).await.unwrap();
    world.gateway.dismiss(id(NEIGHBOUR)).await;
    let dismissed = UdpSocket::bind((NEIGHBOUR, 0)).await.unwrap();
    dismissed.send_to(&query("example.com.", RecordType::A), world.dns_udp).await.unwrap();
    // Whoever came after them has been answered, so they have been passed over.
    assert_eq!(world.resolve(SANDBOX, "example.com.").await, Ok(vec![HOST_A.into()]));
    for socket in [stranger, dismissed] {
        let error = socket.try_recv(&mut [0; 512]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn names_are_answered_over_tcp_one_after_the_other() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.name("example.com", &[HOST_A]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((SANDBOX, 0).into()).unwrap();
    let mut stream = soon(socket.connect(world.dns_tcp)).await.unwrap();
    for (name, want) in [
        ("example.com.", ResponseCode::NoError),
        ("evil.net.", ResponseCode::NXDomain),
        ("example.com.", ResponseCode::NoError),
    ] {
        let query = query(name, RecordType::A);
        let length = u16::try_from(query.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).await.unwrap();
        let mut reply = vec![0; soon(stream.read_u16()).await.unwrap().into()];
        soon(stream.read_exact(&mut reply)).await.unwrap();
        assert_eq!(Message::from_vec(&reply).unwrap().metadata.response_code, want, "{name}");
    }
    // More than any query needs.
    stream.write_all(&60_000_u16.to_be_bytes()).await.unwrap();
    assert_eq!(soon(stream.read(&mut [0; 16])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_flood_of_queries_is_turned_away_and_the_neighbour_is_not() {
    let world = World::with_list(&["example.com"], &[]).await;
    world.admit(NEIGHBOUR, list(&["example.com"], &[])).await;
    world.name("example.com", &[HOST_A]);
    let mut codes = Vec::new();
    for _ in 0..300 {
        codes.push(world.resolve(SANDBOX, "example.com.").await);
    }
    let refused = codes.iter().filter(|code| **code == Err(ResponseCode::Refused)).count();
    assert_eq!(refused, 100, "after a burst of 200, with a clock that stands still");
    assert_eq!(world.resolve(NEIGHBOUR, "example.com.").await, Ok(vec![HOST_A.into()]));
    assert_eq!(world.denied(100).await, ["example.com.: too many queries x100"]);
    world.clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(world.resolve(SANDBOX, "example.com.").await, Ok(vec![HOST_A.into()]));
}
