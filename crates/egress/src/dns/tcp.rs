//! Queries by TCP (RFC 7766): two bytes of length before each message, one after the other on a connection.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Dns;
use super::answer::Transport;
use crate::limits;
use crate::tenant::Admitted;

/// Answers what arrives at `listener` until `stop`.
pub(crate) async fn serve(dns: Arc<Dns>, listener: TcpListener, tasks: TaskTracker, stop: CancellationToken) {
    while let Some((stream, from)) = crate::proxy::accept(&listener, &stop).await {
        let Some(admitted) = dns.tenants.find(from.ip()) else { continue };
        let Ok(place) = Arc::clone(&admitted.dns_connections).try_acquire_owned() else { continue };
        let (dns, stop) = (Arc::clone(&dns), stop.clone());
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = stop.cancelled() => {}
                ended = converse(&dns, &admitted, stream) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection with queries ended");
                    }
                }
            }
        });
    }
}

async fn converse(dns: &Dns, admitted: &Arc<Admitted>, mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; limits::QUERY_MAX_BYTES];
    loop {
        let length = match timeout(limits::DNS_IDLE, stream.read_u16()).await? {
            Ok(length) => usize::from(length),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(query) = buffer.get_mut(..length) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a query of too many bytes"));
        };
        timeout(limits::DNS_IDLE, stream.read_exact(query)).await??;
        let reply = if admitted.spend_query() {
            dns.answer(admitted, query, Transport::Tcp).await
        } else {
            Dns::turn_away(admitted, query)
        };
        let Some(reply) = reply else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let message = [&length.to_be_bytes()[..], &reply].concat();
        timeout(limits::DNS_IDLE, stream.write_all(&message)).await??;
    }
}
