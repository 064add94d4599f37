//! How a database and a directory of blobs open: their modes, what they held, older and newer schemas, corrupt rows.

use std::error::Error as StdError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lazaret_core::ports::{Blobs, Store};
use lazaret_core::{Authority, DomainSecret, DomainSecrets, Error as CoreError, Secret, body_from_bytes};
use lazaret_store::{BlobFiles, Error, Sqlite};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{files_in, nouns};

/// A database of schema version 1 with one of everything, as `sqlite3 .dump` prints it. It is never edited: it stands
/// for the files that the first release left on people's disks.
const VERSION_1: &str = include_str!("version_1.sql");

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The refusal to open `path`.
fn refusal(path: &Path) -> Error {
    match Sqlite::open(path) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// The whole chain of an error, as the log shows it.
fn chain(error: &dyn StdError) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[tokio::test]
async fn nobody_else_can_read_what_is_stored() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("a/b");
    let database = data.join("lazaret.db");
    let store = Sqlite::open(&database).unwrap();
    nouns::stored_account(&store, 1).await;
    let blobs = BlobFiles::open(&data.join("blobs")).unwrap();
    let digest = blobs.put(body_from_bytes("abc"), 3).await.unwrap().digest.hex();

    for path in [directory.path().join("a"), data.clone(), data.join("blobs"), data.join("blobs/tmp")] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    let shard = data.join("blobs").join(&digest[..2]);
    assert_eq!(mode(&shard), 0o700);
    for path in
        [database.clone(), data.join("lazaret.db-wal"), data.join("lazaret.db-shm"), shard.join(digest)]
    {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }

    drop(store);
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Sqlite::open(&database).unwrap());
    assert_eq!(mode(&database), 0o600, "a mode that was too wide is corrected");
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_reopen_and_places_go_on() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let store = Sqlite::open(&path).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    let mut kept = nouns::full_sandbox(1, account);
    kept.sequence = store.create_sandbox(&kept).await.unwrap();
    let deleted = nouns::sandbox(2, account);
    let place = store.create_sandbox(&deleted).await.unwrap();
    store.delete_sandbox(deleted.id).await.unwrap();
    drop(store);
    assert!(!directory.path().join("lazaret.db-wal").exists(), "closing leaves one file");

    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.list_sandboxes().await.unwrap(), [kept]);
    assert_eq!(store.find_deleted_sandbox(account, deleted.id).await.unwrap(), Some(place));
    assert!(store.create_sandbox(&nouns::sandbox(3, account)).await.unwrap() > place);
}

#[tokio::test]
async fn a_database_of_version_1_is_migrated_with_all_it_holds() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();

    let store = Sqlite::open(&path).unwrap();
    let account = nouns::account(1);
    assert_eq!(store.list_accounts().await.unwrap(), std::slice::from_ref(&account));
    assert_eq!(store.list_keys(account.id).await.unwrap(), [nouns::key(1, account.id)]);
    // A sandbox of that time had neither template nor start command nor volumes.
    let mut sandbox = nouns::full_sandbox(1, account.id);
    sandbox.template = None;
    sandbox.start_command = Vec::new();
    sandbox.volumes = Vec::new();
    sandbox.sequence = 4;
    // What that version did not know.
    sandbox.public = false;
    sandbox.role = None;
    sandbox.lease.archive_stopped_after = None;
    assert_eq!(store.list_sandboxes().await.unwrap(), std::slice::from_ref(&sandbox));
    let mut entry = nouns::entry(1, sandbox.id, b"/mnt/data/\xff");
    entry.sequence = 1;
    assert_eq!(store.list_catalogue(sandbox.id).await.unwrap(), [entry]);
    let mut upload = nouns::upload(1, account.id, 60);
    upload.sequence = 2;
    assert_eq!(store.find_upload(account.id, upload.id).await.unwrap(), Some(upload.clone()));

    // What later versions brought works on the old rows.
    let refused = store.create_upload(&nouns::upload(2, account.id, 41), 100).await;
    assert!(matches!(refused, Err(CoreError::LimitReached(_))), "{refused:?}");
    store.delete_upload(account.id, upload.id).await.unwrap();
    assert_eq!(store.find_deleted_upload(account.id, upload.id).await.unwrap(), Some(2));
    assert_eq!(store.append_event(&nouns::event(account.id, nouns::denied(1))).await.unwrap(), 1);
}

