//! A machine's network and the world around it, in namespaces of the test's own: the machine that runs the tests has
//! neither its interfaces nor its rules touched.
//!
//! ```text
//!   sandboxes ═ gateway ═ host: 93.184.216.1, 2606:2800:220:1::1 ═══ web: .34, ::34, and on lo addresses of every other kind
//! ```
//!
//! The world answers at each of its addresses and knows no way back but to the host's own address.

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where the world's TCP service and its UDP echo listen.
pub(crate) const WEB: u16 = 8000;
pub(crate) const ECHO: u16 = 9000;
/// A service of the host.
pub(crate) const HOST_SERVICE: u16 = 7777;

pub(crate) const HOST_V4: &str = "93.184.216.1";
pub(crate) const HOST_V6: &str = "2606:2800:220:1::1";
pub(crate) const PUBLIC_V4: &str = "93.184.216.34";
pub(crate) const PUBLIC_V6: &str = "2606:2800:220:1::34";
pub(crate) const OTHER_PUBLIC_V4: &str = "1.2.3.4";

/// On the world's loopback: reachable for the host, and not for a sandbox unless it is public.
const ELSEWHERE: [&str; 12] = [
    "1.2.3.4/32",
    "169.254.169.254/32",
    "168.63.129.16/32",
    "10.1.0.5/32",
    "10.2.0.5/32",
    "172.16.0.5/32",
    "192.168.7.5/32",
    "100.64.0.9/32",
    "198.18.0.9/32",
    "fd00:1::5/128",
    "2001:db8::9/128",
    "64:ff9b::102:304/128",
];

pub(crate) struct World {
    host: String,
    web: String,
}

impl World {
    /// Makes the world and moves this thread, and whatever it starts from now on, onto its host.
    pub(crate) fn enter() -> Self {
        let number = std::process::id();
        let world = Self { host: format!("lzt{number}h"), web: format!("lzt{number}w") };
        let (host, web) = (world.host.as_str(), world.web.as_str());
        ip(&["netns", "add", host]);
        ip(&["netns", "add", web]);
        ip(&["link", "add", "up0", "netns", host, "type", "veth", "peer", "name", "up0", "netns", web]);
        for (namespace, v4, v6) in [
            (host, format!("{HOST_V4}/24"), format!("{HOST_V6}/64")),
            (web, format!("{PUBLIC_V4}/24"), format!("{PUBLIC_V6}/64")),
        ] {
            ip(&["-n", namespace, "address", "add", &v4, "dev", "up0"]);
            ip(&["-n", namespace, "address", "add", &v6, "dev", "up0", "nodad"]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
            ip(&["-n", namespace, "link", "set", "up0", "up"]);
        }
        for address in ELSEWHERE {
            ip(&["-n", web, "address", "add", address, "dev", "lo"]);
        }
        ip(&["-n", host, "route", "add", "default", "via", PUBLIC_V4]);
        ip(&["-n", host, "-6", "route", "add", "default", "via", PUBLIC_V6]);

        let namespace = open(web);
        std::thread::spawn(move || {
            go_to(&namespace);
            serve("web", WEB);
            // An echo comes from the address that was asked.
            for address in [PUBLIC_V4, PUBLIC_V6, OTHER_PUBLIC_V4] {
                echo(address);
            }
        });
        go_to(&open(host));
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap();
        }
        serve("host", HOST_SERVICE);
        world
    }

    /// What a server with this name has in the host's network: the gateway's namespace, its uplink, its table.
    pub(crate) fn traces(&self, name: &str) -> Vec<String> {
        let lines = |output: std::process::Output| -> Vec<String> {
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
        };
        let links = Command::new("ip").args(["-n", &self.host, "-o", "link"]).output().unwrap();
        let tables =
            Command::new("ip").args(["netns", "exec", &self.host, "nft", "list", "tables"]).output().unwrap();
        let mut traces = lines(links);
        traces.retain(|line| line.contains(": lz"));
        traces.extend(lines(tables));
        traces.extend(std::path::Path::new("/run/netns").join(name).exists().then(|| name.to_owned()));
        traces
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for namespace in [&self.host, &self.web] {
            let removed = Command::new("ip").args(["netns", "delete", namespace]).status();
            if !removed.as_ref().is_ok_and(std::process::ExitStatus::success) {
                eprintln!("cannot remove the namespace {namespace}: {removed:?}");
            }
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn open(namespace: &str) -> OwnedFd {
    std::fs::File::open(format!("/run/netns/{namespace}")).unwrap().into()
}

fn go_to(namespace: &OwnedFd) {
    use std::os::fd::AsFd as _;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Tells everyone who connects what it is and who they are.
fn serve(what: &'static str, port: u16) {
    let listener = TcpListener::bind(("::", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let peer = stream.peer_addr().unwrap().ip().to_canonical();
            // One that is gone again is not waited for. At once: who asks reads what one packet holds.
            let _ = stream.write_all(format!("{what} to {peer}").as_bytes());
            std::thread::spawn(move || {
                // A line for a line, for as long as the other one likes.
                let copy = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
                drop(copy);
            });
        }
    });
}

fn echo(address: &str) {
    let socket = UdpSocket::bind((address, ECHO)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).unwrap();
            let _ = socket.send_to(&buffer[..length], peer);
        }
    });
}
