//! Conversations with the kernel: some messages, and whether they were done.
//!
//! The kernel works a message off within `sendmsg`, so its answers are there when that returns, and nothing is waited
//! for. Only the last message asks for an answer when it succeeds; a failure is always answered.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result, retry_on_intr};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
    sockopt,
};

use super::message::{HEADER_BYTES, Message};

/// Room for one transaction on its way into the kernel: all addresses of some ten thousand sandboxes.
const SEND_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Longest answer that is read: an error with the beginning of what it is about.
const ANSWER_BYTES: usize = 16 * 1024;

/// The kind of an answer that carries an error number, zero for none (`NLMSG_ERROR`).
const ERROR: u16 = 2;

/// Frame of a transaction of netfilter (`NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`).
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

/// Asks for an answer on success too (`NLM_F_ACK`).
const ACKNOWLEDGE: u16 = 4;

/// A netlink socket. It speaks about the network namespace that it was made in, wherever its process is later.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// For links, addresses and routes.
    pub(crate) fn route() -> Result<Self> {
        // Number 0, which is also that of no protocol in particular.
        Self::open(None)
    }

    /// For packet filters.
    pub(crate) fn netfilter() -> Result<Self> {
        let socket = Self::open(Some(netlink::NETFILTER))?;
        sockopt::set_socket_send_buffer_size_force(&socket.socket, SEND_BUFFER_BYTES)?;
        Ok(socket)
    }

    fn open(protocol: Option<Protocol>) -> Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Has messages done, each for itself and in their order.
    ///
    /// # Errors
    /// The first that the kernel answers with; messages behind it have been tried all the same.
    pub(crate) fn run(&mut self, messages: &[Message]) -> Result<()> {
        let mut bytes = Vec::new();
        self.append(messages, &mut bytes);
        self.exchange(&bytes)
    }

    /// Has messages for one subsystem of netfilter done: all, or none.
    ///
    /// # Errors
    /// The first that the kernel answers with.
    pub(crate) fn run_atomically(&mut self, subsystem: u16, messages: &[Message]) -> Result<()> {
        // `struct nfgenmsg`: no family, version 0, and the subsystem in network order.
        let mut frame = vec![0, 0];
        frame.extend_from_slice(&subsystem.to_be_bytes());
        let mut bytes = Vec::new();
        Message::new(BATCH_BEGIN, 0, &frame).write(0, 0, &mut bytes);
        self.append(messages, &mut bytes);
        Message::new(BATCH_END, 0, &frame).write(0, 0, &mut bytes);
        self.exchange(&bytes)
    }

    fn append(&mut self, messages: &[Message], bytes: &mut Vec<u8>) {
        for (index, message) in messages.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let is_last = index + 1 == messages.len();
            message.write(self.sequence, if is_last { ACKNOWLEDGE } else { 0 }, bytes);
        }
    }

    fn exchange(&mut self, bytes: &[u8]) -> Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = retry_on_intr(|| sendto(&self.socket, bytes, SendFlags::empty(), &kernel))?;
        if sent != bytes.len() {
            return Err(Errno::MSGSIZE);
        }
        let mut outcome = None;
        let mut buffer = vec![0; ANSWER_BYTES];
        loop {
            match retry_on_intr(|| {
                recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC)
            }) {
                Ok((read, _)) => note_answers(&buffer[..read], self.sequence, &mut outcome),
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        // Without any answer, the last message was not even read.
        outcome.unwrap_or(Err(Errno::PROTO))
    }
}

/// Reads answers. The first failure stays; success is the one of the last message.
fn note_answers(mut answers: &[u8], last: u32, outcome: &mut Option<Result<()>>) {
    let u32_at = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    while let (Some(length), Some(kind), Some(sequence)) =
        (u32_at(answers, 0), u32_at(answers, 4), u32_at(answers, 8))
    {
        let kind = u16::try_from(kind & 0xffff).unwrap_or_default();
        if kind.to_ne_bytes() == ERROR.to_ne_bytes()
            && let Some(error) = u32_at(answers, HEADER_BYTES)
        {
            match error.cast_signed() {
                0 if sequence == last => {
                    outcome.get_or_insert(Ok(()));
                }
                0 => {}
                error if !matches!(outcome, Some(Err(_))) => {
                    *outcome = Some(Err(Errno::from_raw_os_error(-error)));
                }
                _ => {}
            }
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).next_multiple_of(4).max(HEADER_BYTES);
        answers = answers.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_for_a_message_and_a_failure_before_the_last_one_is_seen() {
        const GET_LINK: u16 = 18;
        let link = |index: i32| {
            let mut fixed = vec![0; 16];
            fixed[4..8].copy_from_slice(&index.to_ne_bytes());
            Message::new(GET_LINK, 0, &fixed)
        };
        let mut socket = Socket::route().unwrap();
        assert_eq!(socket.run(&[link(1)]), Ok(()));
        assert_eq!(socket.run(&[link(i32::MAX), link(1)]), Err(Errno::NODEV));
        assert_eq!(socket.run(&[link(1), link(i32::MAX)]), Err(Errno::NODEV));
    }
}
