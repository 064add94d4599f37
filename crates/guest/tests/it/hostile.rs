//! What comes over the socket when the host is wrong: PID 1 must not mind.

use std::io::Write;

use lazaret_protocol::limits::REQUEST_MAX;
use lazaret_protocol::{ErrorKind, Exec, HostMessage, Request, RequestBody};

use crate::support::{Event, Sandbox, exec, until};

fn assert_alive(sandbox: &Sandbox) {
    let mut client = sandbox.request(RequestBody::Hello);
    assert!(matches!(client.expect(), Event::Hello(_)));
}

#[test]
fn garbage_closes_the_connection_and_nothing_else() {
    let sandbox = Sandbox::start();
    let mut too_long = u32::try_from(REQUEST_MAX + 1).expect("fits").to_le_bytes().to_vec();
    too_long.push(1);
    let mut not_cbor = 5_u32.to_le_bytes().to_vec();
    not_cbor.extend(b"\x01hello");
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 4096],
        &too_long,
        &not_cbor,
        &[0; 5],
        b"\0\0\0\0\x03",
        b"\0\0\0\0\x84",
    ];
    for bytes in cases {
        let mut client = sandbox.connect();
        client.stream.write_all(bytes).expect("a socket that takes a little");
        assert_eq!(client.next(), None, "{bytes:?}");
        assert_alive(&sandbox);
    }
}

#[test]
fn half_a_request_and_then_nothing_does_no_harm() {
    let sandbox = Sandbox::start();
    let mut bytes = Vec::new();
    HostMessage::Request(Request::new(RequestBody::Hello)).encode(&mut bytes).expect("a small message");
    for cut in 0..bytes.len() {
        let mut client = sandbox.connect();
        client.stream.write_all(&bytes[..cut]).expect("a socket that takes a little");
    }
    assert_alive(&sandbox);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let sandbox = Sandbox::start();
    let mut bytes = Vec::new();
    HostMessage::Request(Request::new(RequestBody::Hello)).encode(&mut bytes).expect("a small message");
    let mut client = sandbox.connect();
    for byte in bytes {
        client.stream.write_all(&[byte]).expect("a socket that takes a byte");
    }
    assert!(matches!(client.expect(), Event::Hello(_)));
    assert_eq!(client.next(), None);
}

#[test]
fn a_message_out_of_place_ends_an_exec() {
    let sandbox = Sandbox::start();
    for message in
        [HostMessage::Commit, HostMessage::Data(b"x"), HostMessage::Request(Request::new(RequestBody::Hello))]
    {
        let mut client = sandbox.request(RequestBody::Exec(Box::new(exec(&["sleep", "1000"]))));
        let pid = client.expect_started();
        client.send(&message);
        assert_eq!(client.next(), None);
        sandbox.wait_until_gone(pid);
    }
}

#[test]
fn a_request_of_a_later_version_is_refused_by_name() {
    let sandbox = Sandbox::start();
    for request in [
        Request { version: 9, needs: 9, body: Some(RequestBody::Hello) },
        Request { version: 9, needs: 1, body: None },
        Request { version: 0, needs: 0, body: Some(RequestBody::Hello) },
    ] {
        let mut client = sandbox.connect();
        client.send(&HostMessage::Request(request));
        assert_eq!(client.expect_failure().kind, ErrorKind::Unsupported);
    }
    // A newer host that asks for nothing new is welcome.
    let mut client = sandbox.connect();
    client.send(&HostMessage::Request(Request { version: 9, needs: 1, body: Some(RequestBody::Hello) }));
    assert!(matches!(client.expect(), Event::Hello(_)));
}

#[test]
fn too_many_connections_are_refused_and_those_there_go_on() {
    let sandbox = Sandbox::start();
    let mut busy = Vec::new();
    let refused = loop {
        let cat = Exec { stdin: true, ..exec(&["cat"]) };
        let mut client = sandbox.connect();
        // One that is refused is told so and closed, perhaps before it has sent its request.
        let _ = client.try_send(&HostMessage::Request(Request::new(RequestBody::Exec(Box::new(cat)))));
        match client.expect() {
            Event::Started(_) => busy.push(client),
            Event::Failure(failure) => break failure,
            other => panic!("{other:?} instead of an answer"),
        }
        assert!(busy.len() < 1000, "there is no limit");
    };
    assert_eq!(refused.kind, ErrorKind::Busy);
    assert_eq!(busy.len(), 256);
    for client in &mut busy {
        client.signal(9);
        client.finish();
    }
    drop(busy);
    until("a free place", || {
        let mut client = sandbox.connect();
        let _ = client.try_send(&HostMessage::Request(Request::new(RequestBody::Hello)));
        matches!(client.expect(), Event::Hello(_)).then_some(())
    });
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let sandbox = Sandbox::start();
    let silent: Vec<_> = (0..50).map(|_| sandbox.connect()).collect();
    assert_alive(&sandbox);
    drop(silent);
    assert_alive(&sandbox);
}
