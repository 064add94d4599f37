//! A gateway, sandboxes that are addresses of loopback, and an Internet: names, addresses, and who answers there.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use lazaret_core::ports::{Gateway, SandboxAddresses, Tenant};
use lazaret_core::{
    AccountId, Allowlist, DomainSecrets, EgressBounds, EgressPolicy, ManualClock, SandboxId, Timestamp,
};
use lazaret_egress::{EgressConfig, EgressGateway, Exit, Listeners, OriginalDestination};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Nothing here waits for anything but another task of this process.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The sandbox of most tests, and one beside it. Whoever sends from another address is a stranger.
pub(crate) const SANDBOX: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(crate) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// Addresses that only this Internet has, and that are public by their looks.
pub(crate) const HOST_A: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 1);
pub(crate) const HOST_B: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 2);

/// Waits for `future`, and not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}

#[derive(Default)]
struct Internet {
    records: Mutex<HashMap<(String, RecordType), Vec<RData>>>,
    hosts: Mutex<HashMap<SocketAddr, SocketAddr>>,
    own: Mutex<Vec<IpAddr>>,
    /// Where each connection, known by its port, wanted to go.
    wanted: Mutex<HashMap<u16, SocketAddr>>,
}

pub(crate) struct World {
    pub(crate) gateway: EgressGateway,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) dns_udp: SocketAddr,
    pub(crate) dns_tcp: SocketAddr,
    proxy: SocketAddr,
    internet: Arc<Internet>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::bounded(EgressBounds::default()).await
    }

    pub(crate) async fn bounded(bounds: EgressBounds) -> Self {
        Self::configured(EgressConfig { bounds, ..EgressConfig::default() }).await
    }

    pub(crate) async fn configured(config: EgressConfig) -> Self {
        let internet = Arc::new(Internet::default());
        let name_server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstream = name_server.local_addr().unwrap();
        tokio::spawn(answer_names(Arc::clone(&internet), name_server));
        let listeners = Listeners {
            dns_udp: vec![std::net::UdpSocket::bind("127.0.0.1:0").unwrap()],
            dns_tcp: vec![std::net::TcpListener::bind("127.0.0.1:0").unwrap()],
            proxy_tcp: vec![std::net::TcpListener::bind("127.0.0.1:0").unwrap()],
        };
        let dns_udp = listeners.dns_udp[0].local_addr().unwrap();
        let dns_tcp = listeners.dns_tcp[0].local_addr().unwrap();
        let proxy = listeners.proxy_tcp[0].local_addr().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_micros(0)));
        let config = EgressConfig { upstream_dns: vec![upstream], ..config };
        let gateway = EgressGateway::start_with(
            config,
            listeners,
            Arc::clone(&clock) as _,
            Arc::clone(&internet) as _,
            Arc::clone(&internet) as _,
        );
        Self { gateway: gateway.unwrap(), clock, dns_udp, dns_tcp, proxy, internet }
    }

    /// A world in which [`SANDBOX`] may reach `domains` and `cidrs`.
    pub(crate) async fn with_list(domains: &[&str], cidrs: &[&str]) -> Self {
        let world = Self::new().await;
        world.admit(SANDBOX, list(domains, cidrs)).await;
        world
    }

    pub(crate) async fn admit(&self, sandbox: Ipv4Addr, policy: EgressPolicy) {
        self.admit_with(sandbox, policy, None).await;
    }

    pub(crate) async fn admit_with(
        &self,
        sandbox: Ipv4Addr,
        policy: EgressPolicy,
        secrets: Option<Arc<DomainSecrets>>,
    ) {
        let addresses = SandboxAddresses { v4: sandbox, v6: None };
        let account = AccountId::from_bytes([9; 16]);
        let tenant = Tenant { id: id(sandbox), account, addresses, policy, secrets };
        self.gateway.admit(tenant).await.unwrap();
    }

    /// Gives `name` these addresses and no others.
    pub(crate) fn name(&self, name: &str, addresses: &[Ipv4Addr]) {
        let data = addresses.iter().map(|address| RData::A((*address).into())).collect();
        self.record(name, RecordType::A, data);
    }

    pub(crate) fn alias(&self, name: &str, target: &str) {
        let target = CNAME(Name::from_ascii(format!("{target}.")).unwrap());
        self.record(name, RecordType::CNAME, vec![RData::CNAME(target)]);
    }

    pub(crate) fn text(&self, name: &str, text: &str) {
        self.record(name, RecordType::TXT, vec![RData::TXT(TXT::new(vec![text.to_owned()]))]);
    }

    fn record(&self, name: &str, kind: RecordType, data: Vec<RData>) {
        self.internet.records.lock().unwrap().insert((name.to_owned(), kind), data);
    }

    /// Says that an address is this host's.
    pub(crate) fn own(&self, address: Ipv4Addr) {
        self.internet.own.lock().unwrap().push(address.into());
    }

    /// A host of this Internet that listens.
    pub(crate) async fn host(&self, address: impl Into<IpAddr>, port: u16) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = SocketAddr::new(address.into(), port);
        self.internet.hosts.lock().unwrap().insert(at, listener.local_addr().unwrap());
        listener
    }

    /// A connection of `sandbox` to `to`, which the packet level brought to the proxy.
    pub(crate) async fn connect(&self, sandbox: Ipv4Addr, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(sandbox.into(), 0)).unwrap();
        let from = socket.local_addr().unwrap();
        self.internet.wanted.lock().unwrap().insert(from.port(), to);
        soon(socket.connect(self.proxy)).await.unwrap()
    }

    /// What the gateway says to a query of `sandbox`.
    pub(crate) async fn ask(&self, sandbox: Ipv4Addr, name: &str, kind: RecordType) -> Message {
        let socket = UdpSocket::bind((sandbox, 0)).await.unwrap();
        socket.send_to(&query(name, kind), self.dns_udp).await.unwrap();
        let mut reply = [0; 4096];
        let length = soon(socket.recv(&mut reply)).await.unwrap();
        Message::from_vec(&reply[..length]).unwrap()
    }

    /// The addresses that `sandbox` is told for a name, or the code that it is told instead.
    pub(crate) async fn resolve(&self, sandbox: Ipv4Addr, name: &str) -> Result<Vec<IpAddr>, ResponseCode> {
        let reply = self.ask(sandbox, name, RecordType::A).await;
        match reply.metadata.response_code {
            ResponseCode::NoError => {
                Ok(reply.answers.iter().filter_map(|record| record.data.ip_addr()).collect())
            }
            code => Err(code),
        }
    }

    /// The next `count` refusals, as text.
    pub(crate) async fn denied(&self, count: u64) -> Vec<String> {
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        while told.values().sum::<u64>() < count {
            for denial in soon(self.gateway.denied()).await {
                *told.entry(format!("{}: {}", denial.destination, denial.reason)).or_default() +=
                    denial.count;
            }
        }
        told.into_iter().map(|(what, count)| format!("{what} x{count}")).collect()
    }
}

