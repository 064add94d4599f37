//! A port inside the sandbox, for the host: connect, and pass bytes on.
//!
//! ```text
//!   host ══ connection ══▶ guest ══ TCP ══▶ 127.0.0.1:port, else [::1]:port
//!        Dial ─▶   ◀─ Connected, and from there on bytes in both directions, without frames
//! ```
//!
//! Each direction has one buffer: a side that does not read holds up the other side and nobody else. The end of one
//! direction is passed on as such; the request ends with the second end. Not here: whose port it is. Whoever listens is
//! as much the tenant as anything else inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lazaret_protocol::{Dial, ErrorKind, Failure, GuestMessage};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::connection::Connection;
use crate::request::Stop;
use crate::{clock, waiting};

/// How long a connection within the sandbox may take; one that is accepted takes microseconds.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Bytes of one direction that are on their way.
const BUFFER_BYTES: usize = 64 * 1024;

/// Answers the request, and passes bytes on until both sides have said all.
pub(crate) fn run(connection: &mut Connection, request: &Dial) -> Result<(), Stop> {
    let port = connect(request.port)?;
    connection.send(&GuestMessage::Connected)?;
    splice(connection.socket(), port.as_fd());
    connection.close();
    Ok(())
}

fn connect(port: u16) -> Result<OwnedFd, Failure> {
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let mut refused = Errno::CONNREFUSED;
    for address in loopbacks {
        match connect_to(SocketAddr::new(address, port)) {
            Ok(socket) => return Ok(socket),
            // A sandbox need not have IPv6; what the first said is then the better answer.
            Err(Errno::CONNREFUSED | Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {}
            Err(errno) => refused = errno,
        }
    }
    let kind = match refused {
        Errno::CONNREFUSED => ErrorKind::ConnectionRefused,
        Errno::NOMEM | Errno::NOBUFS | Errno::MFILE | Errno::NFILE => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    };
    Err(Failure::new(kind, format!("cannot connect to port {port}")).with_errno(refused.raw_os_error()))
}

fn connect_to(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            let until = clock::now() + CONNECT_TIME;
            loop {
                let mut wanted = [PollFd::new(&socket, PollFlags::OUT)];
                waiting::poll(&mut wanted, Some(until));
                if !wanted[0].revents().is_empty() {
                    socket_error(&socket)??;
                    break;
                }
                if clock::now() >= until {
                    return Err(Errno::TIMEDOUT);
                }
            }
        }
        Err(errno) => return Err(errno),
    }
    // Small messages are for now, not for when there are more of them.
    set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

/// One direction.
struct Flow<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    buffer: Vec<u8>,
    /// The part of the buffer that waits to be sent.
    waiting: std::ops::Range<usize>,
    ended: bool,
}

impl<'a> Flow<'a> {
    fn new(from: BorrowedFd<'a>, to: BorrowedFd<'a>) -> Self {
        Self { from, to, buffer: vec![0; BUFFER_BYTES], waiting: 0..0, ended: false }
    }

    fn wants_to_read(&self) -> bool {
        !self.ended && self.waiting.is_empty()
    }

    fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves what can be moved now.
    fn advance(&mut self) -> rustix::io::Result<()> {
        if self.wants_to_read() {
            match rustix::net::recv(self.from, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    self.ended = true;
                    rustix::net::shutdown(self.to, Shutdown::Write)?;
                }
                Ok((received, _)) => self.waiting = 0..received,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if let Some(waiting) = self.buffer.get(self.waiting.clone()).filter(|waiting| !waiting.is_empty()) {
            match rustix::net::send(self.to, waiting, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => self.waiting.start += sent,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Passes bytes on until both directions have ended or one side is gone.
fn splice(host: BorrowedFd<'_>, port: BorrowedFd<'_>) {
    let (mut inward, mut outward) = (Flow::new(host, port), Flow::new(port, host));
    while !(inward.ended && outward.ended) {
        let flags = |reads: &Flow<'_>, writes: &Flow<'_>| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads.wants_to_read());
            flags.set(PollFlags::OUT, writes.wants_to_write());
            flags
        };
        let (host_flags, port_flags) = (flags(&inward, &outward), flags(&outward, &inward));
        // A side of which nothing is wanted now is left out: it would be reported as gone again and again. But a host
        // that has said all is watched, since nobody wants an answer once it has gone.
        let is_said = inward.ended && !inward.wants_to_write();
        let mut wanted = Vec::with_capacity(2);
        for (socket, flags, is_watched) in [(host, host_flags, is_said), (port, port_flags, false)] {
            if is_watched || !flags.is_empty() {
                wanted.push(PollFd::from_borrowed_fd(socket, flags));
            }
        }
        waiting::poll(&mut wanted, None);
        let gone = PollFlags::HUP | PollFlags::ERR;
        if is_said && wanted.first().is_some_and(|host| host.revents().intersects(gone)) {
            return;
        }
        if inward.advance().and_then(|()| outward.advance()).is_err() {
            return;
        }
    }
}
