use lazaret_core::{Error, Kind};

use super::OpenedStore;
use crate::nouns;

pub(crate) async fn a_key_is_found_by_the_hash_of_its_secret(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let every_scope = nouns::key(2, account);
    let mut bare = nouns::key(1, account);
    bare.scopes.clear();
    bare.expires_at = None;
    for key in [&every_scope, &bare] {
        store.create_key(key).await.unwrap();
        assert_eq!(store.find_key_by_hash(&key.hash).await.unwrap().as_ref(), Some(key));
    }
    assert_eq!(store.find_key_by_hash(&nouns::key(3, account).hash).await.unwrap(), None);
    assert_eq!(store.list_keys(account).await.unwrap(), [every_scope, bare]);
    assert_eq!(store.list_keys(nouns::account_id(2)).await.unwrap(), []);
}

pub(crate) async fn a_key_is_deleted_by_its_own_account_only(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let key = nouns::key(1, account);
    store.create_key(&key).await.unwrap();
    assert!(!store.delete_key(other, key.id).await.unwrap());
    assert_eq!(store.find_key_by_hash(&key.hash).await.unwrap().as_ref(), Some(&key));
    assert!(store.delete_key(account, key.id).await.unwrap());
    assert_eq!(store.find_key_by_hash(&key.hash).await.unwrap(), None);
    assert!(!store.delete_key(account, key.id).await.unwrap());
}

pub(crate) async fn a_key_of_nobody_is_refused(opened: &OpenedStore) {
    let refused = opened.store.create_key(&nouns::key(1, nouns::account_id(1))).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Account, .. })), "{refused:?}");
}

pub(crate) async fn a_secret_has_one_key(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let first = nouns::key(1, account);
    store.create_key(&first).await.unwrap();
    let mut second = nouns::key(2, account);
    second.hash = first.hash;
    let refused = store.create_key(&second).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { kind: Kind::Key, .. })), "{refused:?}");
}
