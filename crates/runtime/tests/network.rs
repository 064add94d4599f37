//! What packets of a sandbox reach, by its policy, and what they never reach.

mod support;

use std::io::Write as _;

use lazaret_core::ports::{Runtime as _, RuntimeSpec};
use lazaret_core::{Allowlist, EgressPolicy, SandboxId};
use lazaret_runtime::{GatewaySockets, NetworkConfig};
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use support::world::{
    ECHO, HOST_SERVICE, HOST_V4, HOST_V6, OTHER_PUBLIC_V4, PUBLIC_V4, PUBLIC_V6, WEB, World,
};
use support::{Host, eventually};

/// Tries `protocol/address/port` each, all at once; a line of what came of it for each, in their order.
const PROBE: &str = r#"
import concurrent.futures, errno, socket, sys
def probe(target):
    protocol, address, port = target.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as s:
        s.settimeout(4)
        try:
            s.connect((address, int(port)))
            if protocol == "udp":
                s.send(b"echo")
            return "open " + s.recv(200).decode()
        except TimeoutError:
            return "silent"
        except OSError as e:
            return "closed " + errno.errorcode.get(e.errno, str(e))
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print("\n".join(pool.map(probe, sys.argv[1:])))
"#;

/// What comes of a datagram that is refused: a word, or nothing, because the kernel says only so many words a second.
const NO_ECHO: &str = "no echo";

struct Net {
    host: Host,
    // Dropped after the runtime, which lives in it.
    world: World,
}

impl Net {
    fn new(opened: &[&str]) -> Self {
        let (net, sockets) = Self::unanswered(opened);
        answer(sockets);
        net
    }

    /// Nobody answers at the gateway's sockets yet.
    fn unanswered(opened: &[&str]) -> (Self, GatewaySockets) {
        let world = World::enter();
        let mut host = Host::not_launched();
        let opened = opened.iter().map(|text| text.parse().unwrap()).collect();
        host.set_network(NetworkConfig { opened, ..NetworkConfig::default() });
        host.launch();
        let sockets = host.runtime().gateway_sockets();
        let sockets = sockets.unwrap_or_else(|| panic!("{:?}", host.runtime().network_refusal()));
        (Self { host, world }, sockets)
    }

    async fn sandbox(&self, policy: EgressPolicy) -> RuntimeSpec {
        self.host.start(RuntimeSpec { network: policy, ..self.host.spec() }).await
    }

    async fn probe(&self, id: SandboxId, targets: &[String]) -> Vec<String> {
        let output = self.host.shell(id, &format!("python3 -c '{PROBE}' {}", targets.join(" "))).await;
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), targets.len(), "{output}");
        lines
    }

    /// What became of each target, beside what should.
    async fn check(&self, id: SandboxId, wanted: &[(String, &str)]) {
        let targets: Vec<String> = wanted.iter().map(|(target, _)| target.clone()).collect();
        let got = self.probe(id, &targets).await;
        let wrong: Vec<String> = wanted
            .iter()
            .zip(&got)
            .filter(|((_, want), got)| match *want {
                NO_ECHO => got.starts_with("open"),
                want => !got.starts_with(want),
            })
            .map(|((target, want), got)| format!("{target}: {got}, not {want}"))
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
    }

    fn traces(&self) -> Vec<String> {
        self.world.traces(&self.host.config().cgroup_name)
    }
}

fn tcp(address: &str, port: u16) -> String {
    format!("tcp/{address}/{port}")
}

fn udp(address: &str, port: u16) -> String {
    format!("udp/{address}/{port}")
}

fn allow(cidrs: &[&str]) -> EgressPolicy {
    let names = if cidrs.is_empty() { &["example.com"][..] } else { &[] };
    EgressPolicy::Allowlist(Allowlist::parse(names, cidrs).unwrap())
}

/// In place of the egress adapter: says which socket was reached, and where the connection was to go.
fn answer(sockets: GatewaySockets) {
    let GatewaySockets { v4, v6 } = sockets;
    for family in [v4, v6.expect("IPv6")] {
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, peer)) = family.dns_udp.recv_from(&mut buffer) {
                let _ = family.dns_udp.send_to(b"resolver", peer);
            }
        });
        std::thread::spawn(move || {
            for stream in family.dns_tcp.incoming() {
                let _ = stream.unwrap().write_all(b"resolver");
            }
        });
        std::thread::spawn(move || {
            for stream in family.proxy_tcp.incoming() {
                let mut stream = stream.unwrap();
                let to = ip_original_dst(&stream)
                    .map(|to| to.to_string())
                    .or_else(|_| ipv6_original_dst(&stream).map(|to| to.to_string()));
                let _ = stream.write_all(format!("proxy for {}", to.unwrap()).as_bytes());
            }
        });
    }
}

