//! Queries by UDP: a datagram, a task, a datagram.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Dns;
use super::answer::Transport;
use crate::limits;

/// Answers what arrives at `socket` until `stop`.
pub(crate) async fn serve(dns: Arc<Dns>, socket: UdpSocket, tasks: TaskTracker, stop: CancellationToken) {
    let socket = Arc::new(socket);
    let mut buffer = [0; limits::QUERY_MAX_BYTES];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, from)) => take(&dns, &socket, &buffer[..length], from, &tasks),
            // An answer that could not be delivered is reported by the next read; the socket is as good as before.
            Err(error) => tracing::debug!(%error, "reading a query"),
        }
    }
}

fn take(dns: &Arc<Dns>, socket: &Arc<UdpSocket>, query: &[u8], from: SocketAddr, tasks: &TaskTracker) {
    let Some(admitted) = dns.tenants.find(from.ip()) else { return };
    let place =
        if admitted.spend_query() { Arc::clone(&admitted.queries).try_acquire_owned().ok() } else { None };
    let Some(place) = place else {
        if let Some(reply) = Dns::turn_away(&admitted, query) {
            // A full buffer loses an answer, as any network may.
            let _ = socket.try_send_to(&reply, from);
        }
        return;
    };
    let (dns, socket, query) = (Arc::clone(dns), Arc::clone(socket), query.to_vec());
    tasks.spawn(async move {
        let _place = place;
        if let Some(reply) = dns.answer(&admitted, &query, Transport::Udp).await
            && let Err(error) = socket.send_to(&reply, from).await
        {
            tracing::debug!(%error, "sending an answer");
        }
    });
}
