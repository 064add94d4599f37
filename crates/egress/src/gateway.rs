//! The port over all of it.

use std::sync::Arc;

use async_trait::async_trait;
use lazaret_core::ports::{Denial, EgressUsage, Gateway, Tenant};
use lazaret_core::{Authority, Clock, DomainPattern, EgressPolicy, InvalidPolicy, Result, SandboxId};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{EgressConfig, Listeners};
use crate::denials::Denials;
use crate::dns::{self, Dns};
use crate::error::EgressError;
use crate::exit::{Exit, HostExit};
use crate::limits;
use crate::proxy::{self, OriginalDestination, Proxy, Redirected};
use crate::resolve::NameServers;
use crate::secrets::{Disclosure, Upstream, new_authority};
use crate::tenant::Court;
use crate::tenants::Tenants;

/// Answers queries and carries connections for whoever is admitted.
pub struct EgressGateway {
    court: Arc<Court>,
    tenants: Arc<Tenants>,
    upstream: Arc<Upstream>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl EgressGateway {
    /// Takes the sockets over, in the async runtime that it is called in.
    ///
    /// # Errors
    /// [`EgressError`] if a socket or the configuration of the resolver cannot be used.
    pub fn start(
        config: EgressConfig,
        listeners: Listeners,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EgressError> {
        Self::start_with(config, listeners, clock, Arc::new(HostExit), Arc::new(Redirected))
    }

    /// The same over another network than the host's.
    ///
    /// # Errors
    /// As [`EgressGateway::start`].
    pub fn start_with(
        config: EgressConfig,
        listeners: Listeners,
        clock: Arc<dyn Clock>,
        exit: Arc<dyn Exit>,
        original: Arc<dyn OriginalDestination>,
    ) -> Result<Self, EgressError> {
        let upstream = Arc::new(Upstream::new(&config.trusted)?);
        let servers = Arc::new(NameServers::new(&config.upstream_dns)?);
        let court = Arc::new(Court { bounds: config.bounds, denials: Denials::default(), clock });
        let tenants = Arc::new(Tenants::new(Arc::clone(&court)));
        let gateway = Self {
            court: Arc::clone(&court),
            tenants: Arc::clone(&tenants),
            upstream: Arc::clone(&upstream),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let dns = Arc::new(Dns {
            tenants: Arc::clone(&tenants),
            servers: Arc::clone(&servers),
            exit: Arc::clone(&exit),
            court: Arc::clone(&court),
        });
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS_ALL));
        let proxy = Arc::new(Proxy { tenants, servers, exit, court, upstream, original, places });
        gateway.listen(listeners, &dns, &proxy)?;
        Ok(gateway)
    }

    fn listen(&self, listeners: Listeners, dns: &Arc<Dns>, proxy: &Arc<Proxy>) -> Result<(), EgressError> {
        let taken = |socket| move |source| EgressError::Socket { socket, source };
        let (tasks, stop) = (&self.tasks, &self.stop);
        for socket in listeners.dns_udp {
            socket.set_nonblocking(true).map_err(taken("UDP name"))?;
            let socket = UdpSocket::from_std(socket).map_err(taken("UDP name"))?;
            tasks.spawn(dns::serve_udp(Arc::clone(dns), socket, tasks.clone(), stop.clone()));
        }
        for listener in listeners.dns_tcp {
            let listener = taken_over(listener).map_err(taken("TCP name"))?;
            tasks.spawn(dns::serve_tcp(Arc::clone(dns), listener, tasks.clone(), stop.clone()));
        }
        for listener in listeners.proxy_tcp {
            let listener = taken_over(listener).map_err(taken("proxy"))?;
            tasks.spawn(proxy::serve(Arc::clone(proxy), listener, tasks.clone(), stop.clone()));
        }
        Ok(())
    }

    /// Ends every connection and waits for all tasks. Nobody is answered any more.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn taken_over(listener: std::net::TcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Drop for EgressGateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for EgressGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressGateway").field("bounds", &self.court.bounds).finish_non_exhaustive()
    }
}

#[async_trait]
impl Gateway for EgressGateway {
    async fn admit(&self, tenant: Tenant) -> Result<()> {
        // Below, everything of such a sandbox is let through, so that the names could not be bounded any more. A list
        // that reaches beyond the bounds is no such case: it is asked together with them.
        if tenant.policy == EgressPolicy::Internet && self.court.bounds.domains.is_some() {
            return Err(InvalidPolicy::InternetOutsideBounds.into());
        }
        let disclosure = tenant.secrets.clone().map(Disclosure::new).transpose()?;
        self.tenants.admit(tenant, disclosure.map(Arc::new));
        Ok(())
    }

    async fn restrict(&self, id: SandboxId, policy: &EgressPolicy) {
        self.tenants.restrict(id, policy);
    }

    async fn dismiss(&self, id: SandboxId) {
        self.tenants.dismiss(id);
    }

    fn new_authority(&self, domains: &[DomainPattern]) -> Result<Authority> {
        Ok(new_authority(domains)?)
    }

    fn trusted_certificates(&self) -> &str {
        self.upstream.trusted()
    }

    fn usage(&self, id: SandboxId) -> EgressUsage {
        self.tenants.usage(id)
    }

    async fn denied(&self) -> Vec<Denial> {
        self.court.denials.report().await
    }
}