/// What no policy opens: the host by every name, everything that is not public, and what a router might unpack.
fn never() -> Vec<(String, &'static str)> {
    let mut never = Vec::new();
    for address in [HOST_V4, HOST_V6, "100.96.255.0", "100.96.255.1", "fd6c:617a:6172::ffff:0"] {
        never.push((tcp(address, HOST_SERVICE), "closed"));
    }
    for address in [
        "169.254.169.254",
        "168.63.129.16",
        "10.2.0.5",
        "172.16.0.5",
        "192.168.7.5",
        "100.64.0.9",
        "198.18.0.9",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "fd00:1::5",
        "2001:db8::9",
        "64:ff9b::102:304",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::ffff:169.254.169.254",
        "::1",
        "fec0::1",
    ] {
        never.push((tcp(address, WEB), "closed"));
        if address != "255.255.255.255" {
            never.push((udp(address, ECHO), NO_ECHO));
        }
    }
    never
}

#[tokio::test]
async fn the_internet_is_public_addresses_over_both_families_and_nothing_else() {
    let net = Net::new(&["10.1.0.0/16"]);
    let sandbox = net.sandbox(EgressPolicy::Internet).await;
    let neighbour = net.sandbox(EgressPolicy::Internet).await;
    net.host.background(neighbour.id, "python3 -m http.server --bind :: 8000").await;
    let inside = vec![tcp("127.0.0.1", WEB)];
    eventually("the neighbour serves", async || {
        !net.probe(neighbour.id, &inside).await[0].starts_with("closed")
    })
    .await;

    let from_host = format!("open web to {HOST_V4}");
    let mut wanted = never();
    wanted.extend([
        (tcp(PUBLIC_V4, WEB), from_host.as_str()),
        (tcp(PUBLIC_V6, WEB), "open web to 2606:2800:220:1::1"),
        (tcp(OTHER_PUBLIC_V4, WEB), "open web"),
        (udp(PUBLIC_V4, ECHO), "open echo"),
        (udp(PUBLIC_V6, ECHO), "open echo"),
        // The operator has opened it.
        (tcp("10.1.0.5", WEB), "open web"),
        // Names are asked of the gateway, whoever was meant.
        (udp(PUBLIC_V4, 53), "open resolver"),
        (tcp(PUBLIC_V6, 53), "open resolver"),
        (udp("169.254.169.254", 53), "open resolver"),
        (udp("100.96.0.1", 53), "open resolver"),
        // The neighbour, and other ports of the gateway.
        (tcp("100.96.0.17", WEB), "closed"),
        (tcp("fd6c:617a:6172::11", WEB), "closed"),
        (udp("100.96.0.17", WEB), NO_ECHO),
        (tcp("100.96.0.1", 3129), "closed"),
        (tcp("100.96.0.1", 22), "closed"),
        (tcp("fd6c:617a:6172::1", 3129), "closed"),
    ]);
    net.check(sandbox.id, &wanted).await;

    // What a program inside sees is a network like any other.
    assert_eq!(net.host.shell(sandbox.id, "cat /etc/resolv.conf").await, "nameserver 100.96.0.1\n");
    let links = net.host.shell(sandbox.id, "ls /sys/class/net").await;
    assert!(links.contains("eth0"), "{links}");
    net.host.finish().await;
}

#[tokio::test]
async fn an_allow_list_leads_to_the_resolver_the_proxy_and_its_networks() {
    let net = Net::new(&[]);
    let sandbox = net.sandbox(allow(&["1.2.3.0/24"])).await;
    let proxied = |address: &str| format!("open proxy for {address}:{WEB}");
    let (to_v4, to_v6) = (proxied(PUBLIC_V4), proxied(&format!("[{PUBLIC_V6}]")));
    let (to_metadata, to_host) =
        (proxied("169.254.169.254"), format!("open proxy for {HOST_V4}:{HOST_SERVICE}"));
    net.check(
        sandbox.id,
        &[
            (tcp(PUBLIC_V4, WEB), to_v4.as_str()),
            (tcp(PUBLIC_V6, WEB), to_v6.as_str()),
            (tcp(OTHER_PUBLIC_V4, WEB), "open web"),
            (udp(OTHER_PUBLIC_V4, ECHO), "open echo"),
            (udp(PUBLIC_V4, ECHO), NO_ECHO),
            (udp(PUBLIC_V6, ECHO), NO_ECHO),
            // QUIC is UDP.
            (udp(PUBLIC_V4, 443), NO_ECHO),
            (udp(OTHER_PUBLIC_V4, 53), "open resolver"),
            (tcp(PUBLIC_V4, 53), "open resolver"),
            // Addresses are the proxy's to judge; nothing gets there but through it.
            (tcp("169.254.169.254", WEB), to_metadata.as_str()),
            (tcp(HOST_V4, HOST_SERVICE), to_host.as_str()),
            (udp("169.254.169.254", ECHO), NO_ECHO),
            (udp("10.1.0.5", ECHO), NO_ECHO),
        ],
    )
    .await;
    net.host.finish().await;
}

