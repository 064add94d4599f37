use lazaret_core::{Error, Kind};

use super::OpenedStore;
use crate::nouns;

pub(crate) async fn an_account_is_found_by_its_id_and_listed_oldest_first(opened: &OpenedStore) {
    let store = &opened.store;
    // Ids and names fall while creation goes on, so that neither can be what orders the list.
    let accounts = [3, 2, 1].map(nouns::account);
    for account in &accounts {
        store.create_account(account).await.unwrap();
    }
    assert_eq!(store.find_account(accounts[1].id).await.unwrap().as_ref(), Some(&accounts[1]));
    assert_eq!(store.find_account(nouns::account_id(4)).await.unwrap(), None);
    assert_eq!(store.list_accounts().await.unwrap(), accounts);
}

pub(crate) async fn a_name_that_is_taken_is_refused(opened: &OpenedStore) {
    let store = &opened.store;
    let first = nouns::account(1);
    store.create_account(&first).await.unwrap();
    let mut second = nouns::account(2);
    second.name.clone_from(&first.name);
    let refused = store.create_account(&second).await;
    assert!(
        matches!(&refused, Err(Error::AlreadyExists { kind: Kind::Account, id }) if *id == first.name),
        "{refused:?}"
    );
    assert_eq!(store.list_accounts().await.unwrap(), [first]);
}

pub(crate) async fn deleting_an_account_takes_its_keys_with_it(opened: &OpenedStore) {
    let store = &opened.store;
    let gone = nouns::stored_account(&**store, 1).await;
    let kept = nouns::stored_account(&**store, 2).await;
    let (its_key, other_key) = (nouns::key(1, gone), nouns::key(2, kept));
    store.create_key(&its_key).await.unwrap();
    store.create_key(&other_key).await.unwrap();

    assert!(store.delete_account(gone).await.unwrap());
    assert_eq!(store.find_key_by_hash(&its_key.hash).await.unwrap(), None);
    assert_eq!(store.find_key_by_hash(&other_key.hash).await.unwrap(), Some(other_key));
    assert!(!store.delete_account(gone).await.unwrap());
}

pub(crate) async fn an_account_that_still_owns_something_is_not_deleted(opened: &OpenedStore) {
    let store = &opened.store;
    let owner = nouns::stored_account(&**store, 1).await;
    store.create_sandbox(&nouns::sandbox(1, owner)).await.unwrap();
    let refused = store.delete_account(owner).await;
    assert!(matches!(refused, Err(Error::InUse { kind: Kind::Account, .. })), "{refused:?}");

    store.delete_sandbox(nouns::sandbox_id(1)).await.unwrap();
    store.create_upload(&nouns::upload(1, owner, 1), 1).await.unwrap();
    let refused = store.delete_account(owner).await;
    assert!(matches!(refused, Err(Error::InUse { kind: Kind::Account, .. })), "{refused:?}");

    store.delete_upload(owner, nouns::upload_id(1)).await.unwrap();
    assert!(store.delete_account(owner).await.unwrap());
}
