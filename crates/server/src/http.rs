//! The accept loop: bounded connections, slow heads cut off, and a shutdown that lets requests finish.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::Http;

/// How long to rest when the kernel cannot accept, for want of descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most bytes of a request's head. Bigger ones get 431.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Listens on `address`.
///
/// # Errors
/// With what to do about a taken port.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("listening on {address}: is another server there? Choose another with --listen")
    })
}

/// Serves `router` until `stop`, then waits for the requests under way, at most the configured grace.
pub(crate) async fn serve(listener: TcpListener, router: Router, settings: &Http, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let mut head = http1::Builder::new();
    head.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(settings.header_timeout_s))
        .max_buf_size(HEAD_MAX_BYTES);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = accepted;
        let router = router.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = head.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let stop = stop.clone();
        connections.spawn(async move {
            let _place = place;
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, error = &error as &dyn std::error::Error, "a connection broke");
            }
        });
    }
    drop(listener);
    connections.close();
    let grace = Duration::from_secs(settings.shutdown_grace_s);
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(grace_s = settings.shutdown_grace_s, "requests were still under way at the shutdown");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers must not wait for more bytes to fill a segment.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, error = &error as &dyn std::error::Error, "no TCP_NODELAY");
                }
                return (stream, peer, place);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a connection could not be accepted"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
