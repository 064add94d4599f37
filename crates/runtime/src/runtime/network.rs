//! The runtime's side of networks: which slot is whose, and what policies can be enforced on this host.

use std::sync::{Mutex, MutexGuard, PoisonError};

use std::net::Ipv4Addr;

use lazaret_core::ports::SandboxAddresses;
use lazaret_core::{EgressPolicy, SandboxId};

use super::NamespacesRuntime;
use crate::error::Error;
use crate::network::gateway::host_has_v6;
use crate::network::{NetworkConfig, Reach, Slots, addresses};
use crate::record::{NetworkRun, Record};
use crate::spawner::wire::{Answer, NetworkState, Verb};

/// What says whether this host passes packets on, in the server's network namespace.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The network as it was ordered.
#[derive(Debug)]
pub(super) struct Network {
    config: NetworkConfig,
    has_v6: bool,
    slots: Mutex<Slots>,
}

impl Network {
    pub(super) fn new(config: NetworkConfig) -> Self {
        let slots = Mutex::new(Slots::new(&config));
        Self { config, has_v6: host_has_v6(), slots }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NamespacesRuntime {
    /// Succeeds if a sandbox may have this policy here.
    pub(super) fn check_policy(&self, policy: &EgressPolicy) -> Result<Option<Reach>, Error> {
        let reach = Reach::of(policy);
        if reach == Reach::Nothing {
            return Ok(None);
        }
        match self.client.network() {
            NetworkState::Up => {}
            NetworkState::Off => {
                return Err(Error::Unsupported("a network: this server is set up without".to_owned()));
            }
            NetworkState::Unfit(why) => {
                return Err(Error::Unsupported(format!("a network, on this host: {why}")));
            }
        }
        let forwards = || std::fs::read_to_string(FORWARDING).is_ok_and(|value| value.trim() == "1");
        let is_forwarded = match &reach {
            Reach::Nothing => false,
            Reach::Names { networks } => !networks.is_empty(),
            Reach::Public => true,
        };
        if is_forwarded && !forwards() {
            let what = "networks and the whole internet, while net.ipv4.ip_forward of this host is 0";
            return Err(Error::Unsupported(what.to_owned()));
        }
        Ok(Some(reach))
    }

    /// What a start needs for this policy; `None` for no cable.
    pub(super) fn take_network(&self, policy: &EgressPolicy) -> Result<Option<NetworkRun>, Error> {
        match (self.check_policy(policy)?, &self.network) {
            (Some(reach), Some(network)) => Ok(Some(NetworkRun { slot: network.slots().take()?, reach })),
            _ => Ok(None),
        }
    }

    pub(super) fn mark_network(&self, run: Option<&NetworkRun>) {
        if let (Some(network), Some(run)) = (&self.network, run) {
            network.slots().mark(run.slot);
        }
    }

    pub(super) fn free_network(&self, run: Option<&NetworkRun>) {
        if let (Some(network), Some(run)) = (&self.network, run) {
            network.slots().free(run.slot);
        }
    }

    pub(super) fn addresses_of(&self, run: Option<&NetworkRun>) -> Option<SandboxAddresses> {
        let network = self.network.as_ref()?;
        Some(addresses(&network.config, run?.slot, network.has_v6))
    }

    /// Whom sandboxes ask for names.
    pub(super) fn resolver(&self) -> Option<Ipv4Addr> {
        let network = self.network.as_ref()?;
        (self.client.network() == NetworkState::Up).then(|| network.config.gateway_v4())
    }

    pub(super) async fn change_network(
        &self,
        id: SandboxId,
        policy: &EgressPolicy,
    ) -> Result<Option<SandboxAddresses>, Error> {
        let reach = self.check_policy(policy)?;
        let entry = self.entries.find(id).ok_or(Error::NotRunning(id))?;
        let _verb = entry.verbs.lock().await;
        let living = entry.living().ok_or(Error::NotRunning(id))?;
        let had = living.network();
        let network = match (&had, reach) {
            (None, None) => return Ok(None),
            // The cable stays; nothing passes it.
            (Some(had), reach) => NetworkRun { slot: had.slot, reach: reach.unwrap_or(Reach::Nothing) },
            (None, Some(_)) => match self.take_network(policy)? {
                Some(taken) => taken,
                None => return Ok(None),
            },
        };
        let changed =
            self.client.ask(Verb::SetNetwork { id: id.to_string(), network: network.clone() }).await;
        match changed {
            Ok((Answer::Done, _)) => {}
            Ok(_) => {
                self.free_unless(had.as_ref(), &network);
                return Err(Error::NotRunning(id));
            }
            Err(error) => {
                self.free_unless(had.as_ref(), &network);
                return Err(error);
            }
        }
        living.set_network(network.clone());
        let run = crate::record::Run { network: Some(network.clone()), ..living.run.clone() };
        self.client.remember(id.to_string(), run.clone());
        let directory = self.data.sandbox(id);
        Record::of(run).write(&directory).map_err(Error::file("write the record in", &directory))?;
        Ok(self.addresses_of(Some(&network)).filter(|_| network.reach != Reach::Nothing))
    }

    /// Gives back a slot that was taken for a change that failed.
    fn free_unless(&self, had: Option<&NetworkRun>, taken: &NetworkRun) {
        if had.is_none() {
            self.free_network(Some(taken));
        }
    }
}
