//! Secrets of sandboxes.

use lazaret_core::{Authority, DomainSecret, DomainSecrets, Secret};

use super::OpenedStore;
use crate::nouns;

fn secrets(value: &str) -> DomainSecrets {
    let secret = |domain: &str, name: &str| DomainSecret {
        domain: domain.parse().unwrap(),
        name: name.to_owned(),
        value: Secret::new(value),
    };
    DomainSecrets {
        authority: Authority { certificate: "a certificate".to_owned(), key: Secret::new("a key") },
        token: "7e57".to_owned(),
        secrets: vec![secret("api.example", "KEY"), secret("*.b.example", "KEY"), secret("c.example", "K2")],
    }
}

pub(crate) async fn secrets_read_back_and_may_be_there_before_their_sandbox(opened: &OpenedStore) {
    let store = &opened.store;
    let (first, second) = (nouns::sandbox_id(1), nouns::sandbox_id(2));
    assert_eq!(store.find_domain_secrets(first).await.unwrap(), None);
    store.put_domain_secrets(first, &secrets("hunter2")).await.unwrap();
    store.put_domain_secrets(second, &secrets("swordfish")).await.unwrap();
    let account = nouns::stored_account(&**store, 1).await;
    store.create_sandbox(&nouns::sandbox(1, account)).await.unwrap();
    assert_eq!(store.find_domain_secrets(first).await.unwrap(), Some(secrets("hunter2")));
    assert_eq!(store.find_domain_secrets(second).await.unwrap(), Some(secrets("swordfish")));
}

pub(crate) async fn secrets_go_with_their_sandbox_or_before_it(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    for number in [1, 2] {
        store.create_sandbox(&nouns::sandbox(number, account)).await.unwrap();
        store.put_domain_secrets(nouns::sandbox_id(number), &secrets("hunter2")).await.unwrap();
    }
    store.put_domain_secrets(nouns::sandbox_id(3), &secrets("hunter2")).await.unwrap();
    store.delete_domain_secrets(nouns::sandbox_id(1)).await.unwrap();
    store.delete_domain_secrets(nouns::sandbox_id(1)).await.unwrap();
    assert!(store.delete_sandbox(nouns::sandbox_id(2)).await.unwrap());
    // One that was never made: its maker takes back what came before it.
    assert!(!store.delete_sandbox(nouns::sandbox_id(3)).await.unwrap());
    for number in [1, 2, 3] {
        assert_eq!(store.find_domain_secrets(nouns::sandbox_id(number)).await.unwrap(), None, "{number}");
    }
}
