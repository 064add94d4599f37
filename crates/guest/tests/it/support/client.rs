//! A blocking client for one connection.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use lazaret_protocol::host_message::{Resize, Signal};
use lazaret_protocol::{
    Decoder, Exited, Failure, GuestKind, GuestMessage, HostMessage, Request, RequestBody,
};

use super::{Event, PATIENCE};

/// The end of an exec and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exited: Exited,
}

pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    decoder: Decoder<GuestKind>,
    events: VecDeque<Event>,
}

impl Client {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout on a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout on a socket");
        Self { stream, decoder: Decoder::new(), events: VecDeque::new() }
    }

    /// Sends a message; whether the guest still took it.
    pub(crate) fn try_send(&mut self, message: &HostMessage<'_>) -> bool {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("a message within the limits");
        self.stream.write_all(&bytes).is_ok()
    }

    pub(crate) fn send(&mut self, message: &HostMessage<'_>) {
        assert!(self.try_send(message), "the guest closed the connection before {message:?}");
    }

    pub(crate) fn request(&mut self, body: RequestBody) {
        self.send(&HostMessage::Request(Request::new(body)));
    }

    pub(crate) fn signal(&mut self, number: i32) {
        self.send(&HostMessage::Signal(Signal { number: number.unsigned_abs() }));
    }

    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.send(&HostMessage::Resize(Resize { rows, columns }));
    }

    /// The next event; `None` when the guest has closed the connection.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let mut buffer = vec![0; 256 * 1024];
        while self.events.is_empty() {
            let received = match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the guest says nothing: {error}"),
            };
            let mut input = &buffer[..received];
            while let Some(frame) = self.decoder.next(&mut input).expect("frames of the protocol") {
                self.events.push_back(GuestMessage::decode(frame).expect("a message").into());
            }
        }
        self.events.pop_front()
    }

    /// The next event, which there must be.
    pub(crate) fn expect(&mut self) -> Event {
        self.next().expect("the guest closed the connection")
    }

    pub(crate) fn expect_started(&mut self) -> u32 {
        match self.expect() {
            Event::Started(pid) => pid,
            other => panic!("not started: {other:?}"),
        }
    }

    pub(crate) fn expect_done(&mut self) {
        assert_eq!(self.expect(), Event::Done);
        assert_eq!(self.next(), None);
    }

    pub(crate) fn expect_failure(&mut self) -> Failure {
        loop {
            match self.expect() {
                Event::Failure(failure) => return failure,
                Event::Stdout(_) | Event::Stderr(_) | Event::Data(_) | Event::Metadata(_) => {}
                other => panic!("no failure: {other:?}"),
            }
        }
    }

    /// Reads standard output until it contains `wanted`; everything read so far.
    pub(crate) fn read_until(&mut self, wanted: &str) -> String {
        let mut text = String::new();
        while !text.contains(wanted) {
            match self.expect() {
                Event::Stdout(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} instead of {wanted:?} after {text:?}"),
            }
        }
        text
    }

    /// Everything up to the end of an exec, and that nothing follows.
    pub(crate) fn finish(&mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exited = loop {
            match self.expect() {
                Event::Stdout(bytes) => stdout.extend(bytes),
                Event::Stderr(bytes) => stderr.extend(bytes),
                Event::Exited(exited) => break exited,
                other => panic!("{other:?} within the output"),
            }
        };
        assert_eq!(self.next(), None);
        Output { stdout: lossy(&stdout), stderr: lossy(&stderr), exited }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
