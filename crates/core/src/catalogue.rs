//! The catalogue of a sandbox: the files under its data directory, each with an id that lasts as long as its path.

use crate::{CatalogueEntryId, FilePath, SandboxId, Timestamp};

/// Who made a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Uploaded or copied in by a client.
    User,
    /// Found in the tree: written by code in the sandbox.
    Assistant,
}

/// One regular file of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its id, stable while the path exists.
    pub id: CatalogueEntryId,
    /// The sandbox that holds it.
    pub sandbox: SandboxId,
    /// Absolute path inside the sandbox.
    pub path: FilePath,
    /// Size at the last look.
    pub bytes: u64,
    /// Who made it.
    pub source: Source,
    /// When it was uploaded or first seen.
    pub created_at: Timestamp,
    /// Position in creation order within the server; breaks ties of `created_at`.
    pub sequence: u64,
}
