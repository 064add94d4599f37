use std::sync::Arc;

use futures_util::future::join_all;
use lazaret_core::{AccountId, Error, Kind, Limit, Order, PageRequest, Upload};

use super::OpenedStore;
use crate::nouns;

/// What was stored, with the place that it got.
async fn create(opened: &OpenedStore, mut upload: Upload) -> Upload {
    upload.sequence = opened.store.create_upload(&upload, u64::MAX).await.unwrap();
    upload
}

async fn numbers(
    opened: &OpenedStore,
    account: AccountId,
    purpose: Option<&str>,
    page: PageRequest<u64>,
) -> Vec<u64> {
    let uploads = opened.store.list_uploads(account, purpose, page).await.unwrap();
    uploads.iter().map(|upload| upload.bytes).collect()
}

pub(crate) async fn an_upload_is_found_by_its_own_account_only(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let mut upload = nouns::upload(1, account, 5 << 40);
    upload.filename = "na\u{ef}ve \"report\".csv".to_owned();
    upload.expires_at = Some(nouns::at(10));
    let upload = create(opened, upload).await;
    assert!(upload.sequence >= 1);
    assert_eq!(store.find_upload(account, upload.id).await.unwrap().as_ref(), Some(&upload));
    assert_eq!(store.find_upload(other, upload.id).await.unwrap(), None);
    assert_eq!(store.delete_upload(other, upload.id).await.unwrap(), None);
    assert_eq!(store.find_deleted_upload(account, upload.id).await.unwrap(), None);
    assert_eq!(store.delete_upload(account, upload.id).await.unwrap().as_ref(), Some(&upload));
    assert_eq!(store.find_upload(account, upload.id).await.unwrap(), None);
    assert_eq!(store.delete_upload(account, upload.id).await.unwrap(), None);
    assert_eq!(store.find_deleted_upload(account, upload.id).await.unwrap(), Some(upload.sequence));
    assert_eq!(store.find_deleted_upload(other, upload.id).await.unwrap(), None);
}

pub(crate) async fn pages_follow_each_other_in_both_directions(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let other = nouns::stored_account(&*opened.store, 2).await;
    let mut places = Vec::new();
    for number in 1..=5 {
        places.push(create(opened, nouns::upload(number, account, number)).await.sequence);
        create(opened, nouns::upload(number + 100, other, 100)).await;
    }
    let page = |order, after, limit| numbers(opened, account, None, PageRequest { limit, order, after });
    assert_eq!(page(Order::Ascending, None, 2).await, [1, 2, 3], "one more than the limit");
    assert_eq!(page(Order::Ascending, Some(places[1]), 2).await, [3, 4, 5]);
    assert_eq!(page(Order::Ascending, Some(places[3]), 2).await, [5]);
    assert_eq!(page(Order::Ascending, Some(u64::MAX), 2).await, [0; 0]);
    assert_eq!(page(Order::Descending, None, 2).await, [5, 4, 3]);
    assert_eq!(page(Order::Descending, Some(places[3]), 2).await, [3, 2, 1]);
    assert_eq!(page(Order::Descending, Some(places[0]), 2).await, [0; 0]);
    assert_eq!(page(Order::Descending, None, usize::MAX).await, [5, 4, 3, 2, 1]);
}

pub(crate) async fn a_page_starts_behind_an_upload_that_was_deleted(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    for number in 1..=3 {
        create(opened, nouns::upload(number, account, number)).await;
    }
    opened.store.delete_upload(account, nouns::upload_id(2)).await.unwrap();
    let after = opened.store.find_deleted_upload(account, nouns::upload_id(2)).await.unwrap();
    assert!(after.is_some());
    let page = |order| numbers(opened, account, None, PageRequest { limit: 10, order, after });
    assert_eq!(page(Order::Ascending).await, [3]);
    assert_eq!(page(Order::Descending).await, [1]);
}

pub(crate) async fn a_purpose_filters_before_the_page_is_cut(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    for number in 1..=6 {
        let mut upload = nouns::upload(number, account, number);
        upload.purpose = if number % 2 == 0 { "batch" } else { "vision" }.to_owned();
        create(opened, upload).await;
    }
    let page = PageRequest { limit: 2, order: Order::Ascending, after: None };
    assert_eq!(numbers(opened, account, Some("batch"), page).await, [2, 4, 6]);
    assert_eq!(numbers(opened, account, Some("Batch"), page).await, [0; 0]);
}

