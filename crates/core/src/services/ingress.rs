//! Ports inside sandboxes, for those who may use the sandbox. Nothing inside is ever reached from a network.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::context::Context;
use super::lease::InUse;
use super::sandboxes::use_sandbox;
use crate::ports::GuestStream;
use crate::{Caller, Error, Result, SandboxId, Scope};

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
