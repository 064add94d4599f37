//! How guests and hosts of different releases understand each other.
//!
//! A sandbox outlives the server that made it, so a new host must speak to an old guest, and after a rollback an
//! old host to a new guest. Three rules keep that simple:
//!
//! 1. Fields and variants are only ever added, as optional ones, and never change their meaning or number.
//! 2. Every request says which version it *needs* ([`crate::RequestBody::needs`]). A guest refuses a request that
//!    needs more than it knows with [`crate::ErrorKind::Unsupported`], so a field is never silently ignored.
//! 3. Every request says which version the host *is*. A guest never sends a frame kind that is newer.
//!
//! A golden test keeps the bytes of every released message.

/// The version that this build speaks.
///
/// Raised by one with every release that adds a field, a variant or a frame kind.
pub const PROTOCOL_VERSION: u32 = 3;

/// The oldest host that this guest still answers, and the oldest guest that this host still adopts.
pub const OLDEST_SUPPORTED: u32 = 1;

const _: () = assert!(OLDEST_SUPPORTED >= 1 && OLDEST_SUPPORTED <= PROTOCOL_VERSION);
