//! The gateway: a network namespace that all networked sandboxes of one server are cabled to.
//!
//! ```text
//!   sandbox ── eth0 ══ s<slot> ─┐                                        ┌─ lz<hash> ── the host's network
//!   sandbox ── eth0 ══ s<slot> ─┤  gateway: rules, DNS and proxy sockets ├─ uplink ══╝    (one table of ours:
//!   sandbox ── eth0 ══ s<slot> ─┘  <range>+1 on lo                       ┘                 masquerade)
//! ```
//!
//! It is held by a mount at `/run/netns/<name>`, which is made when everything in it is complete, so that it outlives a
//! killed server and its spawner, and a half-made one does not. `ip netns exec <name> ...` looks into it. Every cable ends
//! in a sandbox's own namespace and goes with it; dropping the mount drops everything else but the host's table.
//!
//! Not here: what the rules are ([`super::ruleset`]) and which sandbox gets which slot (the server).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, statfs, unlink};
use rustix::io::{Errno, Result};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, listen, socket_with};

use super::addresses::{Slot, UPLINKS};
use super::namespace::{Home, open_namespace};
use super::netlink::filter::{self, Element};
use super::netlink::{Socket, link};
use super::policy::Reach;
use super::sockets::{FamilySockets, GatewaySockets};
use super::{NetworkConfig, nft, ruleset};
use crate::error::{At, SetupError, Step};
use crate::sys;

const STEP: Step = Step::Network;

/// Where the mounts of network namespaces are, by the custom of ip-netns(8).
const NAMES: &str = "/run/netns";

/// What a namespace's file looks like to statfs(2) (linux/magic.h).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Index of the uplink in the gateway, and of `eth0` in a sandbox: behind the tunnels that some kernels put into every new
/// namespace, and before the first slot's.
const FIXED_INDEX: u32 = 15;

/// Loopback's index in every namespace.
const LOOPBACK_INDEX: u32 = 1;

/// The name of a sandbox's end of its cable.
const SANDBOX_INTERFACE: &str = "eth0";

/// Diverted connections that wait to be accepted, for all sandboxes together.
const BACKLOG: i32 = 1024;

/// The gateway as the spawner has it.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: NetworkConfig,
    names: Names,
    namespace: OwnedFd,
    home: Home,
    /// Of process 1; see [`Names`].
    mounts: OwnedFd,
    has_v6: bool,
    /// Both speak about the gateway's namespace.
    links: Socket,
    filter: Socket,
    /// What is in the sets, by slot.
    elements: HashMap<Slot, Vec<Element>>,
}

/// What the gateway and its parts are called, all from the name of the server's cgroup.
#[derive(Debug)]
struct Names {
    /// In [`lasting_mounts`]: the server's own may be a service manager's private one that ends with it.
    mount: PathBuf,
    /// The host's end of the uplink.
    uplink: String,
    /// The host's table.
    table: String,
}

impl Names {
    fn of(name: &str) -> Self {
        // FNV-1a: stable from build to build, and short enough for an interface.
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self {
            mount: Path::new(NAMES).join(name),
            uplink: format!("lz{hash:08x}"),
            table: format!("lazaret_{hash:08x}"),
        }
    }
}

impl Gateway {
    /// Finds the gateway that an earlier server left, or makes one. Its sockets are made unless they are `held`.
    ///
    /// # Errors
    /// The call that failed; nothing half-made stays.
    pub(crate) fn open(
        config: &NetworkConfig,
        name: &str,
        held: bool,
    ) -> std::result::Result<(Self, Option<GatewaySockets>), SetupError> {
        let names = Names::of(name);
        let home = Home::network().at(STEP, "open", "the own network namespace")?;
        let own_mounts = Home::mounts().at(STEP, "open", "the own mount namespace")?;
        let mounts = lasting_mounts().at(STEP, "open", "the mount namespace of process 1")?;
        let has_v6 = host_has_v6();

        let found =
            own_mounts.visit(mounts.as_fd(), || find(&names.mount)).at(STEP, "look for", &names.mount)?;
        let namespace = match found {
            // The server's sockets went with it, and nobody would answer at those of a new one.
            None if held => return Err(Errno::NOENT).at(STEP, "find again", &names.mount),
            Some(namespace) => {
                home.visit(namespace.as_fd(), || nft::load(&ruleset::gateway(config, has_v6))).at(
                    STEP,
                    "nft",
                    "the gateway's rules",
                )?;
                namespace
            }
            None => make(config, &names, &home, has_v6)?,
        };
        let prepare = || -> Result<_> {
            let sockets = if held { None } else { Some(make_sockets(config, has_v6)?) };
            Ok((sockets, Socket::route()?, Socket::netfilter()?))
        };
        let (sockets, links, filter) =
            home.visit(namespace.as_fd(), prepare).at(STEP, "listen at", config.gateway_v4().to_string())?;
        if !held {
            keep(&names.mount, &namespace, &home, &own_mounts, mounts.as_fd()).at(
                STEP,
                "mount",
                &names.mount,
            )?;
        }
        let config = config.clone();
        let elements = HashMap::new();
        Ok((Self { config, names, namespace, home, mounts, has_v6, links, filter, elements }, sockets))
    }