pub(crate) async fn a_quota_takes_its_last_byte_and_not_one_more(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let neighbour = nouns::stored_account(&**store, 2).await;
    store.create_upload(&nouns::upload(1, account, 60), 100).await.unwrap();
    store.create_upload(&nouns::upload(2, account, 40), 100).await.unwrap();
    store.create_upload(&nouns::upload(3, account, 0), 100).await.unwrap();
    let refused = store.create_upload(&nouns::upload(4, account, 1), 100).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::StoredBytes))), "{refused:?}");
    store.create_upload(&nouns::upload(5, neighbour, 100), 100).await.unwrap();

    store.delete_upload(account, nouns::upload_id(1)).await.unwrap();
    store.create_upload(&nouns::upload(6, account, 60), 100).await.unwrap();
    let refused = store.create_upload(&nouns::upload(7, account, 1), 100).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::StoredBytes))), "{refused:?}");
}

pub(crate) async fn a_refused_upload_spends_nothing(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    store.create_upload(&nouns::upload(1, account, 10), 100).await.unwrap();
    let refused = store.create_upload(&nouns::upload(1, account, 10), 100).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { kind: Kind::Upload, .. })), "{refused:?}");
    let refused = store.create_upload(&nouns::upload(2, account, 91), 100).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::StoredBytes))), "{refused:?}");
    store.create_upload(&nouns::upload(3, account, 90), 100).await.unwrap();
}

pub(crate) async fn uploads_at_once_share_a_quota_exactly(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let uploads = (1..=32).map(|number| {
        let store = Arc::clone(&opened.store);
        tokio::spawn(async move { store.create_upload(&nouns::upload(number, account, 10), 100).await })
    });
    let mut taken = 0;
    for result in join_all(uploads).await {
        match result.unwrap() {
            Ok(_) => taken += 1,
            Err(Error::LimitReached(Limit::StoredBytes)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, 10);
    let page = PageRequest { limit: 100, order: Order::Ascending, after: None };
    assert_eq!(opened.store.list_uploads(account, None, page).await.unwrap().len(), 10);
}

pub(crate) async fn an_upload_deleted_twice_at_once_frees_its_bytes_once(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    for number in 1..=2 {
        store.create_upload(&nouns::upload(number, account, 50), 100).await.unwrap();
    }
    let id = nouns::upload_id(1);
    let (one, two) = tokio::join!(store.delete_upload(account, id), store.delete_upload(account, id));
    assert_eq!([one.unwrap(), two.unwrap()].iter().flatten().count(), 1);
    let refused = store.create_upload(&nouns::upload(3, account, 51), 100).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::StoredBytes))), "{refused:?}");
    store.create_upload(&nouns::upload(4, account, 50), 100).await.unwrap();
}

pub(crate) async fn an_upload_of_nobody_is_refused(opened: &OpenedStore) {
    let refused = opened.store.create_upload(&nouns::upload(1, nouns::account_id(1), 0), 100).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Account, .. })), "{refused:?}");
}

pub(crate) async fn uploads_past_their_time_are_listed(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let other = nouns::stored_account(&*opened.store, 2).await;
    let mut past = Vec::new();
    for (number, (owner, expires_at)) in
        [(account, Some(10)), (other, Some(11)), (account, Some(12)), (account, None)].into_iter().enumerate()
    {
        let mut upload = nouns::upload(number as u64, owner, 0);
        upload.expires_at = expires_at.map(nouns::at);
        past.push(create(opened, upload).await);
    }
    past.truncate(2);
    assert_eq!(opened.store.list_expired_uploads(nouns::at(12)).await.unwrap(), past);
    assert_eq!(opened.store.list_expired_uploads(nouns::at(0)).await.unwrap(), []);
}

pub(crate) async fn a_blob_is_used_until_its_last_upload_is_gone(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let upload = create(opened, nouns::upload(1, account, 1)).await;
    create(opened, nouns::upload(2, account, 1)).await;
    assert!(!store.is_blob_used(&nouns::digest(1)).await.unwrap());
    assert!(store.is_blob_used(&upload.digest).await.unwrap());
    store.delete_upload(account, nouns::upload_id(1)).await.unwrap();
    assert!(store.is_blob_used(&upload.digest).await.unwrap());
    store.delete_upload(account, nouns::upload_id(2)).await.unwrap();
    assert!(!store.is_blob_used(&upload.digest).await.unwrap());
}
