//! The hosts: each listens on every port of [`PORTS`], notes who came and what was said, and answers in its protocol.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::trust::Authority;
use super::{Visit, names};

/// TCP ports, and what is spoken there: HTTP, HTTP over TLS, or an echo.
const PORTS: [(u16, Protocol); 8] = [
    (22, Protocol::Echo),
    (53, Protocol::Echo),
    (80, Protocol::Http),
    (443, Protocol::Tls),
    (853, Protocol::Echo),
    (3128, Protocol::Http),
    (8080, Protocol::Http),
    (8443, Protocol::Tls),
];
/// UDP ports: names, QUIC, and names where nobody expects them. Datagrams are echoed, queries are answered.
const UDP_PORTS: [u16; 3] = [53, 443, 5353];

/// Longest that a host waits for a visitor to go on.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest head of a request, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy)]
enum Protocol {
    Http,
    Tls,
    Echo,
}

pub(super) struct Listeners {
    tcp: Vec<(TcpListener, Protocol)>,
    udp: Vec<UdpSocket>,
    resolver: UdpSocket,
}

type Visits = Arc<Mutex<Vec<Visit>>>;

/// Opens every port of every host, in the network of the calling thread.
pub(super) fn open(hosts: &[IpAddr], resolver: Ipv4Addr) -> Result<Listeners> {
    let mut listeners = Listeners {
        tcp: Vec::new(),
        udp: Vec::new(),
        resolver: UdpSocket::bind((resolver, 53)).context("listen for queries")?,
    };
    for host in hosts {
        for (port, protocol) in PORTS {
            let listener = TcpListener::bind((*host, port)).with_context(|| format!("listen at {host}"))?;
            listeners.tcp.push((listener, protocol));
        }
        for port in UDP_PORTS {
            let socket = UdpSocket::bind((*host, port)).with_context(|| format!("listen at {host}"))?;
            listeners.udp.push(socket);
        }
    }
    Ok(listeners)
}

/// Serves them, each in a thread that ends with the process.
pub(super) fn serve(listeners: Listeners, visits: &Visits, authority: &Arc<Authority>) {
    let tls = authority.settings();
    for (listener, protocol) in listeners.tcp {
        let (visits, tls) = (Arc::clone(visits), Arc::clone(&tls));
        thread::spawn(move || {
            while let Ok((stream, from)) = listener.accept() {
                let (visits, tls) = (Arc::clone(&visits), Arc::clone(&tls));
                // A visitor that goes away in the middle is nobody's failure.
                thread::spawn(move || welcome(stream, from, protocol, &tls, &visits).ok());
            }
        });
    }
    for socket in listeners.udp {
        let visits = Arc::clone(visits);
        thread::spawn(move || echo_datagrams(&socket, &visits));
    }
    thread::spawn(move || names::serve(&listeners.resolver));
}

/// Listens at an address of the calling thread's network and notes who connects.
pub(super) fn note_connections(at: SocketAddr, visits: &Visits) -> Result<()> {
    let listener = TcpListener::bind(at).with_context(|| format!("listen at {at}"))?;
    let visits = Arc::clone(visits);
    thread::spawn(move || {
        while let Ok((_, from)) = listener.accept() {
            note(&visits, at, from, String::new());
        }
    });
    Ok(())
}

fn note(visits: &Visits, to: SocketAddr, from: SocketAddr, said: String) {
    let visit = Visit { to, from: from.ip(), said };
    visits.lock().expect("no panic under this lock").push(visit);
}

fn welcome(
    stream: TcpStream,
    from: SocketAddr,
    protocol: Protocol,
    tls: &Arc<ServerConfig>,
    visits: &Visits,
) -> io::Result<()> {
    let to = stream.local_addr()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Noted before anything is said: that somebody came is what most tests ask.
    note(visits, to, from, String::new());
    match protocol {
        Protocol::Http => answer_request(stream, to, from, visits),
        Protocol::Tls => {
            let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
            answer_request(StreamOwned::new(session, stream), to, from, visits)
        }
        Protocol::Echo => {
            let mut stream = stream;
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => stream.write_all(&buffer[..count])?,
                }
            }
        }
    }
}

/// Where requests for paths that begin so are sent on to, over TLS: the host that follows.
const REDIRECTS: &str = "/to/";

/// Answers one request with the host's address and what was understood: `at 93.184.0.10:80: GET / for allowed.example`.
fn answer_request(
    mut stream: impl Read + Write,
    to: SocketAddr,
    from: SocketAddr,
    visits: &Visits,
) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX_BYTES {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let value = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let request = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let host = value("host").unwrap_or_default();
    let shown = value("authorization").map(|value| format!(" with {value}")).unwrap_or_default();
    let said = format!("{request} for {host}{shown}");
    note(visits, to, from, said.clone());
    let body = format!("at {to}: {said}\n");
    let length = body.len();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let status = match path.strip_prefix(REDIRECTS) {
        Some(host) => format!("302 Found\r\nLocation: https://{host}/"),
        None => "200 OK".to_owned(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
    stream.flush()
}

fn echo_datagrams(socket: &UdpSocket, visits: &Visits) {
    let Ok(to) = socket.local_addr() else { return };
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        note(visits, to, from, format!("{length} bytes"));
        let reply = names::answer(&buffer[..length]).unwrap_or_else(|| buffer[..length].to_vec());
        // Whoever has gone asks nobody again.
        let _ = socket.send_to(&reply, from);
    }
}
