//! The network of sandboxes, at both levels: the runtime's packets and the gateway's names.
//!
//! ```text
//!   start    Runtime::start ─▶ Gateway::admit         until it is admitted, the gateway answers it nothing
//!   change   tighter first: Gateway::restrict ─▶ Runtime::set_network ─▶ Gateway::admit
//!   end      Gateway::dismiss ─▶ Runtime::stop        before its addresses can be another sandbox's
//! ```
//!
//! The policy in the store is the one that counts: at adoption it is applied anew, at both levels.
//! Not here: what a policy means for a packet (the runtime) and for a name (the gateway).

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::ports::{Denial, EgressUsage, RuntimeSpec, SandboxAddresses, Tenant};
use crate::{EgressPolicy, Error, EventKind, Result, Sandbox, SandboxId};

/// The policy of a sandbox: its own, else the server's.
pub(super) fn policy_of(context: &Context, record: &Sandbox) -> EgressPolicy {
    record.network.clone().unwrap_or_else(|| context.settings.default_network.clone())
}

/// Succeeds if the operator lets anyone have the policy, and it can be enforced on this host.
pub(super) fn check(context: &Context, policy: &EgressPolicy) -> Result<()> {
    context.settings.egress.check(policy)?;
    if *policy == EgressPolicy::Disabled {
        return Ok(());
    }
    let refusal =
        |why: &str| Error::Unsupported { what: format!("a network policy other than disabled{why}") };
    if !context.ports.runtime.capabilities().egress {
        return Err(refusal(""));
    }
    if context.ports.gateway.is_none() {
        return Err(refusal(": this server has no gateway"));
    }
    Ok(())
}

/// Starts a sandbox and lets it send by its policy. One that the gateway does not take is stopped again.
pub(super) async fn start(context: &Context, record: &Sandbox, spec: &RuntimeSpec) -> Result<()> {
    check(context, &spec.network)?;
    let instance = context.ports.runtime.start(spec).await?;
    let admitted = admit(context, record, &spec.network, instance.addresses).await;
    if admitted.is_err()
        && let Err(error) = context.ports.runtime.stop(record.id, Duration::ZERO).await
    {
        tracing::error!(sandbox.id = %record.id, error = &error as &dyn std::error::Error,
            "a sandbox that the gateway refused could not be stopped; it can reach nothing");
    }
    admitted
}

/// Applies the stored policy to a sandbox of an earlier server.
pub(super) async fn adopt(context: &Context, record: &Sandbox, was_networked: bool) -> Result<()> {
    let policy = policy_of(context, record);
    if policy == EgressPolicy::Disabled && !was_networked {
        return Ok(());
    }
    // The operator's bounds, or the host, may have changed since.
    check(context, &policy)?;
    change(context, record, &policy).await
}

/// Applies a policy to a running sandbox. Names are judged by the new one first and packets then; what both policies
/// allow is not interrupted. After a failure the sandbox can reach nothing by name.
pub(super) async fn change(context: &Context, record: &Sandbox, policy: &EgressPolicy) -> Result<()> {
    if let Some(gateway) = &context.ports.gateway {
        gateway.restrict(record.id, policy).await;
    }
    let changed = async {
        let addresses = context.ports.runtime.set_network(record.id, policy).await?;
        admit(context, record, policy, addresses).await
    };
    let changed = changed.await;
    if changed.is_err() || *policy == EgressPolicy::Disabled {
        dismiss(context, record.id).await;
    }
    changed
}

/// What a sandbox has sent through the gateway and was refused there.
pub(super) fn usage(context: &Context, id: SandboxId) -> EgressUsage {
    context.ports.gateway.as_ref().map(|gateway| gateway.usage(id)).unwrap_or_default()
}

async fn admit(
    context: &Context,
    record: &Sandbox,
    policy: &EgressPolicy,
    addresses: Option<SandboxAddresses>,
) -> Result<()> {
    let (Some(gateway), Some(addresses)) = (&context.ports.gateway, addresses) else { return Ok(()) };
    if *policy == EgressPolicy::Disabled {
        return Ok(());
    }
    // Where everything is let through, nothing is read, and so nothing put in.
    let secrets = match policy {
        EgressPolicy::Allowlist(_) => context.ports.store.find_domain_secrets(record.id).await?.map(Arc::new),
        EgressPolicy::Disabled | EgressPolicy::Internet => None,
    };
    let (id, account, policy) = (record.id, record.account, policy.clone());
    let tenant = Tenant { id, account, addresses, policy, secrets };
    gateway.admit(tenant).await
}

/// Takes the sandbox's leave to send. Does nothing for one that has none.
pub(super) async fn dismiss(context: &Context, id: SandboxId) {
    if let Some(gateway) = &context.ports.gateway {
        gateway.dismiss(id).await;
    }
}

/// Makes events of what the gateway refuses, until cancelled.
pub(super) async fn report_denials(context: Arc<Context>, stop: CancellationToken) {
    let Some(gateway) = context.ports.gateway.clone() else { return };
    loop {
        let denials = tokio::select! {
            () = stop.cancelled() => return,
            denials = gateway.denied() => denials,
        };
        for Denial { id, account, destination, reason, count } in denials {
            let kind = EventKind::EgressDenied { destination, reason: reason.to_owned(), count };
            context.events.publish(&context, account, Some(id), kind).await;
        }
    }
}