    /// Cables a sandbox, whose network namespace is given, and lets it reach what it may. Does nothing twice.
    ///
    /// # Errors
    /// The call that failed; the sandbox then reaches nothing.
    pub(crate) fn attach(
        &mut self,
        slot: Slot,
        sandbox: BorrowedFd<'_>,
        reach: &Reach,
    ) -> std::result::Result<(), SetupError> {
        let near = slot.interface();
        self.permit(slot, &Reach::Nothing)?;
        if !self.has_cable(&near).at(STEP, "look for", &near)? {
            self.lay_cable(slot, sandbox).at(STEP, "lay", format!("the cable {near}"))?;
            if let Err(errno) = self.set_up_end(slot, sandbox) {
                // It would go with the sandbox; a sandbox that goes on is tried again, with a new one.
                let removed = self.links.run(&[link::remove(&near)]);
                return Err(removed.err().unwrap_or(errno)).at(STEP, "set up", SANDBOX_INTERFACE);
            }
        }
        self.permit(slot, reach)
    }

    /// Lets a slot reach this and nothing else, in one step.
    ///
    /// # Errors
    /// The call that failed; then nothing has changed.
    pub(crate) fn permit(&mut self, slot: Slot, reach: &Reach) -> std::result::Result<(), SetupError> {
        let mut wanted = reach.elements(&self.config, slot);
        wanted.retain(|element| self.has_v6 || element.first.is_ipv4());
        let had = self.elements.get(&slot).map_or(&[][..], Vec::as_slice);
        let gone = had.iter().filter(|element| !wanted.contains(element));
        let mut messages: Vec<_> = gone.map(|element| filter::remove(ruleset::TABLE, element)).collect();
        let new = wanted.iter().filter(|element| !had.contains(element));
        messages.extend(new.map(|element| filter::add(ruleset::TABLE, element)));
        if !messages.is_empty() {
            self.filter.run_atomically(filter::SUBSYSTEM, &messages).at(STEP, "change", "the rules' sets")?;
        }
        if wanted.is_empty() {
            self.elements.remove(&slot);
        } else {
            self.elements.insert(slot, wanted);
        }
        Ok(())
    }

    /// Notes what a sandbox of an earlier server may reach, for [`Gateway::settle`].
    pub(crate) fn note(&mut self, slot: Slot, reach: &Reach) {
        let mut elements = reach.elements(&self.config, slot);
        elements.retain(|element| self.has_v6 || element.first.is_ipv4());
        self.elements.insert(slot, elements);
    }

    /// Makes the sets hold what is noted and nothing else, in one step.
    ///
    /// # Errors
    /// The call that failed; then nothing has changed.
    pub(crate) fn settle(&mut self) -> std::result::Result<(), SetupError> {
        let sets = [ruleset::PUBLIC, ruleset::NAMES, ruleset::NETWORKS];
        let mut messages: Vec<_> =
            sets.iter().flatten().map(|set| filter::clear(ruleset::TABLE, set)).collect();
        let elements = self.elements.values().flatten();
        messages.extend(elements.map(|element| filter::add(ruleset::TABLE, element)));
        self.filter.run_atomically(filter::SUBSYSTEM, &messages).at(STEP, "set", "the rules' sets")
    }

    /// Removes everything.
    ///
    /// # Errors
    /// The first call that failed; the others have been tried.
    pub(crate) fn remove(self) -> std::result::Result<(), SetupError> {
        let table = Socket::netfilter()
            .and_then(|mut socket| {
                socket.run_atomically(filter::SUBSYSTEM, &[filter::remove_table(&self.names.table)])
            })
            .at(STEP, "remove", &self.names.table);
        let uplink = Socket::route()
            .and_then(|mut socket| socket.run(&[link::remove(&self.names.uplink)]))
            .at(STEP, "remove", &self.names.uplink);
        let own_mounts = Home::mounts().at(STEP, "open", "the own mount namespace")?;
        let mount = own_mounts.visit(self.mounts.as_fd(), || {
            unmount(&self.names.mount, UnmountFlags::DETACH)?;
            unlink(&self.names.mount)
        });
        mount.at(STEP, "unmount", &self.names.mount).and(uplink).and(table)
    }

