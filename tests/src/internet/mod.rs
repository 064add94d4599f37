//! An Internet of the tests' own, since none is reachable where they run and none should be.
//!
//! ```text
//!   the test's thread, its server and its sandboxes          a thread per listener
//!   ┌ a network namespace ────────────┐   veth   ┌ another ─────────────────────────────────┐
//!   │ 81.2.69.2, 2a01:4f8::2          │◀────────▶│ 81.2.69.1: default gateway               │
//!   │ services of the host itself     │          │ RESOLVER  every name of `NAMES`          │
//!   └─────────────────────────────────┘          │ ALLOWED · OTHER · METADATA · PRIVATE     │
//!                                                └──────────────────────────────────────────┘
//! ```
//!
//! Every host listens on the same ports and notes whom it hears: a test that says "nothing reaches OTHER" reads that list.
//! The addresses look public, or private, as their roles want; they exist nowhere but here. Both namespaces are nobody's
//! but this process's and go with it.

mod hosts;
mod names;
mod trust;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use anyhow::{Context, Result, ensure};

pub use names::NAMES;

/// The name server.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(93, 184, 0, 53);
/// The host that tests allow.
pub const ALLOWED: Ipv4Addr = Ipv4Addr::new(93, 184, 0, 10);
/// The same over IPv6.
pub const ALLOWED_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x10);
/// A host that tests do not allow.
pub const OTHER: Ipv4Addr = Ipv4Addr::new(93, 184, 0, 20);
/// The same over IPv6.
pub const OTHER_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x20);
/// Where clouds tell machines their secrets.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// A neighbour of the host.
pub const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The host that the sandboxes are on, as this Internet sees it.
pub const HOST: Ipv4Addr = Ipv4Addr::new(81, 2, 69, 2);

const GATEWAY: Ipv4Addr = Ipv4Addr::new(81, 2, 69, 1);
/// The same over IPv6.
pub const HOST_V6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x4f8, 0, 0, 0, 0, 0, 2);
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x4f8, 0, 0, 0, 0, 0, 1);

/// The addresses at which hosts answer.
const HOSTS: [IpAddr; 6] = [
    IpAddr::V4(ALLOWED),
    IpAddr::V6(ALLOWED_V6),
    IpAddr::V4(OTHER),
    IpAddr::V6(OTHER_V6),
    IpAddr::V4(METADATA),
    IpAddr::V4(PRIVATE),
];

/// A visit that a host noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Where the visitor came to.
    pub to: SocketAddr,
    /// Where it seemed to come from.
    pub from: IpAddr,
    /// The first that it said, or what was understood of it: a request's first line and Host, a datagram's length.
    pub said: String,
}

/// Everything outside.
pub struct Internet {
    visits: Arc<Mutex<Vec<Visit>>>,
    certificate: String,
    /// The namespace of everything outside, as a path.
    outside: String,
}

impl Internet {
    /// Moves the calling thread, and whatever it starts from now on, into a network of its own with this Internet as all
    /// that lies outside. To be called before other threads are started.
    ///
    /// # Errors
    /// If this is not root, or `ip` is missing.
    pub fn enter() -> Result<Self> {
        leave_the_network()?;
        let visits = Arc::default();
        let authority = Arc::new(trust::Authority::new()?);
        let (ready, outside_is) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let (noted, trusted) = (Arc::clone(&visits), Arc::clone(&authority));
        thread::spawn(move || {
            let listeners = leave_the_network().and_then(|()| {
                let here = format!("/proc/{}/task/{}/ns/net", std::process::id(), thread_id());
                ready.send(here).context("the other side has gone")?;
                opened.recv().context("the other side has gone")?;
                hosts::open(&HOSTS, RESOLVER)
            });
            let outcome = listeners.map(|listeners| hosts::serve(listeners, &noted, &trusted));
            let here = outcome.map_or_else(|error| format!("failed: {error:#}"), |()| "open".to_owned());
            // A test that has ended does not want to know.
            let _ = ready.send(here);
            // The namespace lives as long as a thread or a socket is in it.
            loop {
                thread::park();
            }
        });
        let outside = outside_is.recv().context("the Internet did not come up")?;
        ip(&["link", "set", "lo", "up"])?;
        connect(&outside)?;
        open.send(()).context("the Internet has gone")?;
        let outcome = outside_is.recv().context("the Internet did not come up")?;
        ensure!(outcome == "open", "the Internet {outcome}");
        let internet = Self { visits, certificate: authority.certificate(), outside };
        internet.listen_on_the_host()?;
        Ok(internet)
    }

    /// The certificate of the authority that vouches for every name here, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The settings that make a server ask this Internet for names.
    pub fn settings(&self) -> String {
        format!("[network]\ndns_servers = [\"{RESOLVER}:53\"]\n")
    }

    /// A command that is run outside, with this machine's files and the Internet's network.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.outside)).arg(program);
        command
    }

    /// What has been noted at `address` so far; at any port, over any protocol.
    pub fn visits(&self, address: impl Into<IpAddr>) -> Vec<Visit> {
        let address = address.into();
        let visits = self.visits.lock().expect("no panic under this lock");
        visits.iter().filter(|visit| visit.to.ip() == address).cloned().collect()
    }

    /// Services of the host that no sandbox may reach.
    fn listen_on_the_host(&self) -> Result<()> {
        for (address, port) in [(HOST, 80), (HOST, 9999), (Ipv4Addr::LOCALHOST, 9999)] {
            hosts::note_connections(SocketAddr::new(address.into(), port), &self.visits)?;
        }
        Ok(())
    }
}

/// Gives the calling thread an empty network.
fn leave_the_network() -> Result<()> {
    #[expect(
        deprecated,
        reason = "it is called unsafe for the sake of tables of descriptors, which stay shared here"
    )]
    let left = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET);
    left.context("make a network namespace, as root")
}

fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_pid()
}

/// Lays the cable between the two networks, from the inside.
fn connect(outside: &str) -> Result<()> {
    ip(&["link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", outside])?;
    let here = |arguments: &[&str]| ip(arguments);
    let enter = format!("--net={outside}");
    let there = |arguments: &[&str]| run(Command::new("nsenter").arg(&enter).arg("ip").args(arguments));
    here(&["address", "add", &format!("{HOST}/24"), "dev", "up0"])?;
    here(&["address", "add", &format!("{HOST_V6}/64"), "dev", "up0", "nodad"])?;
    here(&["link", "set", "up0", "up"])?;
    there(&["link", "set", "lo", "up"])?;
    there(&["address", "add", &format!("{GATEWAY}/24"), "dev", "down0"])?;
    there(&["address", "add", &format!("{GATEWAY_V6}/64"), "dev", "down0", "nodad"])?;
    there(&["link", "set", "down0", "up"])?;
    for address in HOSTS.into_iter().chain([IpAddr::V4(RESOLVER)]) {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        there(&["address", "add", &format!("{address}/{whole}"), "dev", "lo", "nodad"])?;
    }
    // A packet with a foreign source comes back all the same, so that a test sees what was let out.
    there(&["route", "add", "default", "via", &HOST.to_string()])?;
    there(&["-6", "route", "add", "default", "via", &HOST_V6.to_string()])?;
    here(&["route", "add", "default", "via", &GATEWAY.to_string()])?;
    here(&["-6", "route", "add", "default", "via", &GATEWAY_V6.to_string()])
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