pub(crate) fn list(domains: &[&str], cidrs: &[&str]) -> EgressPolicy {
    EgressPolicy::Allowlist(Allowlist::parse(domains, cidrs).unwrap())
}

pub(crate) fn id(sandbox: Ipv4Addr) -> SandboxId {
    SandboxId::from_bytes([sandbox.octets()[3]; 16])
}

pub(crate) fn to(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// A query for a name, in which `^` stands for a NUL and `!` for a dot inside a label.
pub(crate) fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let labels: Vec<_> =
        labels.map(|label| label.replace('^', "\0").replace('!', ".").into_bytes()).collect();
    let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
    name.set_fqdn(true);
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    message.to_vec().unwrap()
}

/// Everything until the other end has no more; what a reset cut off is left out.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match soon(stream.read_to_end(&mut bytes)).await {
        Ok(_) => bytes,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("{error}"),
    }
}

/// Says `said` on a connection and reads all that comes back.
pub(crate) async fn exchange(mut stream: TcpStream, said: &[u8]) -> Vec<u8> {
    soon(stream.write_all(said)).await.unwrap();
    read_to_end(&mut stream).await
}

#[async_trait]
impl Exit for Internet {
    fn is_own(&self, address: IpAddr) -> bool {
        self.own.lock().unwrap().contains(&address)
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let host = self.hosts.lock().unwrap().get(&to).copied();
        TcpStream::connect(host.ok_or(io::ErrorKind::ConnectionRefused)?).await
    }
}

impl OriginalDestination for Internet {
    fn of(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        let from = stream.peer_addr()?;
        self.wanted.lock().unwrap().get(&from.port()).copied().ok_or(io::ErrorKind::NotFound.into())
    }
}

async fn answer_names(internet: Arc<Internet>, socket: UdpSocket) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let asked = Message::from_vec(&buffer[..length]).unwrap();
        let reply = internet.reply(&asked);
        socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
    }
}

impl Internet {
    /// What a recursive name server says: aliases with what they lead to, and no time to live, so that nothing is kept.
    fn reply(&self, asked: &Message) -> Message {
        let records = self.records.lock().unwrap();
        let question = &asked.queries[0];
        let mut reply = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        let mut name = question.name.to_lowercase();
        let key = |name: &Name, kind| (name.to_ascii().trim_end_matches('.').to_owned(), kind);
        while let Some([RData::CNAME(target)]) =
            records.get(&key(&name, RecordType::CNAME)).map(Vec::as_slice)
        {
            reply.add_answer(Record::from_rdata(name, 0, RData::CNAME(target.clone())));
            name = target.0.clone();
        }
        match records.get(&key(&name, question.query_type)) {
            Some(data) => {
                reply.add_answers(data.iter().map(|data| Record::from_rdata(name.clone(), 0, data.clone())));
            }
            None if records.keys().any(|(known, _)| *known == key(&name, RecordType::A).0) => {}
            None => reply.metadata.response_code = ResponseCode::NXDomain,
        }
        reply
    }
}
