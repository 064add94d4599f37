use std::sync::Arc;

use futures_util::future::join_all;
use lazaret_core::{EgressPolicy, Error, IdleAction, Kind, LeasePolicy, Reason, Sandbox, State};

use super::OpenedStore;
use crate::nouns;

/// What was stored, with the place that it got.
async fn create(opened: &OpenedStore, mut sandbox: Sandbox) -> Sandbox {
    sandbox.sequence = opened.store.create_sandbox(&sandbox).await.unwrap();
    sandbox
}

pub(crate) async fn every_field_of_a_sandbox_reads_back(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let full = create(opened, nouns::full_sandbox(1, account)).await;
    let bare = create(opened, nouns::sandbox(2, account)).await;
    assert!(full.sequence >= 1, "0 means that the store has not numbered it");
    assert_eq!(store.list_sandboxes().await.unwrap(), [full, bare]);
}

pub(crate) async fn every_state_and_reason_reads_back(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let mut sandbox = create(opened, nouns::sandbox(1, account)).await;
    let reasons = [
        Reason::Requested,
        Reason::Idle,
        Reason::EndOfLife,
        Reason::GuestDied,
        Reason::OutOfMemory,
        Reason::HostDiskFull,
        Reason::LostWithHost,
        Reason::StartFailed(String::new()),
        Reason::RemoveFailed("busy".to_owned()),
        Reason::StartCommandFailed("no such program".to_owned()),
    ];
    let networks = [None, Some(EgressPolicy::Disabled), Some(EgressPolicy::Internet)];
    let actions = [IdleAction::Expire, IdleAction::Stop, IdleAction::Pause];
    for (number, state) in State::ALL.into_iter().enumerate() {
        sandbox.state = state;
        sandbox.reason = reasons.get(number).cloned();
        sandbox.network = networks.get(number).cloned().flatten();
        let idle = actions.get(number).map(|action| (std::time::Duration::from_secs(60), *action));
        sandbox.lease = LeasePolicy { idle, ..LeasePolicy::default() };
        store.update_sandbox(&sandbox).await.unwrap();
        assert_eq!(store.list_sandboxes().await.unwrap(), std::slice::from_ref(&sandbox));
    }
}

pub(crate) async fn updating_replaces_the_record_and_keeps_its_place(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let first = create(opened, nouns::sandbox(1, account)).await;
    let second = create(opened, nouns::sandbox(2, account)).await;
    let changed =
        Sandbox { created_at: first.created_at, sequence: first.sequence, ..nouns::full_sandbox(1, account) };
    store.update_sandbox(&changed).await.unwrap();
    assert_eq!(store.list_sandboxes().await.unwrap(), [changed, second]);
}

pub(crate) async fn updating_a_sandbox_that_is_gone_is_not_found(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let sandbox = create(opened, nouns::sandbox(1, account)).await;
    store.delete_sandbox(sandbox.id).await.unwrap();
    let refused = store.update_sandbox(&sandbox).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Sandbox, .. })), "{refused:?}");
    assert_eq!(store.list_sandboxes().await.unwrap(), []);
}

pub(crate) async fn touching_changes_the_activity_alone(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let mut touched = create(opened, nouns::full_sandbox(1, account)).await;
    let other = create(opened, nouns::sandbox(2, account)).await;
    touched.last_active_at = nouns::at(99);
    store.touch_sandbox(touched.id, touched.last_active_at).await.unwrap();
    store.touch_sandbox(nouns::sandbox_id(3), nouns::at(99)).await.unwrap();
    assert_eq!(store.list_sandboxes().await.unwrap(), [touched, other]);
}

pub(crate) async fn two_creations_in_the_same_second_keep_their_order(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    // The same moment, and ids that would sort the other way round.
    let first = create(opened, nouns::sandbox(2, account)).await;
    let second = create(opened, nouns::sandbox(1, account)).await;
    assert_eq!(first.created_at, second.created_at);
    assert!(first.sequence < second.sequence);
    assert_eq!(store.list_sandboxes().await.unwrap(), [first, second]);
}

pub(crate) async fn creations_at_once_get_a_place_each(opened: &OpenedStore) {
    const AT_ONCE: u64 = 64;
    let account = nouns::stored_account(&*opened.store, 1).await;
    let creations = (0..AT_ONCE).map(|number| {
        let store = Arc::clone(&opened.store);
        tokio::spawn(async move {
            let mut sandbox = nouns::full_sandbox(number, account);
            sandbox.sequence = store.create_sandbox(&sandbox).await.unwrap();
            // What was answered is seen by the next reader, whoever that is.
            assert!(store.list_sandboxes().await.unwrap().contains(&sandbox));
            sandbox
        })
    });
    let mut created: Vec<_> = join_all(creations).await.into_iter().map(Result::unwrap).collect();
    created.sort_by_key(|sandbox| sandbox.sequence);
    assert_eq!(opened.store.list_sandboxes().await.unwrap(), created);
    created.dedup_by_key(|sandbox| sandbox.sequence);
    assert_eq!(created.len() as u64, AT_ONCE);
}

pub(crate) async fn a_sandbox_of_nobody_is_refused(opened: &OpenedStore) {
    let refused = opened.store.create_sandbox(&nouns::sandbox(1, nouns::account_id(1))).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Account, .. })), "{refused:?}");
}

pub(crate) async fn an_id_that_is_there_is_refused(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let sandbox = create(opened, nouns::sandbox(1, account)).await;
    let refused = opened.store.create_sandbox(&nouns::full_sandbox(1, account)).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { kind: Kind::Sandbox, .. })), "{refused:?}");
    assert_eq!(opened.store.list_sandboxes().await.unwrap(), [sandbox]);
}

pub(crate) async fn a_deleted_sandbox_leaves_its_place_to_its_own_account(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let deleted = create(opened, nouns::sandbox(1, account)).await;
    assert_eq!(store.find_deleted_sandbox(account, deleted.id).await.unwrap(), None, "it is still there");

    assert!(store.delete_sandbox(deleted.id).await.unwrap());
    assert!(!store.delete_sandbox(deleted.id).await.unwrap());
    assert_eq!(store.find_deleted_sandbox(account, deleted.id).await.unwrap(), Some(deleted.sequence));
    assert_eq!(store.find_deleted_sandbox(other, deleted.id).await.unwrap(), None);
    assert_eq!(store.find_deleted_sandbox(account, nouns::sandbox_id(2)).await.unwrap(), None);

    // It was the last one, and its place is not given again.
    let next = create(opened, nouns::sandbox(3, account)).await;
    assert!(next.sequence > deleted.sequence);
}

pub(crate) async fn a_sandbox_is_deleted_once_by_two_at_once(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let sandbox = create(opened, nouns::sandbox(1, account)).await;
    let (one, two) =
        tokio::join!(opened.store.delete_sandbox(sandbox.id), opened.store.delete_sandbox(sandbox.id));
    assert_eq!([one.unwrap(), two.unwrap()].iter().filter(|deleted| **deleted).count(), 1);
}
