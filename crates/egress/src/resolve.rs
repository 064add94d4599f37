//! Names to addresses, by the host's name servers, with a bounded cache.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{Resolver, TokioResolver};
use lazaret_core::DomainName;

use crate::error::EgressError;
use crate::limits;

/// What name servers said of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Records of the kind that was asked for; aliases have been followed.
    pub(crate) data: Vec<RData>,
    /// How long they hold, in seconds.
    pub(crate) ttl_s: u32,
}

/// Why there is nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// There is no such name.
    #[error("no such name")]
    NoSuchName,
    /// The name has no record of this kind.
    #[error("no such record")]
    NoSuchRecord,
    /// No name server answered, or none that could.
    #[error("no answer")]
    NoAnswer(#[source] Box<NetError>),
    /// No name server answered in time.
    #[error("no answer in time")]
    TimedOut,
}

/// Asks name servers.
#[derive(Debug)]
pub(crate) struct NameServers {
    resolver: TokioResolver,
}

impl NameServers {
    /// Asks the given servers, or those of `/etc/resolv.conf` if there are none.
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, EgressError> {
        let wrong = |error: NetError| EgressError::Resolver(error.into());
        let provider = TokioRuntimeProvider::default();
        let mut builder = if servers.is_empty() {
            Resolver::builder(provider).map_err(wrong)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            Resolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
        };
        set_bounds(builder.options_mut());
        Ok(Self { resolver: builder.build().map_err(wrong)? })
    }

    /// The records of one kind that a name has.
    pub(crate) async fn records(&self, name: &DomainName, kind: RecordType) -> Result<Found, Unresolved> {
        let Ok(mut wire_name) = Name::from_ascii(name.as_str()) else { return Err(Unresolved::NoSuchName) };
        // Else the host's own search list would be tried.
        wire_name.set_fqdn(true);
        let lookup = tokio::time::timeout(limits::RESOLVE_TIMEOUT, self.resolver.lookup(wire_name, kind));
        let lookup = lookup.await.map_err(|_| Unresolved::TimedOut)?.map_err(sort)?;
        let records = lookup.answers().iter().filter(|record| record.data.record_type() == kind);
        let mut found = Found { data: Vec::new(), ttl_s: limits::TTL_MAX_S };
        for record in records.take(limits::ANSWER_RECORDS) {
            found.ttl_s = found.ttl_s.min(record.ttl).max(limits::TTL_MIN_S);
            found.data.push(record.data.clone());
        }
        if found.data.is_empty() { Err(Unresolved::NoSuchRecord) } else { Ok(found) }
    }

    /// Every address of a name, those of the kind of `first` before the others.
    pub(crate) async fn addresses(
        &self,
        name: &DomainName,
        first: IpAddr,
    ) -> Result<Vec<IpAddr>, Unresolved> {
        let (v4, v6) = tokio::join!(self.records(name, RecordType::A), self.records(name, RecordType::AAAA));
        let (first, second) = if first.is_ipv4() { (v4, v6) } else { (v6, v4) };
        match (first, second) {
            (Err(why), Err(_)) => Err(why),
            (first, second) => {
                Ok([first, second].into_iter().flatten().flat_map(|found| addresses_of(&found)).collect())
            }
        }
    }
}

/// The addresses among records.
pub(crate) fn addresses_of(found: &Found) -> Vec<IpAddr> {
    found.data.iter().filter_map(RData::ip_addr).collect()
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections.to_vec())
}

fn set_bounds(options: &mut ResolverOpts) {
    // The host's own names are the host's own.
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = false;
    options.timeout = limits::NAME_SERVER_TIMEOUT;
    options.cache_size = limits::CACHE_ANSWERS;
    options.max_active_requests = limits::UPSTREAM_QUERIES;
    options.positive_max_ttl = Some(Duration::from_secs(limits::TTL_MAX_S.into()));
    options.negative_max_ttl = Some(limits::NEGATIVE_TTL_MAX);
}

fn sort(error: NetError) -> Unresolved {
    match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Unresolved::NoSuchName,
            ResponseCode::NoError => Unresolved::NoSuchRecord,
            _ => Unresolved::NoAnswer(Box::new(error)),
        },
        NetError::Timeout => Unresolved::TimedOut,
        _ => Unresolved::NoAnswer(Box::new(error)),
    }
}
