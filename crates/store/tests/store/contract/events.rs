use lazaret_core::{Event, EventKind, PackageCount, Reason, RoleStep, State};

use super::OpenedStore;
use crate::nouns;

/// What was stored, with the place that it got.
async fn append(opened: &OpenedStore, mut event: Event) -> Event {
    event.sequence = opened.store.append_event(&event).await.unwrap();
    event
}

pub(crate) async fn events_are_read_behind_a_cursor_by_their_own_account(opened: &OpenedStore) {
    let (account, other) = (nouns::account_id(1), nouns::account_id(2));
    let mut mine = Vec::new();
    for number in 1..=4 {
        mine.push(append(opened, nouns::event(account, nouns::denied(number))).await);
        append(opened, nouns::event(other, nouns::denied(100))).await;
    }
    assert!(mine.is_sorted_by(|a, b| a.sequence < b.sequence) && mine[0].sequence >= 1);
    let list = |after, limit| opened.store.list_events(account, after, limit);
    assert_eq!(list(0, 100).await.unwrap(), mine);
    assert_eq!(list(0, 2).await.unwrap(), mine[..2]);
    assert_eq!(list(mine[1].sequence, usize::MAX).await.unwrap(), mine[2..]);
    assert_eq!(list(u64::MAX, 100).await.unwrap(), []);
}

pub(crate) async fn every_kind_of_event_reads_back(opened: &OpenedStore) {
    let account = nouns::account_id(1);
    let changed = |state, reason| EventKind::StateChanged { state, reason };
    let kinds = [
        nouns::denied(1),
        changed(State::Running, None),
        EventKind::TemplateChanged {
            template: nouns::template(1, account).id,
            name: "it's".to_owned(),
            state: lazaret_core::TemplateState::Error,
            reason: Some("no \"image\"".to_owned()),
        },
        changed(State::Stopped, Some(Reason::GuestDied)),
        changed(State::Error, Some(Reason::StartFailed("no \"image\"".to_owned()))),
        EventKind::RoleProgress {
            role: "python".to_owned(),
            step: RoleStep::Packages,
            packages: Some(PackageCount { installed: 3, wanted: u32::MAX }),
            message: None,
        },
        EventKind::RoleProgress {
            role: "python".to_owned(),
            step: RoleStep::Failed,
            packages: None,
            message: Some("no \"network\"".to_owned()),
        },
    ];
    let mut events = Vec::new();
    for kind in kinds {
        events.push(append(opened, nouns::event(account, kind)).await);
    }
    events.push(append(opened, Event { sandbox: None, ..nouns::event(account, nouns::denied(2)) }).await);
    assert_eq!(opened.store.list_events(account, 0, 100).await.unwrap(), events);
}

pub(crate) async fn an_event_survives_its_account(opened: &OpenedStore) {
    let account = nouns::stored_account(&*opened.store, 1).await;
    let event = append(opened, nouns::event(account, nouns::denied(1))).await;
    opened.store.delete_account(account).await.unwrap();
    assert_eq!(opened.store.list_events(account, 0, 10).await.unwrap(), [event]);
}