    fn has_cable(&self, near: &str) -> Result<bool> {
        self.home.visit(self.namespace.as_fd(), || {
            let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            match name_to_index(&socket, near) {
                Ok(_) => Ok(true),
                Err(Errno::NODEV) => Ok(false),
                Err(errno) => Err(errno),
            }
        })
    }

    fn lay_cable(&mut self, slot: Slot, sandbox: BorrowedFd<'_>) -> Result<()> {
        let (name, index) = (slot.interface(), slot.interface_index());
        let near = link::End { name: &name, index: Some(index), namespace: None };
        let far = link::End { name: SANDBOX_INTERFACE, index: Some(FIXED_INDEX), namespace: Some(sandbox) };
        let mut messages = vec![link::new_cable(&near, &far), link::up(index)];
        messages.extend(self.addresses(slot).map(|address| link::add_route(index, address)));
        self.links.run(&messages)
    }

    /// The sandbox's end: its addresses, everything by way of the gateway, and no advice from there about routes.
    fn set_up_end(&self, slot: Slot, sandbox: BorrowedFd<'_>) -> Result<()> {
        self.home.visit(sandbox, || {
            let conf = Path::new("/proc/sys/net/ipv4/conf").join(SANDBOX_INTERFACE);
            set(&conf, &[("accept_redirects", "0"), ("forwarding", "0")])?;
            let mut messages = Vec::new();
            if self.has_v6 {
                let conf = Path::new("/proc/sys/net/ipv6/conf").join(SANDBOX_INTERFACE);
                set(&conf, &[("accept_ra", "0"), ("accept_redirects", "0"), ("forwarding", "0")])?;
                messages.push(link::without_link_local(FIXED_INDEX));
            }
            messages.push(link::up(FIXED_INDEX));
            for address in self.addresses(slot) {
                messages.push(link::add_address(FIXED_INDEX, address));
                messages.push(link::add_default_route(FIXED_INDEX, address));
            }
            Socket::route()?.run(&messages)
        })
    }

    fn addresses(&self, slot: Slot) -> impl Iterator<Item = IpAddr> + use<> {
        let (v4, v6) = self.config.sandbox(slot);
        [IpAddr::V4(v4)].into_iter().chain(self.has_v6.then_some(IpAddr::V6(v6)))
    }
}

/// The mount namespace of process 1. Where that one has privileges that this process lacks, as in some containers, it is
/// the own one: should that end with the server, the next one makes a new gateway and lays every cable anew.
fn lasting_mounts() -> Result<OwnedFd> {
    match open_namespace("/proc/1/ns/mnt") {
        Err(Errno::ACCESS | Errno::PERM) => open_namespace("/proc/self/ns/mnt"),
        other => other,
    }
}

/// Whether this host has IPv6 and has not been told to do without.
pub(crate) fn host_has_v6() -> bool {
    let disabled =
        |which: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"));
    ["all", "default"].iter().all(|which| disabled(which).is_ok_and(|value| value.trim() == "0"))
}