#[tokio::test]
async fn a_sandbox_without_a_network_has_loopback_alone() {
    let net = Net::new(&[]);
    let sandbox = net.sandbox(EgressPolicy::Disabled).await;
    let mut wanted = never();
    wanted.push((tcp(PUBLIC_V4, WEB), "closed ENETUNREACH"));
    wanted.push((udp("100.96.0.1", 53), "closed ENETUNREACH"));
    net.check(sandbox.id, &wanted).await;
    assert_eq!(net.host.shell(sandbox.id, "ls /sys/class/net").await, "lo\n");
    net.host.finish().await;
}

#[tokio::test]
async fn a_sandbox_that_sends_from_another_address_or_by_another_protocol_is_not_heard() {
    let net = Net::new(&[]);
    let sandbox = net.sandbox(EgressPolicy::Internet).await;
    let neighbour = net.sandbox(EgressPolicy::Internet).await;
    let pid = net.host.runtime().start(&sandbox).await.unwrap().pid.to_string();
    // With the host's privileges in the sandbox's network, which no tenant has.
    let inside = |program: &[&str]| {
        let output = std::process::Command::new("nsenter").args(["-t", &pid, "-n"]).args(program).output();
        let output = output.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let neighbours = net.host.runtime().start(&neighbour).await.unwrap().addresses.unwrap();
    let connect_from = |source: &str, target: &str| {
        let script = "import socket, sys\n\
            s = socket.create_connection((sys.argv[2], 8000), 1, (sys.argv[1], 0))\n\
            print('heard', s.recv(100))";
        inside(&["python3", "-c", script, source, target])
    };
    let (v4, v6) = (neighbours.v4.to_string(), neighbours.v6.unwrap().to_string());
    for (spoofed, target) in
        [(v4.as_str(), PUBLIC_V4), (v6.as_str(), PUBLIC_V6), ("10.9.9.9", PUBLIC_V4), (HOST_V4, PUBLIC_V4)]
    {
        assert_eq!(inside(&["ip", "address", "add", spoofed, "dev", "eth0"]), "");
        let got = connect_from(spoofed, target);
        assert!(got.contains("timed out"), "{spoofed}: {got}");
    }
    let own = net.host.runtime().start(&sandbox).await.unwrap().addresses.unwrap();
    assert!(connect_from(&own.v4.to_string(), PUBLIC_V4).contains("heard"));

    // No neighbour can be asked for or answered for: the cables know no ARP and no ND.
    assert!(inside(&["ip", "link", "show", "eth0"]).contains("NOARP"));
    assert_eq!(inside(&["ip", "neighbour", "show", "dev", "eth0", "nud", "reachable"]), "");
    assert!(!inside(&["ip", "address", "show", "eth0"]).contains("fe80:"));
    net.host.finish().await;
}

#[tokio::test]
async fn a_change_of_policy_holds_at_once_for_open_connections_too() {
    let net = Net::new(&[]);
    let sandbox = net.sandbox(EgressPolicy::Internet).await;
    let talk = "import socket, sys, time\n\
        s = socket.create_connection((sys.argv[1], 8000), 5)\n\
        s.recv(100)\n\
        while True:\n\
        \x20   s.sendall(b\"x\")\n\
        \x20   print(s.recv(1), flush=True)\n\
        \x20   time.sleep(0.01)\n";
    net.host
        .background(
            sandbox.id,
            &format!("python3 -uc '{talk}' {PUBLIC_V4} > /tmp/said 2>&1; echo ended >> /tmp/said"),
        )
        .await;
    let said = async || net.host.shell(sandbox.id, "cat /tmp/said 2>/dev/null").await;
    eventually("they talk", async || said().await.contains("b'x'")).await;

    let runtime = net.host.runtime();
    let addresses = runtime.set_network(sandbox.id, &allow(&["1.2.3.4"])).await.unwrap();
    assert_eq!(addresses, runtime.start(&sandbox).await.unwrap().addresses);
    eventually("the open connection ends", async || said().await.contains("ended")).await;
    assert!(said().await.contains("ConnectionResetError"), "{}", said().await);
    let proxied = format!("open proxy for {PUBLIC_V4}:{WEB}");
    net.check(
        sandbox.id,
        &[(tcp(PUBLIC_V4, WEB), proxied.as_str()), (tcp(OTHER_PUBLIC_V4, WEB), "open web")],
    )
    .await;

    assert_eq!(runtime.set_network(sandbox.id, &EgressPolicy::Disabled).await.unwrap(), None);
    let silent = [(tcp(PUBLIC_V4, WEB), "silent"), (udp("100.96.0.1", 53), "silent")];
    net.check(sandbox.id, &silent).await;

    // One that never had a network gets one.
    let other = net.sandbox(EgressPolicy::Disabled).await;
    let addresses = runtime.set_network(other.id, &EgressPolicy::Internet).await.unwrap().unwrap();
    assert_eq!(runtime.start(&other).await.unwrap().addresses, Some(addresses));
    net.check(other.id, &[(tcp(PUBLIC_V4, WEB), "open web"), (tcp(PUBLIC_V6, WEB), "open web")]).await;
    net.host.finish().await;
}

#[tokio::test]
async fn networks_outlive_their_server_and_go_with_the_last_sandbox() {
    let (mut net, sockets) = Net::unanswered(&[]);
    drop(sockets);
    let internet = net.sandbox(EgressPolicy::Internet).await;
    let listed = net.sandbox(allow(&["1.2.3.4"])).await;
    let before = net.host.runtime().start(&internet).await.unwrap().addresses;

    net.host.lose_server();
    // Nobody needs to be there for packets to pass.
    assert_eq!(net.traces().len(), 3, "{:?}", net.traces());
    net.host.launch();
    answer(net.host.runtime().gateway_sockets().expect("the sockets of the gateway that was found"));
    let adopted = net.host.runtime().adopt().await.unwrap();
    let found = |id| adopted.iter().find(|adopted| adopted.id == id).unwrap().addresses;
    assert_eq!(found(internet.id), before);
    assert!(found(listed.id).is_some_and(|addresses| Some(addresses) != before));

    let new = net.sandbox(EgressPolicy::Internet).await;
    let addresses = net.host.runtime().start(&new).await.unwrap().addresses.unwrap();
    assert!(adopted.iter().all(|adopted| adopted.addresses.is_some_and(|known| known.v4 != addresses.v4)));
    for id in [internet.id, new.id] {
        net.check(id, &[(tcp(PUBLIC_V4, WEB), "open web"), (udp(PUBLIC_V4, 53), "open resolver")]).await;
    }
    net.check(listed.id, &[(tcp(OTHER_PUBLIC_V4, WEB), "open web"), (udp(PUBLIC_V4, ECHO), NO_ECHO)]).await;

    // A spawner that dies is followed by one that knows all this.
    rustix::process::kill_process(support::spawner(), rustix::process::Signal::KILL).unwrap();
    eventually("the next spawner answers", async || {
        net.host.runtime().set_network(listed.id, &EgressPolicy::Internet).await.is_ok()
    })
    .await;
    net.check(listed.id, &[(udp(PUBLIC_V4, ECHO), "open echo"), (udp(PUBLIC_V4, 53), "open resolver")]).await;
    net.check(new.id, &[(tcp(PUBLIC_V6, WEB), "open web")]).await;

    net.host.finish().await;
    net.host.lose_server();
    eventually("nothing is left", async || net.traces().is_empty()).await;
}

#[tokio::test]
async fn a_sandbox_that_opens_connections_without_end_is_held_back_and_its_neighbour_is_not() {
    let net = Net::new(&[]);
    let greedy = net.sandbox(EgressPolicy::Internet).await;
    let modest = net.sandbox(EgressPolicy::Internet).await;
    let flood = format!(
        "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.bind((\"0.0.0.0\", 0))\n\
        s.settimeout(2)\n\
        for port in range(10000, 14000): s.sendto(b\"?\", (\"{PUBLIC_V4}\", port))\n\
        s.sendto(b\"?\", (\"{PUBLIC_V4}\", {ECHO}))\n\
        try: s.recv(10); print(\"answered\")\n\
        except TimeoutError: print(\"held back\")\n\
        except OSError as e: print(e)\n"
    );
    assert_eq!(net.host.shell(greedy.id, &format!("python3 -c '{flood}'")).await, "held back\n");
    net.check(modest.id, &[(udp(PUBLIC_V4, ECHO), "open echo"), (tcp(PUBLIC_V4, WEB), "open web")]).await;
    eventually("it may go on after a while", async || {
        net.probe(greedy.id, &[udp(PUBLIC_V4, ECHO)]).await[0] == "open echo"
    })
    .await;
    net.host.finish().await;
}

#[tokio::test]
async fn where_the_host_forwards_nothing_names_alone_can_be_allowed() {
    let net = Net::new(&[]);
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let spec = RuntimeSpec { network: EgressPolicy::Internet, ..net.host.spec() };
    let refused = net.host.runtime().create(&spec).await.unwrap_err();
    assert!(refused.to_string().contains("ip_forward"), "{refused}");
    let sandbox = net.sandbox(allow(&[])).await;
    net.check(sandbox.id, &[(tcp(PUBLIC_V4, WEB), "open proxy"), (udp(PUBLIC_V4, 53), "open resolver")])
        .await;
    net.host.finish().await;
}
