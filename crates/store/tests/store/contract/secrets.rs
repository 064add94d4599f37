use lazaret_core::{Error, Kind, Limit, Timestamp, Withdrawal};

use super::OpenedStore;
use crate::nouns;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000)
}

fn withdrawal(number: u8, ends_at: i64) -> Withdrawal {
    Withdrawal { mark: [number; 15], ends_at: at(ends_at) }
}

pub(crate) async fn a_secret_is_made_once_and_counts_starts_and_rotations(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let sandbox = nouns::sandbox(1, account);
    store.create_sandbox(&sandbox).await.unwrap();
    assert_eq!(store.find_sandbox_secret(sandbox.id).await.unwrap(), None);
    store.count_start(sandbox.id).await.unwrap();
    let refused = store.rotate_file_key(sandbox.id).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Sandbox, .. })), "{refused:?}");
    let made = store.ensure_sandbox_secret(sandbox.id, [1; 32]).await.unwrap();
    assert_eq!((made.secret, made.starts, made.rotations), ([1; 32], 0, 0));
    store.count_start(sandbox.id).await.unwrap();
    let rotated = store.rotate_file_key(sandbox.id).await.unwrap();
    assert_eq!((rotated.secret, rotated.starts, rotated.rotations), ([1; 32], 1, 1));
    assert_eq!(store.ensure_sandbox_secret(sandbox.id, [2; 32]).await.unwrap(), rotated);
    assert_eq!(store.find_sandbox_secret(sandbox.id).await.unwrap(), Some(rotated));
}

pub(crate) async fn withdrawals_are_bounded_and_forgotten_after_their_end(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let sandbox = nouns::sandbox(1, account);
    store.create_sandbox(&sandbox).await.unwrap();
    let id = sandbox.id;
    store.withdraw_preview(id, withdrawal(1, 100), at(0), 2).await.unwrap();
    store.withdraw_preview(id, withdrawal(1, 100), at(0), 2).await.unwrap();
    store.withdraw_preview(id, withdrawal(2, 50), at(0), 2).await.unwrap();
    let full = store.withdraw_preview(id, withdrawal(3, 100), at(49), 2).await;
    assert!(matches!(full, Err(Error::LimitReached(Limit::Withdrawals))), "{full:?}");
    store.withdraw_preview(id, withdrawal(3, 100), at(50), 2).await.unwrap();
    for (number, want) in [(1, true), (2, false), (3, true), (4, false)] {
        assert_eq!(store.is_preview_withdrawn(id, [number; 15]).await.unwrap(), want, "{number}");
    }
}

pub(crate) async fn a_secret_and_its_withdrawals_go_with_their_sandbox(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let sandbox = nouns::sandbox(1, account);
    store.create_sandbox(&sandbox).await.unwrap();
    store.ensure_sandbox_secret(sandbox.id, [1; 32]).await.unwrap();
    store.withdraw_preview(sandbox.id, withdrawal(1, 100), at(0), 2).await.unwrap();
    assert!(store.delete_sandbox(sandbox.id).await.unwrap());
    assert_eq!(store.find_sandbox_secret(sandbox.id).await.unwrap(), None);
    assert!(!store.is_preview_withdrawn(sandbox.id, [1; 15]).await.unwrap());
    let refused = store.ensure_sandbox_secret(sandbox.id, [2; 32]).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Sandbox, .. })), "{refused:?}");
}