#[tokio::test]
async fn a_database_from_a_newer_release_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let store = Sqlite::open(&path).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    drop(store);
    let database = Connection::open(&path).unwrap();
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    database.pragma_update(None, "user_version", version + 1).unwrap();
    let error = refusal(&path);
    let want = format!(
        "{} was written by a newer lazaret: its schema is version {}, this one knows up to {version}",
        path.display(),
        version + 1
    );
    assert_eq!(error.to_string(), want);

    database.pragma_update(None, "user_version", version).unwrap();
    drop(database);
    assert!(Sqlite::open(&path).unwrap().find_account(account).await.unwrap().is_some());
}

#[test]
fn a_file_that_is_no_database_of_ours_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "not a database, and long enough to have a header that says so".repeat(20)).unwrap();
    let before = fs::read(&text).unwrap();
    assert!(chain(&refusal(&text)).contains("file is not a database"), "{}", chain(&refusal(&text)));
    assert_eq!(fs::read(&text).unwrap(), before);

    let theirs = directory.path().join("theirs.db");
    Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(refusal(&theirs), Error::Foreign { found: 0, .. }), "{:?}", refusal(&theirs));

    let error = refusal(Path::new("/proc/lazaret.db"));
    assert!(matches!(error, Error::Io { action: "open", .. }), "{error:?}");
}

