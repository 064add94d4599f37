//! Ports inside: bytes pass in both directions as they are, and an end in one is an end in that one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};

use lazaret_protocol::{Dial, ErrorKind, RequestBody};

use crate::support::{Event, PATIENCE, Sandbox};

fn listen(address: &str) -> (TcpListener, RequestBody) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, RequestBody::Dial(Dial { port }))
}

#[test]
fn a_megabyte_each_way_at_once_and_the_end_of_either_is_passed_on() {
    const MANY: usize = 1024 * 1024;
    let sandbox = Sandbox::start();
    for address in ["127.0.0.1", "::1"] {
        let (listener, dial) = listen(address);
        let mut client = sandbox.request(dial);
        assert_eq!(client.expect(), Event::Connected);
        let (mut inside, _) = listener.accept().unwrap();
        inside.set_read_timeout(Some(PATIENCE)).unwrap();

        let mut outward = client.stream.try_clone().unwrap();
        let host = std::thread::spawn(move || {
            outward.write_all(&vec![b'h'; MANY]).unwrap();
            outward.shutdown(Shutdown::Write).unwrap();
        });
        let mut sender = inside.try_clone().unwrap();
        let port = std::thread::spawn(move || sender.write_all(&vec![b'p'; MANY]).unwrap());
        let mut got = Vec::new();
        inside.read_to_end(&mut got).unwrap();
        assert!(got.len() == MANY && got.iter().all(|byte| *byte == b'h'));
        host.join().unwrap();
        port.join().unwrap();
        // The host has said all; it still hears.
        inside.write_all(b"last").unwrap();
        drop(inside);
        let mut got = Vec::new();
        client.stream.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), MANY + 4);
        assert!(got.ends_with(b"plast"));
    }
}

#[test]
fn a_port_without_a_listener_is_refused_by_name() {
    let sandbox = Sandbox::start();
    let (listener, dial) = listen("127.0.0.1");
    drop(listener);
    let failure = sandbox.request(dial).expect_failure();
    assert_eq!(failure.kind, ErrorKind::ConnectionRefused);
}

#[test]
fn a_host_that_goes_ends_the_connection_inside_even_if_nothing_is_said_there() {
    let sandbox = Sandbox::start();
    let (listener, dial) = listen("127.0.0.1");
    let mut client = sandbox.request(dial);
    assert_eq!(client.expect(), Event::Connected);
    let (mut inside, _) = listener.accept().unwrap();
    inside.set_read_timeout(Some(PATIENCE)).unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(inside.read(&mut [0; 8]).unwrap(), 0, "the host has said all");
    drop(client);
    // The guest lets go of the port: what is written there is answered with a reset, sooner or later.
    crate::support::until("the guest closes the port", || inside.write_all(b"x").is_err().then_some(()));
}
