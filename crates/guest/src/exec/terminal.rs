//! Pseudo-terminals. The guest keeps the master, the program gets the other side.

use std::os::fd::{AsFd, OwnedFd};

use lazaret_protocol::{ErrorKind, Failure};
use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};

/// Both ends of a new terminal.
pub(crate) struct Terminal {
    /// For the guest; never blocks.
    pub(crate) master: OwnedFd,
    /// For the program, all three of its standard descriptors.
    pub(crate) slave: OwnedFd,
}

/// Opens a terminal of that size, owned by `uid`.
///
/// # Errors
/// `OutOfMemory` when the sandbox has no further terminal, `Other` when its `/dev` has none at all.
pub(crate) fn open(rows: u16, columns: u16, uid: u32) -> Result<Terminal, Failure> {
    let terminal = open_raw(rows, columns, uid);
    terminal.map_err(|errno| {
        let kind = match errno {
            Errno::NOSPC | Errno::NOMEM | Errno::MFILE | Errno::NFILE => ErrorKind::OutOfMemory,
            _ => ErrorKind::Other,
        };
        Failure::new(kind, "the sandbox has no terminal to give").with_errno(errno.raw_os_error())
    })
}

fn open_raw(rows: u16, columns: u16, uid: u32) -> rustix::io::Result<Terminal> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    rustix::pty::unlockpt(&master)?;
    // By the master and not by its name, which the tenant could have given to something else.
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    resize(&slave, rows, columns)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>)?;
    rustix::fs::fchmod(&slave, Mode::RUSR | Mode::WUSR | Mode::WGRP)?;
    Ok(Terminal { master, slave })
}

/// Changes the size; the kernel tells the foreground process group by SIGWINCH.
pub(crate) fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> rustix::io::Result<()> {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
}
