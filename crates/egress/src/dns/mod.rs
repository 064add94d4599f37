//! Names for sandboxes: queries by UDP and TCP, answered for allowed names alone.
//!
//! What a sandbox may not resolve does not exist for it (`NXDOMAIN`): that ends a client's attempt at once, where a
//! refusal would make it try again. What is not a query gets no answer, so that nothing here answers an answer.

mod answer;
mod tcp;
mod udp;

use std::sync::Arc;

use crate::exit::Exit;
use crate::resolve::NameServers;
use crate::tenant::Court;
use crate::tenants::Tenants;

pub(crate) use tcp::serve as serve_tcp;
pub(crate) use udp::serve as serve_udp;

/// What answering takes.
pub(crate) struct Dns {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) servers: Arc<NameServers>,
    pub(crate) exit: Arc<dyn Exit>,
    pub(crate) court: Arc<Court>,
}
