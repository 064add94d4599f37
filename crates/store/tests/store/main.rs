//! What the store promises. `contract` asks any `Store` and `Blobs`; the other modules ask what only SQLite and files
//! can be asked: how they open, what they survive, what they do when the disk is full.

mod contract;
mod disk_full;
mod durability;
mod nouns;
mod opening;
mod retention;

use std::path::Path;
use std::sync::Arc;

use lazaret_store::{BlobFiles, Sqlite};
use tempfile::TempDir;

use crate::contract::{OpenedBlobs, OpenedStore};

fn sqlite() -> OpenedStore {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("lazaret.db")).unwrap());
    OpenedStore { store, keep: Box::new(directory) }
}

fn blob_files() -> OpenedBlobs {
    let directory = TempDir::new().unwrap();
    let blobs = Arc::new(BlobFiles::open(directory.path()).unwrap());
    let tmp = directory.path().join("tmp");
    OpenedBlobs { blobs, partial: Box::new(move || files_in(&tmp)), keep: Box::new(directory) }
}

fn files_in(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

contract::of_a_store!(crate::sqlite);
contract::of_blobs!(crate::blob_files);
