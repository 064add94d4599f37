//! Ports of sandboxes for those who have no key of the account: a token, a pass, or a preview that is signed.
//!
//! What is shown opens the ports of one sandbox and nothing else, by type: an [`Admission`] is made here alone, and all
//! that it can be used for is [`Previews::connect`].

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::ingress::PortStream;
use super::sandboxes::{find_current, use_current};
use crate::preview::{SandboxSecret, Withdrawal};
use crate::{Activity, Caller, Error, Result, SandboxId, Scope, Secret, SignedPreview, limits};

/// Previews of sandboxes.
#[derive(Clone)]
pub struct Previews {
    pub(super) context: Arc<Context>,
}

/// What somebody shows who wants to see a port.
#[derive(Debug, Clone, Copy)]
pub enum Ticket<'a> {
    /// Nothing, which is enough where the sandbox is public.
    Nothing,
    /// A key of an account.
    Key(&'a Caller),
    /// The sandbox's token.
    Token(&'a str),
    /// A pass, as [`Previews::pass`] gives it.
    Pass(&'a str),
}

/// Leave to see one port of one sandbox.
#[derive(Debug)]
pub struct Admission {
    sandbox: SandboxId,
    port: u16,
}

impl Admission {
    /// The sandbox.
    pub fn sandbox(&self) -> SandboxId {
        self.sandbox
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Previews {
    /// The token that opens every port of the sandbox until its next start.
    pub async fn token(&self, caller: &Caller, id: SandboxId) -> Result<Secret> {
        caller.need(Scope::SandboxesWrite)?;
        find_current(&self.context, caller, id).await?;
        Ok(Secret::new(secret(&self.context, id).await?.token()))
    }

    /// A preview of one port that needs no token, for so long.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the fields `port` and `expires_in`, besides the usual ones.
    pub async fn sign(
        &self,
        caller: &Caller,
        id: SandboxId,
        port: u16,
        expires_in: Duration,
    ) -> Result<SignedPreview> {
        caller.need(Scope::SandboxesWrite)?;
        check_port(port)?;
        let (min, max) = (Duration::from_secs(1), limits::SIGNED_PREVIEW_MAX);
        if !(min..=max).contains(&expires_in) {
            let reason = format!("must be from {} to {} seconds", min.as_secs(), max.as_secs());
            return Err(Error::invalid("expires_in", reason));
        }
        find_current(&self.context, caller, id).await?;
        let ends_at = self.context.now().after(expires_in);
        Ok(secret(&self.context, id).await?.sign(id, port, ends_at))
    }

    /// Ends a signed preview before its time. One that has ended by itself is fine.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `token` if it is not of this sandbox and port, besides the usual ones.
    pub async fn withdraw(
        &self,
        caller: &Caller,
        id: SandboxId,
        port: u16,
        preview: &SignedPreview,
    ) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        check_port(port)?;
        find_current(&self.context, caller, id).await?;
        let (now, secret) = (self.context.now(), secret(&self.context, id).await?);
        // Of one that has ended nobody can tell, and nobody needs to, whether it was genuine.
        if preview.sandbox() == id && preview.ends_at() <= now {
            return Ok(());
        }
        if preview.sandbox() != id || !secret.is_signed(preview, port, now) {
            return Err(Error::invalid("token", "is not a signed preview of this sandbox and port"));
        }
        let withdrawal = Withdrawal { mark: preview.mark(), ends_at: preview.ends_at() };
        self.context.ports.store.withdraw_preview(id, withdrawal, now, limits::WITHDRAWALS_MAX).await
    }

    /// Lets somebody in who shows this.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], also where there is no such sandbox: who has no key of the account learns nothing.
    pub async fn admit(&self, id: SandboxId, port: u16, ticket: Ticket<'_>) -> Result<Admission> {
        check_port(port)?;
        let entry = self.context.table.find(id).ok_or(Error::Unauthenticated)?;
        let is_admitted = match ticket {
            Ticket::Nothing => entry.record().public && !limits::PRIVATE_PORTS.contains(&port),
            Ticket::Key(caller) => {
                // A key of the account that may not do this is told so; one of another account is as good as none.
                if caller.account == entry.account {
                    caller.need(Scope::SandboxesWrite)?;
                }
                caller.account == entry.account
            }
            Ticket::Token(text) => self.known(id).await?.is_some_and(|secret| secret.is_token(text)),
            Ticket::Pass(text) => {
                let now = self.context.now();
                self.known(id).await?.is_some_and(|secret| secret.is_pass(text, now))
            }
        };
        if is_admitted { Ok(Admission { sandbox: id, port }) } else { Err(Error::Unauthenticated) }
    }

    /// Lets somebody in who comes by a signed preview.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if it is forged, of another port, at its end or withdrawn.
    pub async fn admit_signed(&self, preview: &SignedPreview, port: u16) -> Result<Admission> {
        check_port(port)?;
        let id = preview.sandbox();
        self.context.table.find(id).ok_or(Error::Unauthenticated)?;
        let secret = self.known(id).await?.ok_or(Error::Unauthenticated)?;
        if !secret.is_signed(preview, port, self.context.now())
            || self.context.ports.store.is_preview_withdrawn(id, preview.mark()).await?
        {
            return Err(Error::Unauthenticated);
        }
        Ok(Admission { sandbox: id, port })
    }

    /// A pass for a browser that was let in, for [`limits::PREVIEW_PASS_LIFE`].
    pub async fn pass(&self, admission: &Admission) -> Result<Secret> {
        let ends_at = self.context.now().after(limits::PREVIEW_PASS_LIFE);
        Ok(Secret::new(secret(&self.context, admission.sandbox).await?.pass(ends_at)))
    }

    /// Connects to the port. The sandbox is in use for as long as the connection is held, if that counts.
    ///
    /// # Errors
    /// As [`super::Ingress::connect`].
    pub async fn connect(&self, admission: &Admission, activity: Activity) -> Result<PortStream> {
        let (_, guard) = use_current(&self.context, admission.sandbox, activity).await?;
        PortStream::open(&self.context, admission.sandbox, admission.port, guard).await
    }

    async fn known(&self, id: SandboxId) -> Result<Option<SandboxSecret>> {
        self.context.ports.store.find_sandbox_secret(id).await
    }
}

/// The secret of a sandbox, made at first use.
pub(super) async fn secret(context: &Context, id: SandboxId) -> Result<SandboxSecret> {
    match context.ports.store.find_sandbox_secret(id).await? {
        Some(secret) => Ok(secret),
        None => context.ports.store.ensure_sandbox_secret(id, rand::random()).await,
    }
}

fn check_port(port: u16) -> Result<()> {
    if port == 0 { Err(Error::invalid("port", "must be from 1 to 65535")) } else { Ok(()) }
}
