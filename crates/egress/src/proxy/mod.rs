//! Connections of sandboxes with an allow-list, wherever they were meant to go.
//!
//! ```text
//!   accept ─▶ whose? ─▶ a place ─▶ where to? ─┬─ an allowed network ───────────────▶ that address
//!                                             ├─ :80    every request's Host ─┐
//!                                             ├─ :443   the handshake's name ─┼────▶ the name, resolved here
//!                                             ├─ :n     recent answers ────────────▶ that address
//!                                             └─ else   refused
//! ```
//!
//! The address that a sandbox wanted decides nothing on ports 80 and 443: the name does, and it is resolved again here.
//! What is inside TLS is not looked at, unless a secret of the sandbox is for that name. Two names that share a server can
//! therefore be told apart by the server only (domain fronting): who allows one name of a host allows what that host
//! answers for.

mod dial;
mod hello;
mod http;
mod original;
mod plain;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lazaret_core::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::Exit;
use crate::judge::Refusal;
use crate::limits;
use crate::metered::{Metered, Pulse};
use crate::resolve::NameServers;
use crate::secrets::Upstream;
use crate::tenant::{Admitted, Court};
use crate::tenants::Tenants;

pub use original::{OriginalDestination, Redirected};

/// How long to wait when the process has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What carrying a connection takes.
pub(crate) struct Proxy {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) servers: Arc<NameServers>,
    pub(crate) exit: Arc<dyn Exit>,
    pub(crate) court: Arc<Court>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) original: Arc<dyn OriginalDestination>,
    /// Places for connections of all sandboxes.
    pub(crate) places: Arc<Semaphore>,
}

/// A connection on its way through.
struct Passage {
    proxy: Arc<Proxy>,
    admitted: Arc<Admitted>,
    /// Where the sandbox wanted to go.
    to: SocketAddr,
    pulse: Arc<Pulse>,
    /// Cancelled when a new policy refuses it.
    end: CancellationToken,
}

/// Carries what arrives at `listener` until `stop`.
pub(crate) async fn serve(
    proxy: Arc<Proxy>,
    listener: TcpListener,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    while let Some((stream, from)) = accept(&listener, &stop).await {
        let Some(admitted) = proxy.tenants.find(from.ip()) else { continue };
        // A socket that was connected to directly has no destination but itself, and gets nowhere.
        let Ok(to) = proxy.original.of(&stream) else { continue };
        let places = (
            Arc::clone(&admitted.connections).try_acquire_owned(),
            Arc::clone(&proxy.places).try_acquire_owned(),
        );
        let (Ok(own), Ok(common)) = places else {
            admitted.deny(&to.to_string(), Refusal::TooManyConnections);
            continue;
        };
        let end = CancellationToken::new();
        let passage = Passage { proxy: Arc::clone(&proxy), admitted, to, pulse: Pulse::start(), end };
        let stop = stop.clone();
        tasks.spawn(async move {
            let _places = (own, common);
            let (pulse, end) = (Arc::clone(&passage.pulse), passage.end.clone());
            tokio::select! {
                () = stop.cancelled() => {}
                () = end.cancelled() => {}
                () = pulse.stops(limits::CONNECTION_IDLE, limits::CONNECTION_LIFE) => {}
                () = passage.carry(stream) => {}
            }
        });
    }
}

/// The next connection; `None` once `stop` is cancelled.
pub(crate) async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                // Small writes are common in what programs say to each other, and losing this only delays them.
                let _ = stream.set_nodelay(true);
                return Some((stream, from));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a sandbox's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Passage {
    async fn carry(self, stream: TcpStream) {
        let near = Metered::new(stream, Arc::clone(&self.admitted.counters), Arc::clone(&self.pulse));
        match (self.admitted.grant_for_address(self.to), Service::of(self.to.port())) {
            (Some(grant), _) => plain::carry(&self, near, grant).await,
            (None, Service::Http) => http::carry(self, near).await,
            (None, Service::Tls) => tls::carry(self, near).await,
            (None, Service::Plain(_)) => self.deny(&self.to.to_string(), Refusal::Address),
        }
    }

    fn deny(&self, destination: &str, refusal: Refusal) {
        self.admitted.deny(destination, refusal);
    }
}
