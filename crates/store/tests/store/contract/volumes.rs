use futures_util::future::join_all;
use lazaret_core::{Error, Kind, Limit, Order, PageRequest, Volume, VolumeState};

use super::OpenedStore;
use crate::nouns;

/// Bounds that no test of other things reaches.
const MANY: (usize, u64) = (100, u64::MAX);

pub(crate) async fn every_field_of_a_volume_reads_back_to_its_own_account(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let mut volume = Volume { name: "it's \"quoted\" \\ %_".to_owned(), ..nouns::volume(1, account) };
    volume.sequence = store.create_volume(&volume, MANY.0, MANY.1).await.unwrap();
    assert_eq!(store.find_volume(account, volume.id).await.unwrap().as_ref(), Some(&volume));
    assert_eq!(store.find_volume(other, volume.id).await.unwrap(), None);
    assert_eq!(store.find_volume_by_name(other, &volume.name).await.unwrap(), None);

    store.touch_volume(volume.id, nouns::at(7)).await.unwrap();
    volume.last_used_at = Some(nouns::at(7));
    for state in VolumeState::ALL {
        assert!(store.set_volume_state(volume.id, state).await.unwrap());
        volume.state = state;
        let found = store.find_volume_by_name(account, &volume.name).await.unwrap();
        assert_eq!(found.as_ref(), Some(&volume));
        assert_eq!(store.list_all_volumes().await.unwrap(), [volume.clone()]);
    }
    let refused = store.delete_account(account).await;
    assert!(matches!(refused, Err(Error::InUse { kind: Kind::Account, .. })), "{refused:?}");
    assert!(store.delete_volume(volume.id).await.unwrap());
    assert!(!store.delete_volume(volume.id).await.unwrap());
    assert!(!store.set_volume_state(volume.id, VolumeState::Ready).await.unwrap());
    store.touch_volume(volume.id, nouns::at(8)).await.unwrap();
    assert_eq!(store.list_all_volumes().await.unwrap(), []);
}

pub(crate) async fn a_volumes_name_is_unique_within_its_account(opened: &OpenedStore) {
    let store = &opened.store;
    let one = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    let first = nouns::volume(1, one);
    store.create_volume(&first, MANY.0, MANY.1).await.unwrap();
    let same = Volume { name: first.name.clone(), ..nouns::volume(2, one) };
    let refused = store.create_volume(&same, MANY.0, MANY.1).await;
    assert!(
        matches!(&refused, Err(Error::AlreadyExists { kind: Kind::Volume, id }) if *id == first.name),
        "{refused:?}"
    );
    store.create_volume(&Volume { account: other, ..same }, MANY.0, MANY.1).await.unwrap();
    let of_nobody = nouns::volume(3, nouns::account(3).id);
    let refused = store.create_volume(&of_nobody, MANY.0, MANY.1).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: Kind::Account, .. })), "{refused:?}");
}

pub(crate) async fn quotas_take_the_last_volume_and_the_last_byte_and_not_one_more(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    store.create_volume(&nouns::volume(9, other), MANY.0, MANY.1).await.unwrap();
    store.create_volume(&nouns::volume(1, account), 2, 2 << 20).await.unwrap();
    let large = Volume { size_bytes: (1 << 20) + 1, ..nouns::volume(2, account) };
    let refused = store.create_volume(&large, 2, 2 << 20).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::VolumeBytes))), "{refused:?}");
    store.create_volume(&nouns::volume(2, account), 2, 2 << 20).await.unwrap();
    let refused = store.create_volume(&nouns::volume(3, account), 2, u64::MAX).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::Volumes))), "{refused:?}");
    // What was deleted counts no more.
    store.delete_volume(nouns::volume_id(1)).await.unwrap();
    store.create_volume(&nouns::volume(3, account), 2, 2 << 20).await.unwrap();
}

pub(crate) async fn volumes_made_at_once_share_a_quota_exactly(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let volumes: Vec<_> = (0..20).map(|number| nouns::volume(number, account)).collect();
    let made = join_all(volumes.iter().map(|volume| store.create_volume(volume, 100, 7 << 20))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 7);
    assert_eq!(store.list_all_volumes().await.unwrap().len(), 7);
}

pub(crate) async fn pages_of_volumes_go_on_behind_one_that_was_deleted(opened: &OpenedStore) {
    let store = &opened.store;
    let account = nouns::stored_account(&**store, 1).await;
    let other = nouns::stored_account(&**store, 2).await;
    store.create_volume(&nouns::volume(9, other), MANY.0, MANY.1).await.unwrap();
    let mut places = Vec::new();
    for number in 0..4 {
        places.push(store.create_volume(&nouns::volume(number, account), MANY.0, MANY.1).await.unwrap());
    }
    store.delete_volume(nouns::volume_id(1)).await.unwrap();
    let place = store.find_deleted_volume(account, nouns::volume_id(1)).await.unwrap();
    assert_eq!(place, Some(places[1]));
    assert_eq!(store.find_deleted_volume(other, nouns::volume_id(1)).await.unwrap(), None);
    let names = async |order, after, limit| -> Vec<String> {
        let page = PageRequest { limit, order, after };
        let found = store.list_volumes(account, page).await.unwrap();
        found.into_iter().map(|volume| volume.name).collect()
    };
    assert_eq!(names(Order::Ascending, place, 9).await, ["volume 2", "volume 3"]);
    assert_eq!(names(Order::Descending, place, 9).await, ["volume 0"]);
    assert_eq!(names(Order::Descending, None, 1).await, ["volume 3", "volume 2"], "one more than the limit");
}
