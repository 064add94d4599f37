//! Just enough netlink to make links and to change sets of a packet filter.
//!
//! What is asked of the kernel here is a dozen kinds of messages, all written and none parsed, from the one process that
//! has every privilege; a library for all of netlink would be its largest part. Not here: what the messages mean
//! ([`link`], [`filter`]) is for their callers in [`super`].

pub(super) mod filter;
pub(super) mod link;
mod message;
mod socket;

pub(super) use socket::Socket;
