//! The table of admitted sandboxes, by id and by the address that they send from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use lazaret_core::ports::{EgressUsage, SandboxAddresses, Tenant};
use lazaret_core::{EgressPolicy, SandboxId};

use crate::secrets::Disclosure;
use crate::tenant::{Admitted, Court};

/// Who may send. A packet from an address that nobody has is nobody's.
#[derive(Debug)]
pub(crate) struct Tenants {
    court: Arc<Court>,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<SandboxId, Arc<Admitted>>,
    by_address: HashMap<IpAddr, Arc<Admitted>>,
}

impl Tenants {
    pub(crate) fn new(court: Arc<Court>) -> Self {
        Self { court, table: RwLock::default() }
    }

    /// Lets a sandbox send, or gives one that may another policy and other secrets; its counters go on.
    pub(crate) fn admit(&self, tenant: Tenant, disclosure: Option<Arc<Disclosure>>) {
        let mut table = self.table.write().expect("no panic under this lock");
        let (id, addresses) = (tenant.id, tenant.addresses);
        let admitted = match table.by_id.get(&id) {
            Some(known) => {
                let known = Arc::clone(known);
                table.forget_addresses(&known);
                known.change(tenant.policy, addresses);
                known
            }
            None => Arc::new(Admitted::new(tenant, Arc::clone(&self.court))),
        };
        admitted.entrust(disclosure);
        for address in each(addresses) {
            // Whoever had the address before has lost it: an address has one owner, and this is the latest word.
            if let Some(former) = table.by_address.insert(address, Arc::clone(&admitted))
                && former.id != id
            {
                former.cut_off();
            }
        }
        table.by_id.insert(id, admitted);
    }

    /// Gives a sandbox that may send another policy.
    pub(crate) fn restrict(&self, id: SandboxId, policy: &EgressPolicy) {
        let table = self.table.read().expect("no panic under this lock");
        if let Some(known) = table.by_id.get(&id) {
            known.change(policy.clone(), known.addresses());
        }
    }

    /// Forgets a sandbox and ends what it has open.
    pub(crate) fn dismiss(&self, id: SandboxId) {
        let mut table = self.table.write().expect("no panic under this lock");
        if let Some(known) = table.by_id.remove(&id) {
            table.forget_addresses(&known);
            known.cut_off();
        }
    }

    /// Who sends from `address`.
    pub(crate) fn find(&self, address: IpAddr) -> Option<Arc<Admitted>> {
        let table = self.table.read().expect("no panic under this lock");
        table.by_address.get(&address.to_canonical()).cloned()
    }

    pub(crate) fn usage(&self, id: SandboxId) -> EgressUsage {
        let table = self.table.read().expect("no panic under this lock");
        table.by_id.get(&id).map(|known| known.counters.usage()).unwrap_or_default()
    }
}

impl Table {
    fn forget_addresses(&mut self, known: &Admitted) {
        for address in each(known.addresses()) {
            // It may have passed to another in the meantime.
            if self.by_address.get(&address).is_some_and(|owner| owner.id == known.id) {
                self.by_address.remove(&address);
            }
        }
    }
}

fn each(addresses: SandboxAddresses) -> impl Iterator<Item = IpAddr> {
    std::iter::once(IpAddr::V4(addresses.v4)).chain(addresses.v6.map(IpAddr::V6))
}
