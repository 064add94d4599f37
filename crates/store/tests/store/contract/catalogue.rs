use lazaret_core::{CatalogueEntry, Error, Kind, SandboxId, Source};

use super::OpenedStore;
use crate::nouns;

async fn stored_sandbox(opened: &OpenedStore, number: u64) -> SandboxId {
    let account = nouns::account(number);
    opened.store.create_account(&account).await.unwrap();
    let sandbox = nouns::sandbox(number, account.id);
    opened.store.create_sandbox(&sandbox).await.unwrap();
    sandbox.id
}

/// What was stored, with the place that it got.
async fn put(opened: &OpenedStore, mut entry: CatalogueEntry) -> CatalogueEntry {
    entry.sequence = opened.store.put_catalogue_entry(&entry).await.unwrap();
    entry
}

pub(crate) async fn an_entry_is_added_once_and_then_replaced(opened: &OpenedStore) {
    let store = &opened.store;
    let sandbox = stored_sandbox(opened, 1).await;
    let mut first = put(opened, nouns::entry(2, sandbox, b"/mnt/data/b")).await;
    let second = put(opened, nouns::entry(1, sandbox, b"/mnt/data/a")).await;
    assert!(first.sequence >= 1 && first.sequence < second.sequence);

    first.bytes = 1 << 40;
    first.source = Source::Assistant;
    first.path = nouns::entry(2, sandbox, b"/mnt/data/moved").path;
    assert_eq!(store.put_catalogue_entry(&first).await.unwrap(), first.sequence);
    assert_eq!(store.list_catalogue(sandbox).await.unwrap(), [first, second]);
    assert_eq!(store.list_catalogue(nouns::sandbox_id(2)).await.unwrap(), []);
}

pub(crate) async fn a_path_that_is_not_utf8_reads_back(opened: &OpenedStore) {
    let sandbox = stored_sandbox(opened, 1).await;
    let entry = put(opened, nouns::entry(1, sandbox, b"/mnt/data/\xff\xfe\n'\"")).await;
    assert_eq!(opened.store.list_catalogue(sandbox).await.unwrap(), [entry]);
}

pub(crate) async fn a_path_has_one_entry(opened: &OpenedStore) {
    let store = &opened.store;
    let sandbox = stored_sandbox(opened, 1).await;
    let neighbour = stored_sandbox(opened, 2).await;
    let entry = put(opened, nouns::entry(1, sandbox, b"/mnt/data/a")).await;
    let refused = store.put_catalogue_entry(&nouns::entry(2, sandbox, b"/mnt/data/a")).await;
    assert!(
        matches!(&refused, Err(Error::AlreadyExists { kind: Kind::CatalogueEntry, id }) if id == "/mnt/data/a"),
        "{refused:?}"
    );
    assert_eq!(store.list_catalogue(sandbox).await.unwrap(), [entry]);
    let same_path = put(opened, nouns::entry(3, neighbour, b"/mnt/data/a")).await;
    assert_eq!(store.list_catalogue(neighbour).await.unwrap(), [same_path]);
}

pub(crate) async fn an_entry_of_no_sandbox_is_refused(opened: &OpenedStore) {
    let refused = opened.store.put_catalogue_entry(&nouns::entry(1, nouns::sandbox_id(1), b"/a")).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Sandbox, .. })), "{refused:?}");
}

pub(crate) async fn an_entry_that_was_deleted_stays_deleted(opened: &OpenedStore) {
    let store = &opened.store;
    let sandbox = stored_sandbox(opened, 1).await;
    let entry = put(opened, nouns::entry(1, sandbox, b"/mnt/data/a")).await;
    assert!(store.delete_catalogue_entry(sandbox, entry.id).await.unwrap());
    assert_eq!(store.put_catalogue_entry(&entry).await.unwrap(), entry.sequence);
    assert_eq!(store.list_catalogue(sandbox).await.unwrap(), []);
}

pub(crate) async fn a_deleted_entry_leaves_its_place_to_its_own_sandbox(opened: &OpenedStore) {
    let store = &opened.store;
    let sandbox = stored_sandbox(opened, 1).await;
    let neighbour = stored_sandbox(opened, 2).await;
    let deleted = put(opened, nouns::entry(1, sandbox, b"/mnt/data/a")).await;
    assert!(!store.delete_catalogue_entry(neighbour, deleted.id).await.unwrap());
    assert_eq!(store.find_deleted_catalogue_entry(sandbox, deleted.id).await.unwrap(), None);
    assert!(store.delete_catalogue_entry(sandbox, deleted.id).await.unwrap());
    assert!(!store.delete_catalogue_entry(sandbox, deleted.id).await.unwrap());
    let place = store.find_deleted_catalogue_entry(sandbox, deleted.id).await.unwrap();
    assert_eq!(place, Some(deleted.sequence));
    assert_eq!(store.find_deleted_catalogue_entry(neighbour, deleted.id).await.unwrap(), None);
    let next = put(opened, nouns::entry(2, sandbox, b"/mnt/data/a")).await;
    assert!(next.sequence > deleted.sequence);
}

pub(crate) async fn a_deleted_sandbox_takes_its_catalogue_with_it(opened: &OpenedStore) {
    let store = &opened.store;
    let sandbox = stored_sandbox(opened, 1).await;
    put(opened, nouns::entry(1, sandbox, b"/mnt/data/a")).await;
    let gone = put(opened, nouns::entry(2, sandbox, b"/mnt/data/b")).await;
    store.delete_catalogue_entry(sandbox, gone.id).await.unwrap();
    store.delete_sandbox(sandbox).await.unwrap();
    assert_eq!(store.list_catalogue(sandbox).await.unwrap(), []);
    assert_eq!(store.find_deleted_catalogue_entry(sandbox, gone.id).await.unwrap(), None);
}
