//! Connections that are judged by their address: bytes are carried as they are.

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;

use super::Passage;
use crate::exit;
use crate::judge::{Grant, Refusal};

/// Carries a connection to the very address that the sandbox wanted.
pub(super) async fn carry(passage: &Passage, near: impl AsyncRead + AsyncWrite + Unpin, grant: Grant) {
    let to = passage.to;
    let bounds = &passage.proxy.court.bounds;
    if !exit::may_reach(&*passage.proxy.exit, bounds, to.ip()) {
        return passage.deny(&to.to_string(), Refusal::Address);
    }
    let Some(_open) = passage.admitted.open(grant, &passage.end) else {
        return passage.deny(&to.to_string(), Refusal::Address);
    };
    match passage.proxy.dial_address(to).await {
        Ok(far) => splice(near, far).await,
        Err(error) => tracing::debug!(%to, %error, "dialling for a sandbox"),
    }
}

/// Carries bytes both ways until both ends have said that they have no more.
pub(super) async fn splice(mut near: impl AsyncRead + AsyncWrite + Unpin, mut far: TcpStream) {
    if let Err(error) = copy_bidirectional(&mut near, &mut far).await {
        tracing::debug!(%error, "a sandbox's connection broke");
    }
}