/// The namespace that is mounted there, if one is.
fn find(mount: &Path) -> Result<Option<OwnedFd>> {
    match statfs(mount) {
        Ok(status) if status.f_type == NSFS_MAGIC => open_namespace(mount).map(Some),
        // A file without a mount is what a killed spawner left.
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Makes a namespace with everything in it but sockets. Until it is kept, it lasts as long as its descriptor.
fn make(
    config: &NetworkConfig,
    names: &Names,
    home: &Home,
    has_v6: bool,
) -> std::result::Result<OwnedFd, SetupError> {
    sys::clone::unshare_network_namespace().at(STEP, "unshare", "the network namespace")?;
    let inside =
        || -> std::result::Result<OwnedFd, SetupError> {
            let namespace =
                open_namespace("/proc/self/ns/net").at(STEP, "open", "the gateway's namespace")?;
            set(Path::new("/proc/sys/net/ipv4"), &[("ip_forward", "1"), ("conf/all/send_redirects", "0")])
                .at(STEP, "set", "net.ipv4 in the gateway")?;
            if has_v6 {
                // No addresses of the kernel's own making, on any cable.
                set(
                    Path::new("/proc/sys/net/ipv6/conf"),
                    &[("all/forwarding", "1"), ("default/addr_gen_mode", "1")],
                )
                .at(STEP, "set", "net.ipv6 in the gateway")?;
            }
            sys::loopback::up().at(STEP, "bring up", "lo")?;
            let mut addresses = vec![link::add_address(LOOPBACK_INDEX, config.gateway_v4().into())];
            if has_v6 {
                addresses.push(link::add_address(LOOPBACK_INDEX, config.gateway_v6().into()));
            }
            Socket::route().and_then(|mut socket| socket.run(&addresses)).at(STEP, "address", "lo")?;
            nft::load(&ruleset::gateway(config, has_v6)).at(STEP, "nft", "the gateway's rules")?;
            Ok(namespace)
        };
    let made = inside();
    home.come_back();
    let namespace = made?;
    lay_uplink(config, names, home, namespace.as_fd(), has_v6)?;
    Ok(namespace)
}

/// Cables the gateway to the host, with the first pair of addresses that is free here.
fn lay_uplink(
    config: &NetworkConfig,
    names: &Names,
    home: &Home,
    gateway: BorrowedFd<'_>,
    has_v6: bool,
) -> std::result::Result<(), SetupError> {
    let uplink = names.uplink.as_str();
    let mut host = Socket::route().at(STEP, "open", "a netlink socket")?;
    // What a gateway that has just gone left may still be on its way out.
    match host.run(&[link::remove(uplink)]) {
        Ok(()) | Err(Errno::NODEV) => {}
        Err(errno) => return Err(errno).at(STEP, "remove", uplink),
    }
    let near = link::End { name: ruleset::UPLINK, index: Some(FIXED_INDEX), namespace: None };
    let far = link::End { name: uplink, index: None, namespace: Some(home.namespace()) };
    home.visit(gateway, || Socket::route()?.run(&[link::new_cable(&near, &far)])).at(STEP, "lay", uplink)?;
    let index = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .and_then(|socket| name_to_index(&socket, uplink))
        .at(STEP, "find", uplink)?;
    if has_v6 {
        host.run(&[link::without_link_local(index)]).at(STEP, "set up", uplink)?;
    }
    host.run(&[link::up(index)]).at(STEP, "bring up", uplink)?;
    for number in 0..UPLINKS {
        let addresses = config.uplink(number);
        // The route is the claim: it cannot be there twice.
        match host.run(&[link::add_route(index, addresses.gateway_v4.into())]) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno).at(STEP, "route", addresses.gateway_v4.to_string()),
        }
        let mut ours = vec![link::add_address(index, addresses.host_v4.into())];
        let mut theirs = vec![
            link::up(FIXED_INDEX),
            link::add_address(FIXED_INDEX, addresses.gateway_v4.into()),
            link::add_default_route(FIXED_INDEX, addresses.gateway_v4.into()),
        ];
        if has_v6 {
            ours.push(link::add_route(index, addresses.gateway_v6.into()));
            ours.push(link::add_address(index, addresses.host_v6.into()));
            theirs.push(link::add_address(FIXED_INDEX, addresses.gateway_v6.into()));
            theirs.push(link::add_default_route(FIXED_INDEX, addresses.gateway_v6.into()));
        }
        host.run(&ours).at(STEP, "address", uplink)?;
        home.visit(gateway, || Socket::route()?.run(&theirs)).at(STEP, "address", ruleset::UPLINK)?;
        return nft::load(&ruleset::host(&names.table, uplink, &addresses)).at(
            STEP,
            "nft",
            "the host's rules",
        );
    }
    Err(Errno::ADDRNOTAVAIL).at(STEP, "find a free pair of addresses for", uplink)
}

/// Mounts the namespace where the next server finds it, if it is not there already.
fn keep(
    mount: &Path,
    namespace: &OwnedFd,
    home: &Home,
    own_mounts: &Home,
    mounts: BorrowedFd<'_>,
) -> Result<()> {
    home.visit(namespace.as_fd(), || {
        own_mounts.visit(mounts, || {
            if find(mount)?.is_some() {
                return Ok(());
            }
            match rustix::fs::mkdir(NAMES, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            open(mount, OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
            mount_bind("/proc/self/ns/net", mount)
        })
    })
}

fn make_sockets(config: &NetworkConfig, has_v6: bool) -> Result<GatewaySockets> {
    let family = |address: IpAddr| -> std::io::Result<FamilySockets> {
        let proxy_tcp = TcpListener::bind((address, ruleset::PROXY_PORT))?;
        listen(&proxy_tcp, BACKLOG)?;
        Ok(FamilySockets {
            dns_udp: UdpSocket::bind((address, ruleset::DNS_PORT))?,
            dns_tcp: TcpListener::bind((address, ruleset::DNS_PORT))?,
            proxy_tcp,
        })
    };
    let both = || -> std::io::Result<GatewaySockets> {
        Ok(GatewaySockets {
            v4: family(Ipv4Addr::into(config.gateway_v4()))?,
            v6: has_v6.then(|| family(Ipv6Addr::into(config.gateway_v6()))).transpose()?,
        })
    };
    both().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Writes settings of the kernel for the network namespace that this process is in.
fn set(directory: &Path, values: &[(&str, &str)]) -> Result<()> {
    for (name, value) in values {
        std::fs::write(directory.join(name), value)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    Ok(())
}
