//! Secrets of sandboxes: values that are put into requests here, so that they never are in a sandbox.
//!
//! ```text
//!   sandbox ══TLS══▶ authority's certificate ─▶ request ─▶ substitute ─▶ ══TLS══▶ the host, verified by `upstream`
//!      ▲                                                                              │
//!      └──────────── response ◀── scrub: a value that is told word for word ◀─────────┘
//! ```
//!
//! Only hosts of the secrets' domains are answered for; every other handshake is passed on unread.

mod authority;
mod scrub;
mod substitute;
mod upstream;

use std::sync::Arc;

use lazaret_core::{DomainName, DomainSecrets};

use crate::error::EgressError;

pub(crate) use authority::{Vouching, new_authority};
pub(crate) use scrub::Scrubbed;
pub(crate) use substitute::{Substitutes, Unfit};
pub(crate) use upstream::Upstream;

/// The secrets of one sandbox, ready for use.
#[derive(Debug)]
pub(crate) struct Disclosure {
    secrets: Arc<DomainSecrets>,
    vouching: Vouching,
}

impl Disclosure {
    pub(crate) fn new(secrets: Arc<DomainSecrets>) -> Result<Self, EgressError> {
        let vouching = Vouching::new(&secrets.authority)?;
        Ok(Self { secrets, vouching })
    }

    /// What is put into requests to the host of this name; `None` if that gets nothing.
    pub(crate) fn substitutes(&self, host: &DomainName) -> Option<Substitutes> {
        Substitutes::new(&self.secrets, host)
    }

    /// What answers for hosts inside.
    pub(crate) fn vouching(&self) -> &Vouching {
        &self.vouching
    }
}
