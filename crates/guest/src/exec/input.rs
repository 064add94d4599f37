//! What a program reads: the writing end of its standard input, or its terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::terminal;

/// What a terminal in its usual mode takes for the end of input: control-D, the default VEOF of termios(3).
const END_OF_INPUT: u8 = 0x04;

/// Bytes on their way into a program. Whoever pushes waits until [`Input::is_idle`], so little piles up.
#[derive(Debug)]
pub(crate) struct Input {
    /// `None` when the program has or wants no input, or has closed it; bytes are then thrown away, as a shell's are.
    fd: Option<OwnedFd>,
    is_terminal: bool,
    pending: Vec<u8>,
    /// Close when `pending` is written.
    ending: bool,
}

impl Input {
    /// Standard input is `/dev/null`.
    pub(crate) fn none() -> Self {
        Self { fd: None, is_terminal: false, pending: Vec::new(), ending: false }
    }

    /// The writing end of a pipe.
    pub(crate) fn pipe(fd: OwnedFd) -> rustix::io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd: Some(fd), ..Self::none() })
    }

    /// The master of a terminal, which does not block.
    pub(crate) fn terminal(master: OwnedFd) -> Self {
        Self { fd: Some(master), is_terminal: true, ..Self::none() }
    }

    /// Whether more may be pushed.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// For polling; `None` when there is nothing to write.
    pub(crate) fn waiting(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd).filter(|_| !self.pending.is_empty())
    }

    /// Takes bytes for the program.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.fd.is_some() && !self.ending {
            self.pending.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// Nothing more will be pushed.
    pub(crate) fn end(&mut self) {
        if self.is_terminal {
            self.push(&[END_OF_INPUT]);
        } else {
            self.ending = true;
            self.flush();
        }
    }

    /// Writes as much as the program takes now.
    pub(crate) fn flush(&mut self) {
        while let Some(fd) = &self.fd
            && !self.pending.is_empty()
        {
            match rustix::io::write(fd, &self.pending) {
                Ok(written) => drop(self.pending.drain(..written.min(self.pending.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.close(),
            }
        }
        if self.ending {
            self.close();
        }
    }

    /// Tells the terminal its size; without a terminal there is nothing to tell.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        if let Some(fd) = self.fd.as_ref().filter(|_| self.is_terminal) {
            // Fails only when the program has let go of the terminal.
            let _ = terminal::resize(fd, rows, columns);
        }
    }

    fn close(&mut self) {
        self.fd = None;
        self.pending = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    #[test]
    fn a_full_pipe_keeps_the_rest_and_then_ends() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let mut input = Input::pipe(writer).expect("a pipe can be made non-blocking");
        let sent = vec![7; 100_000];
        input.push(&sent);
        input.end();
        assert!(!input.is_idle());
        let mut got = Vec::new();
        let mut buffer = vec![0; 8192];
        loop {
            let read = rustix::io::read(&reader, &mut buffer).expect("a read of a pipe");
            if read == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..read]);
            input.flush();
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn bytes_for_a_program_that_closed_its_input_are_thrown_away() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let mut input = Input::pipe(writer).expect("a pipe can be made non-blocking");
        drop(reader);
        input.push(b"x");
        assert!(input.is_idle());
        assert!(input.waiting().is_none());
    }
}