#[tokio::test]
async fn a_corrupt_row_is_an_error_that_names_it() {
    let hex = nouns::sandbox_id(1).to_string();
    for (change, reason) in [
        (
            "UPDATE sandboxes SET state = 'molten'",
            format!("sandboxes {hex}: column state is corrupt: 'molten'"),
        ),
        ("UPDATE sandboxes SET env = '{'", format!("sandboxes {hex}: column env is corrupt: EOF")),
        (
            "UPDATE sandboxes SET resources = '{\"memory_bytes\":-1}'",
            format!("sandboxes {hex}: column resources is corrupt: invalid value"),
        ),
        (
            "UPDATE sandboxes SET reason = '{\"code\":\"idle\",\"why\":1}'",
            format!("sandboxes {hex}: column reason is corrupt: unknown field"),
        ),
        (
            "UPDATE sandboxes SET lease = '{\"idle\":null,\"life_ns\":null,\"more\":1}'",
            format!("sandboxes {hex}: column lease is corrupt: unknown field"),
        ),
        (
            "UPDATE sandboxes SET image_digest = x'00'",
            format!("sandboxes {hex}: column image_digest is corrupt"),
        ),
        ("UPDATE sandboxes SET id = x'0102'", "sandboxes 0102: column id is corrupt".to_owned()),
        ("UPDATE sandboxes SET sequence = -5", format!("sandboxes {hex}: column sequence is corrupt")),
    ] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("lazaret.db");
        let store = Sqlite::open(&path).unwrap();
        let account = nouns::stored_account(&store, 1).await;
        store.create_sandbox(&nouns::sandbox(1, account)).await.unwrap();
        let database = Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        assert_eq!(database.execute(change, []).unwrap(), 1);

        let error = store.list_sandboxes().await.unwrap_err();
        assert!(matches!(error, CoreError::Internal(_)), "{error:?}");
        let said = chain(&error);
        assert!(said.starts_with(&format!("internal error: list_sandboxes failed: {reason}")), "{said}");
        // Nothing else suffers.
        assert!(store.find_account(account).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn corrupt_keys_entries_and_events_are_errors_that_name_them() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lazaret.db");
    let store = Sqlite::open(&path).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    let sandbox = nouns::sandbox(1, account);
    store.create_sandbox(&sandbox).await.unwrap();
    store.create_key(&nouns::key(1, account)).await.unwrap();
    store.put_catalogue_entry(&nouns::entry(1, sandbox.id, b"/a")).await.unwrap();
    store.append_event(&nouns::event(account, nouns::denied(1))).await.unwrap();
    let database = Connection::open(&path).unwrap();
    for sql in [
        "UPDATE keys SET scopes = '[\"root\"]'",
        "UPDATE catalogue SET path = x'61'",
        "UPDATE events SET kind = '{\"what\":\"state_changed\",\"state\":\"molten\",\"reason\":null}'",
    ] {
        assert_eq!(database.execute(sql, []).unwrap(), 1);
    }
    let hex = nouns::sandbox_id(1);
    let said = [
        chain(&store.list_keys(account).await.unwrap_err()),
        chain(&store.list_catalogue(sandbox.id).await.unwrap_err()),
        chain(&store.list_events(account, 0, 1).await.unwrap_err()),
    ];
    let words = "is not one of the known words";
    assert_eq!(
        said,
        [
            format!("internal error: list_keys failed: keys {hex}: column scopes is corrupt: 'root' {words}"),
            format!(
                "internal error: list_catalogue failed: catalogue {hex}: column path is corrupt: \
                     path: is not absolute"
            ),
            format!("internal error: list_events failed: events 1: column kind is corrupt: 'molten' {words}"),
        ]
    );
}

#[tokio::test]
async fn what_a_killed_server_was_receiving_is_removed_at_open() {
    let directory = TempDir::new().unwrap();
    let blobs = BlobFiles::open(directory.path()).unwrap();
    let kept = blobs.put(body_from_bytes("abc"), 3).await.unwrap().digest;
    let leftover: PathBuf = directory.path().join("tmp/put-xyz");
    fs::write(&leftover, "half").unwrap();

    let blobs = BlobFiles::open(directory.path()).unwrap();
    assert_eq!(files_in(&directory.path().join("tmp")), 0);
    assert_eq!(blobs.list().await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_file_that_is_no_blob_is_not_listed() {
    let directory = TempDir::new().unwrap();
    let blobs = BlobFiles::open(directory.path()).unwrap();
    let kept = blobs.put(body_from_bytes("abc"), 3).await.unwrap().digest;
    let shard = directory.path().join(&kept.hex()[..2]);
    fs::write(shard.join("notes.txt"), "").unwrap();
    fs::write(shard.join(kept.hex().to_uppercase()), "").unwrap();
    assert_eq!(blobs.list().await.unwrap(), [kept]);
}

#[tokio::test]
async fn secrets_need_the_key_beside_the_database_and_those_of_no_sandbox_end_with_the_server() {
    let directory = TempDir::new().unwrap();
    let (database, key) = (directory.path().join("lazaret.db"), directory.path().join("sealing-key"));
    let secret = DomainSecret {
        domain: "api.example".parse().unwrap(),
        name: "KEY".to_owned(),
        value: Secret::new("hunter2-and-more"),
    };
    let authority = Authority { certificate: String::new(), key: Secret::new("a-private-key") };
    let secrets = DomainSecrets { authority, token: "7e57".to_owned(), secrets: vec![secret] };
    let store = Sqlite::open(&database).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    store.create_sandbox(&nouns::sandbox(1, account)).await.unwrap();
    for number in [1, 2] {
        store.put_domain_secrets(nouns::sandbox_id(number), &secrets).await.unwrap();
    }
    drop(store);
    for file in ["lazaret.db", "lazaret.db-wal"] {
        let content = fs::read(directory.path().join(file)).unwrap_or_default();
        for word in ["hunter2-and-more", "a-private-key", "api.example"] {
            assert!(!content.windows(word.len()).any(|part| part == word.as_bytes()), "{word} in {file}");
        }
    }
    assert_eq!(mode(&key), 0o600);

    let store = Sqlite::open(&database).unwrap();
    assert_eq!(store.find_domain_secrets(nouns::sandbox_id(1)).await.unwrap(), Some(secrets));
    assert_eq!(store.find_domain_secrets(nouns::sandbox_id(2)).await.unwrap(), None);
    drop(store);
    fs::remove_file(&key).unwrap();
    let store = Sqlite::open(&database).unwrap();
    let error = store.find_domain_secrets(nouns::sandbox_id(1)).await.unwrap_err();
    assert!(chain(&error).contains("sealed with another key, or changed since"), "{}", chain(&error));
}
