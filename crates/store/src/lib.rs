//! The `Store` and `Blobs` ports over SQLite and a directory; the only SQL in the tree.
//!
//! ```text
//!   Sqlite (impl Store) ──job──▶ writer thread ──▶ lazaret.db-wal ──▶ lazaret.db
//!        │                          └─nudge─▶ checkpoint thread ──────────┘
//!        └───────────────job──▶ lookup thread, listing thread
//!
//!   BlobFiles (impl Blobs) ──▶ blobs/tmp/put-… ──fsync, rename──▶ blobs/ab/abcd…
//! ```
//!
//! One file per resource holds its statements and the conversion between rows and nouns. Rules about the domain are
//! not here: a query only keeps what must be atomic (a name that is taken, a quota that is spent).
//!
//! Secrets of sandboxes are sealed with a key that is not in the database (`seal.rs`).
//!
//! Durability: every commit survives a kill of the process, because the kernel holds the bytes. Accounts, keys, uploads
//! and blobs are flushed to the disk before the answer and survive power loss too.

#![forbid(unsafe_code)]

mod accounts;
mod blobs;
mod catalogue;
mod domain_secrets;
mod error;
mod events;
mod keys;
mod migrate;
mod row;
mod row_types;
mod sandboxes;
mod seal;
mod secrets;
mod sqlite;
mod templates;
mod thread;
mod tombstones;
mod uploads;
mod volumes;
mod writer;

pub use blobs::BlobFiles;
pub use error::Error;
pub use sqlite::Sqlite;
