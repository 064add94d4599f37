//! Ports inside sandboxes, for those who may use the sandbox. Nothing inside is ever reached from a network.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::context::Context;
use super::lease::InUse;
use super::sandboxes::use_sandbox;
use crate::ports::GuestStream;
use crate::{
    Caller, Error, FilePath, FileProblem, FileScope, Limit, ReadRange, Result, SandboxId, Scope, collect,
};

/// Ways into sandboxes of the caller's account.
#[derive(Clone)]
pub struct Ingress {
    pub(super) context: Arc<Context>,
}

impl Ingress {
    /// Connects to a TCP port on the sandbox's loopback. The sandbox is in use for as long as the connection is held.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; [`Error::PortClosed`] if nothing listens;
    /// [`Error::Unsupported`] if its guest is of a release that cannot do this.
    pub async fn connect(&self, caller: &Caller, id: SandboxId, port: u16) -> Result<PortStream> {
        caller.need(Scope::SandboxesWrite)?;
        if port == 0 {
            return Err(Error::invalid("port", "must be from 1 to 65535"));
        }
        let (_, guard) = use_sandbox(&self.context, caller, id).await?;
        PortStream::open(&self.context, id, port, guard).await
    }
}

impl Ingress {
    /// The TCP ports on which something inside listens, lowest first, by the tables that the sandbox's own kernel view
    /// gives; a claim like all that comes from there.
    ///
    /// # Errors
    /// As [`Ingress::connect`], but for what is about one port.
    pub async fn listening(&self, caller: &Caller, id: SandboxId) -> Result<BTreeSet<u16>> {
        caller.need(Scope::SandboxesRead)?;
        let (_, guard) = use_sandbox(&self.context, caller, id).await?;
        let mut ports = BTreeSet::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let path = FilePath::new(table)?;
            let scope = FileScope::default();
            let read = self.context.ports.guest.read(id, &scope, &path, ReadRange::default()).await;
            match guard.counted(read).await {
                Ok((_, body)) => {
                    let text = collect(body, TABLE_MAX_BYTES, Limit::AnswerBytes).await?;
                    ports.extend(listening(&text));
                }
                // A kernel without IPv6.
                Err(Error::File { problem: FileProblem::NotFound, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ports)
    }
}

/// Longest table of connections that is read, in bytes: some hundred thousand of them.
const TABLE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The local ports of the lines in state LISTEN, see proc_net_tcp in proc(5).
fn listening(table: &[u8]) -> impl Iterator<Item = u16> + '_ {
    const LISTEN: &[u8] = b"0A";
    table.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let local = words.nth(1)?;
        let port = local.rsplit(|byte| *byte == b':').next()?;
        let state = words.nth(1)?;
        (state == LISTEN).then(|| u16::from_str_radix(std::str::from_utf8(port).ok()?, 16).ok()).flatten()
    })
}

/// A connection to a port.
pub struct PortStream {
    stream: GuestStream,
    _guard: InUse,
}

impl PortStream {
    /// Connects to a port of a sandbox that is in use, for somebody who may.
    pub(super) async fn open(context: &Context, id: SandboxId, port: u16, guard: InUse) -> Result<Self> {
        let stream = guard.counted(context.ports.guest.dial(id, port).await).await?;
        Ok(Self { stream, _guard: guard })
    }
}

impl AsyncRead for PortStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_listen_whatever_else_the_table_says() {
        let table = b"  sl  local_address rem_address   st tx_queue\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
            \x20  1: 0100007F:1F91 0100007F:9999 01 00000000:00000000\n\
            \x20  2: 00000000000000000000000001000000:0BB8 0:0 0A 0\n\
            nonsense\n   3: x:y z 0A\n";
        assert_eq!(listening(table).collect::<Vec<_>>(), [8080, 3000]);
    }
}
