//! What grows is trimmed. The counters are moved on inside SQLite, because reaching the bounds one call at a time would
//! take minutes.

use std::fs;
use std::path::Path;

use lazaret_core::limits;
use lazaret_core::ports::Store;
use lazaret_store::Sqlite;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::nouns;

/// Changes a database that no store has open.
fn alter(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn the_oldest_events_beyond_the_bound_are_dropped() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let account = nouns::account_id(1);
    let store = Sqlite::open(&path).unwrap();
    for number in 1..=3 {
        store.append_event(&nouns::event(account, nouns::denied(number))).await.unwrap();
    }
    drop(store);
    // As if the events between had been appended: the next place is two beyond the bound.
    alter(
        &path,
        &format!("UPDATE sqlite_sequence SET seq = {} + 1 WHERE name = 'events'", limits::EVENTS_MAX),
    );

    let store = Sqlite::open(&path).unwrap();
    let last = store.append_event(&nouns::event(account, nouns::denied(4))).await.unwrap();
    assert_eq!(last, limits::EVENTS_MAX + 2);
    let kept: Vec<_> = store.list_events(account, 0, 100).await.unwrap();
    assert_eq!(kept.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, last]);
}

#[tokio::test]
async fn the_log_of_the_database_is_folded_while_it_is_written() {
    /// Longest log: where the writer stops to fold it itself, and a little for the commit that went beyond.
    const LOG_MAX_BYTES: u64 = 66 * 1024 * 1024;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let store = Sqlite::open(&path).unwrap();
    let account = nouns::account_id(1);
    // Each writes at least three pages of 4 KiB: the event, its index, the counter of places.
    for number in 0..8000 {
        store.append_event(&nouns::event(account, nouns::denied(number))).await.unwrap();
    }
    let log = fs::metadata(directory.path().join("lazaret.db-wal")).unwrap().len();
    assert!(log < LOG_MAX_BYTES, "{log} bytes of log");
    let database = fs::metadata(&path).unwrap().len();
    assert!(database > 500 * 1024, "{database} bytes of database: most events are in it");
}

#[tokio::test]
async fn the_oldest_tombstones_of_an_owner_are_dropped() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let store = Sqlite::open(&path).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    let neighbour = nouns::stored_account(&store, 2).await;
    for (number, owner) in [(1, account), (2, account), (3, account), (4, neighbour)] {
        store.create_upload(&nouns::upload(number, owner, 1), 100).await.unwrap();
    }
    for (number, owner) in [(1, account), (2, account), (4, neighbour)] {
        store.delete_upload(owner, nouns::upload_id(number)).await.unwrap();
    }
    drop(store);
    // As if 9,999 more had been buried between the first and the second, which makes the next one the 10,002nd.
    alter(
        &path,
        "UPDATE tombstones SET ordinal = ordinal + 9999 \
         WHERE ordinal = 2 AND owner = (SELECT id FROM accounts WHERE name = 'account 1')",
    );

    let store = Sqlite::open(&path).unwrap();
    store.delete_upload(account, nouns::upload_id(3)).await.unwrap();
    let place =
        async |owner, number| store.find_deleted_upload(owner, nouns::upload_id(number)).await.unwrap();
    assert_eq!(place(account, 1).await, None, "the oldest is forgotten");
    assert_eq!(place(account, 2).await, Some(2));
    assert_eq!(place(account, 3).await, Some(3));
    assert_eq!(place(neighbour, 4).await, Some(4), "nobody pays for another account's deletions");
}
