//! What a program writes: the reading ends of its pipes, or its terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lazaret_protocol::limits::DATA_MAX;
use rustix::io::Errno;

/// Bytes that a terminal may still hold for its master: the kernel's limit of a tty buffer.
const TERMINAL_CAPACITY: usize = 64 * 1024;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// How a spool writes it.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    /// What a spool wrote.
    pub(crate) fn from_byte(byte: u8) -> Self {
        if byte == Self::Stderr.byte() { Self::Stderr } else { Self::Stdout }
    }
}

/// What one reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// That many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nobody holds the other end any more.
    End,
}

/// One stream of a program.
#[derive(Debug)]
pub(crate) struct Output {
    stream: Stream,
    /// `None` at the end.
    fd: Option<OwnedFd>,
    /// Bytes that the stream may have held when the program ended and that have not been read since.
    owed: usize,
    /// Since then, more was read than was owed: somebody else writes.
    has_late_writer: bool,
}

impl Output {
    /// The reading end of a pipe.
    pub(crate) fn pipe(stream: Stream, fd: OwnedFd) -> rustix::io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { stream, fd: Some(fd), owed: usize::MAX, has_late_writer: false })
    }

    /// The master of a terminal, which does not block.
    pub(crate) fn terminal(master: OwnedFd) -> Self {
        Self { stream: Stream::Stdout, fd: Some(master), owed: usize::MAX, has_late_writer: false }
    }

    /// Which it is.
    pub(crate) fn stream(&self) -> Stream {
        self.stream
    }

    /// For polling; `None` at the end.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Whether everything has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.fd.is_none()
    }

    /// The main process has ended: no more than the stream can hold now is its own.
    pub(crate) fn process_ended(&mut self) {
        if let Some(fd) = &self.fd {
            // A program may have made its pipe larger. A terminal is no pipe.
            self.owed = rustix::pipe::fcntl_getpipe_size(fd).unwrap_or(TERMINAL_CAPACITY);
            self.has_late_writer = false;
        }
    }

    /// Whether everything that the main process can have written has been read, so that going on would be for those
    /// who outlived it.
    pub(crate) fn is_paid(&self) -> bool {
        self.owed == 0
    }

    /// Stops reading, whoever still writes. Whether somebody may, so that bytes are lost.
    pub(crate) fn close(&mut self) -> bool {
        self.fd.take().is_some() && self.has_late_writer
    }

    /// Reads what is there into `buffer`, at most [`DATA_MAX`] bytes.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Found {
        let Some(fd) = &self.fd else { return Found::End };
        let len = buffer.len().min(DATA_MAX);
        let buffer = buffer.get_mut(..len).unwrap_or_default();
        match rustix::io::read(fd, buffer) {
            Ok(0) => self.end(),
            Ok(bytes) => {
                self.has_late_writer |= bytes > self.owed;
                self.owed = self.owed.saturating_sub(bytes);
                Found::Bytes(bytes)
            }
            Err(Errno::INTR) => Found::Nothing,
            Err(Errno::AGAIN) => {
                self.owed = 0;
                Found::Nothing
            }
            // EIO is how a terminal says that nobody has its other side open.
            Err(_) => self.end(),
        }
    }

    fn end(&mut self) -> Found {
        self.fd = None;
        Found::End
    }
}
