//! One connection of the host: frames in, frames out.
//!
//! Requests about files use it in the blocking way. An exec, which has pipes to attend to as well, polls
//! [`Connection::socket`] and uses the calls that do not wait.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Decoder, Failure, FrameError, GuestMessage, HEADER_BYTES, HostKind, HostMessage};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// Bytes received at once. Two full data frames, so that a stream of them is mostly used where it was received.
const INBOX_BYTES: usize = 2 * (DATA_MAX + HEADER_BYTES);

/// The connection is of no more use: the host closed it, was too slow with its request, or sent what is not the
/// protocol. There is no reason in it, because there is nobody left to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

impl From<FrameError> for Lost {
    fn from(_: FrameError) -> Self {
        Self
    }
}

impl From<Errno> for Lost {
    fn from(_: Errno) -> Self {
        Self
    }
}

/// Whether a call may wait for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until there is something to do, or the socket's timeout.
    Yes,
    /// Not at all.
    No,
}

/// A connected socket with what was received and not yet used.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    decoder: Decoder<HostKind>,
    inbox: Vec<u8>,
    /// The part of `inbox` that was received and not yet decoded.
    unread: std::ops::Range<usize>,
    outbox: Vec<u8>,
}

impl Connection {
    /// Wraps an accepted socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, decoder: Decoder::new(), inbox: Vec::new(), unread: 0..0, outbox: Vec::new() }
    }

    /// For polling.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Limits how long a waiting receive may take; `None` is for ever.
    pub(crate) fn limit_receive(&self, limit: Option<Duration>) -> Result<(), Lost> {
        Ok(set_socket_timeout(&self.socket, Timeout::Recv, limit)?)
    }

    /// Hands the messages that have arrived to `handle`, in order, until it breaks or none is left. Receives once,
    /// unless messages of an earlier call are left. Returns the value of a break.
    ///
    /// # Errors
    /// [`Lost`], also when `handle` says so.
    pub(crate) fn receive<B>(
        &mut self,
        wait: Wait,
        mut handle: impl FnMut(HostMessage<'_>) -> Result<ControlFlow<B>, Lost>,
    ) -> Result<Option<B>, Lost> {
        if self.unread.is_empty() && !self.fill(wait)? {
            return Ok(None);
        }
        let Some(mut input) = self.inbox.get(self.unread.clone()) else { return Err(Lost) };
        let mut broken = None;
        while let Some(frame) = self.decoder.next(&mut input)? {
            if let ControlFlow::Break(value) = handle(HostMessage::decode(frame)?)? {
                broken = Some(value);
                break;
            }
        }
        self.unread.start = self.unread.end - input.len();
        Ok(broken)
    }

    /// The next message that `choose` takes, waiting for it. Any other is an error.
    pub(crate) fn expect<T>(
        &mut self,
        mut choose: impl FnMut(HostMessage<'_>) -> Option<T>,
    ) -> Result<T, Lost> {
        loop {
            let got = self.receive(Wait::Yes, |message| match choose(message) {
                Some(value) => Ok(ControlFlow::Break(value)),
                None => Err(Lost),
            })?;
            if let Some(value) = got {
                return Ok(value);
            }
        }
    }

    /// Receives into the empty inbox; `false` when there is nothing and `wait` is no.
    fn fill(&mut self, wait: Wait) -> Result<bool, Lost> {
        let flags = match wait {
            Wait::Yes => RecvFlags::empty(),
            Wait::No => RecvFlags::DONTWAIT,
        };
        if self.inbox.is_empty() {
            // Zeroed by the kernel on first touch, so that a short request costs a page or two.
            self.inbox = vec![0; INBOX_BYTES];
        }
        match retry(|| rustix::net::recv(&self.socket, self.inbox.as_mut_slice(), flags)) {
            Ok((0, _)) => Err(Lost),
            Ok((received, _)) => {
                self.unread = 0..received.min(self.inbox.len());
                Ok(true)
            }
            Err(Errno::AGAIN) if wait == Wait::No => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Queues a message for [`Self::flush`].
    pub(crate) fn queue(&mut self, message: &GuestMessage<'_>) -> Result<(), Lost> {
        Ok(message.encode(&mut self.outbox)?)
    }

    /// Bytes that are queued.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.outbox.len()
    }

    /// Forgets what is queued and what was received: nobody is there.
    pub(crate) fn discard(&mut self) {
        self.outbox = Vec::new();
        self.unread = 0..0;
    }

    /// Closes the connection for both sides; what was sent still arrives.
    pub(crate) fn close(&mut self) {
        self.discard();
        self.inbox = Vec::new();
        // Fails only when the host has closed it already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    /// Sends what is queued; with [`Wait::No`], as much as the host takes now.
    pub(crate) fn flush(&mut self, wait: Wait) -> Result<(), Lost> {
        let flags = match wait {
            Wait::Yes => SendFlags::NOSIGNAL,
            Wait::No => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        while !self.outbox.is_empty() {
            match retry(|| rustix::net::send(&self.socket, &self.outbox, flags)) {
                Ok(sent) => drop(self.outbox.drain(..sent.min(self.outbox.len()))),
                Err(Errno::AGAIN) if wait == Wait::No => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends a message and everything queued before it, waiting for the host to take it.
    pub(crate) fn send(&mut self, message: &GuestMessage<'_>) -> Result<(), Lost> {
        self.queue(message)?;
        self.flush(Wait::Yes)
    }

    /// Tells the host that its request failed. Nothing else can be done if it does not listen.
    pub(crate) fn refuse(&mut self, failure: Failure) {
        if self.queue(&GuestMessage::Failure(failure)).is_ok() {
            let _ = self.flush(Wait::Yes);
        }
    }

    /// Sends bytes that are frames already.
    pub(crate) fn send_frames(&mut self, mut frames: &[u8]) -> Result<(), Lost> {
        self.flush(Wait::Yes)?;
        while !frames.is_empty() {
            match retry(|| rustix::net::send(&self.socket, frames, SendFlags::NOSIGNAL)) {
                Ok(sent) => frames = frames.get(sent..).unwrap_or_default(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
