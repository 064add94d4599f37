//! Messages between server, spawner and child: one packet each, with descriptors beside it.
//!
//! ```text
//!   packet   JSON, at most 64 KiB  +  at most 24 descriptors (SCM_RIGHTS)
//! ```
//!
//! Both ends are the same build of the same program, so the format has no version. The socket keeps the borders of
//! packets, so there is no length to lie about; a longer packet is an error and not a shorter one.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest packet, in bytes: the paths of eight lowers at their longest (4 KiB each) and as much again, for
/// those of eight volumes (2 KiB each).
const PACKET_MAX_BYTES: usize = 64 * 1024;

/// Most descriptors in one packet: eight lowers, the disk, eight volumes, and room.
const DESCRIPTORS_MAX: usize = 24;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Channel {
    /// Two connected ends, close-on-exec.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::over(one), Self::over(other)))
    }

    /// The end that `socket` is.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// The socket, to hand it to another process.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message with descriptors.
    ///
    /// # Errors
    /// `EMSGSIZE` if it is too long, `EPIPE` if the peer is gone.
    pub(crate) fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let packet = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
        if packet.len() > PACKET_MAX_BYTES || descriptors.len() > DESCRIPTORS_MAX {
            return Err(Errno::MSGSIZE);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::MSGSIZE);
        }
        retry_on_intr(|| sendmsg(&self.socket, &[IoSlice::new(&packet)], &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Whether a message or the end is there, or comes within `patience`.
    ///
    /// # Errors
    /// Those of poll(2).
    pub(crate) fn is_readable(&self, patience: Duration) -> Result<bool> {
        let timeout = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
        let mut wanted = [PollFd::new(&self.socket, PollFlags::IN)];
        Ok(retry_on_intr(|| poll(&mut wanted, Some(&timeout)))? > 0)
    }

    /// The next message; `None` when the peer has closed its end.
    ///
    /// # Errors
    /// `ETIMEDOUT` after `patience`; `EBADMSG` for a packet that is too long or not the expected message.
    pub(crate) fn receive<T: DeserializeOwned>(
        &mut self,
        patience: Option<Duration>,
    ) -> Result<Option<(T, Vec<OwnedFd>)>> {
        if let Some(patience) = patience
            && !self.is_readable(patience)?
        {
            return Err(Errno::TIMEDOUT);
        }
        self.buffer.resize(PACKET_MAX_BYTES, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut packet = [IoSliceMut::new(&mut self.buffer)];
            recvmsg(&self.socket, &mut packet, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = match received {
            Err(Errno::CONNRESET) => return Ok(None),
            other => other?,
        };
        let descriptors: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Errno::BADMSG);
        }
        let message = serde_json::from_slice(&self.buffer[..received.bytes]).map_err(|_| Errno::BADMSG)?;
        Ok(Some((message, descriptors)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors_and_the_end_is_seen() {
        let (one, mut other) = Channel::pair().unwrap();
        let text = "x".repeat(40_000);
        one.send(&text, &[one.as_fd(), one.as_fd()]).unwrap();
        let (got, descriptors) = other.receive::<String>(None).unwrap().unwrap();
        assert_eq!((got, descriptors.len()), (text, 2));
        drop(descriptors);
        drop(one);
        assert!(other.receive::<String>(None).unwrap().is_none());
    }

    #[test]
    fn a_message_that_is_too_long_or_of_another_kind_is_refused() {
        let (one, mut other) = Channel::pair().unwrap();
        assert_eq!(one.send(&"x".repeat(PACKET_MAX_BYTES), &[]), Err(Errno::MSGSIZE));
        one.send(&"text", &[]).unwrap();
        assert_eq!(other.receive::<u32>(None).unwrap_err(), Errno::BADMSG);
    }

    #[test]
    fn a_silent_peer_is_not_waited_for_longer_than_said() {
        let (_one, mut other) = Channel::pair().unwrap();
        assert_eq!(other.receive::<u32>(Some(Duration::from_millis(1))).unwrap_err(), Errno::TIMEDOUT);
    }
}
