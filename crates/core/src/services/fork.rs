//! A new sandbox that begins as a stopped one ended.
//!
//! It has the other's disk, image, bounds, environment, secrets, volumes, lease and labels, and an id, a name and a life of its own. Memory is
//! not part of it: nothing runs in a stopped sandbox.

use std::sync::Arc;

use super::image_collection::obtain_held;
use super::sandboxes::{Creation, Sandboxes, find_current};
use crate::{
    Caller, Decision, Error, Kind, NameUse, Result, Sandbox, SandboxId, SandboxSpec, Scope, State, Verb,
};

impl Sandboxes {
    /// Makes a sandbox from a stopped one and returns it running; or makes nothing. Where the host's file system shares
    /// blocks this takes as long whatever is on the disk; elsewhere what was written is copied.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`State::judge`]; [`Error::Invalid`] for the name;
    /// [`Error::AlreadyExists`] for one that is to be unique and is not;
    /// [`Error::LimitReached`] for the account's quota or the host's disk; [`Error::Unsupported`] by the runtime.
    pub async fn fork(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: Option<String>,
        name_use: NameUse,
    ) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        SandboxSpec { name: name.clone(), ..SandboxSpec::default() }.check()?;
        let origin = find_current(&self.context, caller, id).await?.snapshot();
        if origin.state.judge(Verb::Fork) == Decision::Refuse {
            return Err(Error::Refused { kind: Kind::Sandbox, state: origin.state, verb: Verb::Fork });
        }
        let tier = self.context.settings.tier(&caller.tier);
        tier.allow(&origin.resources)?;
        let image = obtain_held(&self.context, caller.account, &origin.image_digest.to_string()).await?;
        let now = self.context.now();
        let id = SandboxId::from_bytes(self.context.ports.ids.next(now));
        let record = Sandbox {
            id,
            name: name.unwrap_or_else(|| super::sandboxes::default_name(id)),
            state: State::Running,
            reason: None,
            created_at: now,
            last_active_at: now,
            state_since: now,
            sequence: 0,
            ..origin.clone()
        };
        // The same placeholders are on its disk and in its environment, and the same authority is trusted there.
        let secrets = self.context.ports.store.find_domain_secrets(origin.id).await?;
        let volumes = super::volumes::hold(&self.context, caller.account, &record.volumes).await?;
        let (context, account) = (Arc::clone(&self.context), caller.account);
        let made = tokio::spawn(async move {
            let unique = (name_use == NameUse::Unique).then_some(record.name.as_str());
            let place = context.table.reserve(account, tier.sandboxes_max, unique)?;
            let creation = Creation {
                context: &context,
                record,
                secrets,
                image,
                seeds: Vec::new(),
                origin: Some(origin.id),
                volumes,
                place,
            };
            creation.run().await
        });
        made.await.map_err(Error::internal)?
    }
}
