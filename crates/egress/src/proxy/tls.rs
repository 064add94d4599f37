//! Port 443: the server name of the handshake decides, and the handshake is the server's. Where a secret of the sandbox is
//! for that name, there are two handshakes: one here, by the sandbox's authority, and one with the server.

use std::io::Cursor;
use std::sync::Arc;

use lazaret_core::{DomainName, Service};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::dial::DialError;
use super::hello::{self, HelloError};
use super::http::{self, Confidence};
use super::{Passage, plain};
use crate::judge::{Grant, Refusal};
use crate::limits;
use crate::secrets::Disclosure;
use crate::tenant::Open;

/// A fatal alert in a record of its own (RFC 8446): a client names it in its error and does not try again.
const fn fatal_alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// "A valid certificate was received, but access control refused": nothing is wrong but the name.
const ACCESS_DENIED: [u8; 7] = fatal_alert(49);
/// The server could not be reached from here.
const INTERNAL_ERROR: [u8; 7] = fatal_alert(80);

/// Carries a connection to the server that its handshake names, if that is allowed.
pub(super) async fn carry(passage: Passage, mut near: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let hello = match timeout(limits::OPENING_TIMEOUT, hello::read(&mut near)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(HelloError::Ended(_))) => return,
        Ok(Err(HelloError::NotTls)) | Err(_) => {
            return passage.deny(&passage.to.to_string(), Refusal::NotTls);
        }
    };
    let asked = match hello.name {
        Some(_) if hello.encrypted => Err((hello.name, Refusal::EncryptedServerName)),
        Some(name) => DomainName::from_wire(name.as_bytes()).map_err(|_| (Some(name), Refusal::Name)),
        None => Err((None, Refusal::NoServerName)),
    };
    let name = match asked {
        Ok(name) => name,
        Err((name, refusal)) => {
            passage.deny(&name.unwrap_or_else(|| passage.to.to_string()), refusal);
            return refuse(near, &ACCESS_DENIED).await;
        }
    };
    let grant = Grant::Name(name.clone(), Service::Tls);
    let Some(open) = passage.admitted.open(grant, &passage.end) else {
        passage.deny(&format!("{name}:{}", passage.to.port()), Refusal::Name);
        return refuse(near, &ACCESS_DENIED).await;
    };
    if let Some(disclosure) = passage.admitted.disclosure()
        && let Some(substitutes) = disclosure.substitutes(&name)
    {
        let confidence = Confidence { host: name, substitutes: Arc::new(substitutes) };
        return answer(passage, near, hello.bytes, &disclosure, confidence, open).await;
    }
    match passage.proxy.dial(&name, passage.to.port(), passage.to.ip()).await {
        Ok(mut far) => {
            if far.write_all(&hello.bytes).await.is_ok() {
                plain::splice(near, far).await;
            }
        }
        Err(error) => {
            if matches!(error, DialError::Private) {
                passage.deny(name.as_str(), Refusal::PrivateAddress);
            }
            tracing::debug!(%name, %error, "dialling for a sandbox");
            refuse(near, &INTERNAL_ERROR).await;
        }
    }
}

/// Answers for a host, and carries the requests to it that the client then makes.
async fn answer(
    passage: Passage,
    near: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    hello: Vec<u8>,
    disclosure: &Disclosure,
    confidence: Confidence,
    open: Open,
) {
    let settings = match disclosure.vouching().settings(&confidence.host) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a host cannot be answered for");
            return refuse(near, &INTERNAL_ERROR).await;
        }
    };
    let (read, write) = tokio::io::split(near);
    let near = tokio::io::join(Cursor::new(hello).chain(read), write);
    match timeout(limits::OPENING_TIMEOUT, TlsAcceptor::from(settings).accept(near)).await {
        Ok(Ok(near)) => http::carry_confidential(passage, near, confidence, open).await,
        // Most often a client that does not trust the sandbox's authority; it says so itself.
        Ok(Err(error)) => tracing::debug!(%error, "a sandbox broke off a handshake"),
        Err(_) => tracing::debug!("a sandbox did not go on with a handshake"),
    }
}

/// Says why there will be no handshake; whoever has gone already does not hear it.
async fn refuse(mut near: impl AsyncWrite + Unpin, alert: &[u8]) {
    let said = async {
        near.write_all(alert).await?;
        near.shutdown().await
    };
    if let Ok(Err(error)) = timeout(limits::OPENING_TIMEOUT, said).await {
        tracing::debug!(%error, "telling a client that it is refused");
    }
}
