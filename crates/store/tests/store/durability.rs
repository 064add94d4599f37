//! What survives a kill of the process, and which calls wait for the disk.
//!
//! The process that is killed or traced is this test binary again, running one of the ignored tests below. It works in
//! its current directory, and only in one that holds the file [`MARKER`].

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::StreamExt;
use lazaret_core::ports::{Blobs, Store};
use lazaret_core::{Limit, body_from_bytes, collect};
use lazaret_store::{BlobFiles, Sqlite};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{files_in, nouns};

const MARKER: &str = "run-as-a-child";

/// What a child prints in front of the number of what it has been promised. The test harness prints other lines.
const PROMISED: &str = "promised ";

fn directory_for_a_child() -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join(MARKER), "").unwrap();
    directory
}

/// The command that runs the ignored test `name` of this module in `directory`.
fn child(mut command: Command, name: &str, directory: &Path) -> Child {
    command
        .args(["--exact", &format!("durability::{name}"), "--ignored", "--nocapture", "--test-threads=1"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets the ignored test `name` be promised `count` things, then kills it; returns the number of the last promise.
fn kill_after(count: usize, name: &str, directory: &Path) -> u64 {
    let mut child = child(Command::new(std::env::current_exe().unwrap()), name, directory);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut promised =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix(PROMISED)?.parse().ok());
    let last = promised.nth(count - 1).expect("the child makes this many promises");
    child.kill().unwrap();
    // Promises that were on their way when it was killed count as well.
    let last = promised.last().unwrap_or(last);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    last
}

fn report(number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{PROMISED}{number}").unwrap();
    out.flush().unwrap();
}

fn in_child() -> &'static Path {
    let here = Path::new(".");
    assert!(here.join(MARKER).exists(), "this test only runs as a child of another one");
    here
}

#[tokio::test]
async fn what_was_promised_survives_a_kill() {
    let directory = directory_for_a_child();
    let last = kill_after(50, "child_writes_until_it_is_killed", directory.path());

    let store = Sqlite::open(&directory.path().join("lazaret.db")).unwrap();
    let account = nouns::account_id(0);
    let sandboxes = store.list_sandboxes().await.unwrap();
    for number in 1..=last {
        let mut want = nouns::full_sandbox(number, account);
        want.state = lazaret_core::State::Running;
        want.sequence = number;
        assert!(sandboxes.contains(&want), "sandbox {number} of {last}");
        assert!(
            store.find_upload(account, nouns::upload_id(number)).await.unwrap().is_some(),
            "upload {number}"
        );
        let key = nouns::key(number, account);
        assert_eq!(store.find_key_by_hash(&key.hash).await.unwrap(), Some(key));
    }
    // At most one of each was under way without a promise.
    assert!(sandboxes.len() as u64 <= last + 1);
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join("lazaret.db")).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
#[ignore = "runs as a child of what_was_promised_survives_a_kill"]
async fn child_writes_until_it_is_killed() {
    let store = Sqlite::open(&in_child().join("lazaret.db")).unwrap();
    let account = nouns::stored_account(&store, 0).await;
    for number in 1.. {
        let mut sandbox = nouns::full_sandbox(number, account);
        sandbox.sequence = store.create_sandbox(&sandbox).await.unwrap();
        sandbox.state = lazaret_core::State::Running;
        store.update_sandbox(&sandbox).await.unwrap();
        store.create_upload(&nouns::upload(number, account, 1), u64::MAX).await.unwrap();
        store.create_key(&nouns::key(number, account)).await.unwrap();
        report(number);
    }
}

/// Content of the blob with this number; a few batches, so that most of the time is spent inside a put.
fn blob(number: u64) -> Vec<u8> {
    let bytes = usize::try_from(number).unwrap() % 7 * 500_000 + 1;
    number.to_le_bytes().into_iter().cycle().take(bytes).collect()
}

#[tokio::test]
async fn a_kill_during_a_put_leaves_whole_blobs_only() {
    let directory = directory_for_a_child();
    let last = kill_after(20, "child_puts_blobs_until_it_is_killed", directory.path());

    let blobs = BlobFiles::open(&directory.path().join("blobs")).unwrap();
    assert_eq!(files_in(&directory.path().join("blobs/tmp")), 0);
    let listed = blobs.list().await.unwrap();
    assert!(listed.len() as u64 >= last);
    for digest in &listed {
        let body = blobs.get(digest, 0, None).await.unwrap().unwrap();
        let content = collect(body, 1 << 30, Limit::UploadBytes).await.unwrap();
        assert_eq!(Sha256::digest(&content)[..], digest.as_bytes()[..]);
    }
    for number in 1..=last {
        let digest = lazaret_core::Digest::from_bytes(Sha256::digest(blob(number)).into());
        assert!(listed.contains(&digest), "blob {number} of {last}");
    }
}

#[tokio::test]
#[ignore = "runs as a child of a_kill_during_a_put_leaves_whole_blobs_only"]
async fn child_puts_blobs_until_it_is_killed() {
    let blobs = BlobFiles::open(&in_child().join("blobs")).unwrap();
    for number in 1.. {
        blobs.put(body_from_bytes(blob(number)), 1 << 30).await.unwrap();
        report(number);
    }
}

/// How often the traced child flushed something between two of its promises, in order; `None` without `strace`.
fn flushes_between_promises(name: &str) -> Option<Vec<usize>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: strace is not there to count flushes");
        return None;
    }
    let directory = directory_for_a_child();
    let log = directory.path().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=write,fsync,fdatasync,sync_file_range,msync", "-o"]).arg(&log);
    command.arg(std::env::current_exe().unwrap());
    let mut child = child(command, name, directory.path());
    // Read to the end, or the child would block on a full pipe.
    let printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).count();
    assert!(child.wait().unwrap().success(), "the child failed after {printed} lines");

    let mut counts = Vec::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        if line.contains(PROMISED) {
            counts.push(0);
        } else if let Some(count) = counts.last_mut()
            && (line.contains("sync(") || line.contains("sync_file_range("))
        {
            *count += 1;
        }
    }
    // What comes after the last promise is the closing of the database.
    counts.pop();
    Some(counts)
}

#[test]
fn creating_and_updating_sandboxes_waits_for_no_disk() {
    if let Some(flushes) = flushes_between_promises("child_creates_sandboxes") {
        assert_eq!(flushes, [0; 20]);
    }
}

#[tokio::test]
#[ignore = "runs as a child of creating_and_updating_sandboxes_waits_for_no_disk"]
async fn child_creates_sandboxes() {
    let store = Sqlite::open(&in_child().join("lazaret.db")).unwrap();
    let account = nouns::stored_account(&store, 0).await;
    for number in 0..=20 {
        report(number);
        let sandbox = nouns::full_sandbox(number, account);
        store.create_sandbox(&sandbox).await.unwrap();
        store.update_sandbox(&sandbox).await.unwrap();
        store.append_event(&nouns::event(account, nouns::denied(number))).await.unwrap();
    }
}

#[test]
fn accounts_keys_and_uploads_are_flushed_before_the_answer() {
    if let Some(flushes) = flushes_between_promises("child_changes_accounts_keys_and_uploads") {
        // Creations and deletions of each: one flush of the log a call.
        assert_eq!(flushes, [1; 6]);
    }
}

#[tokio::test]
#[ignore = "runs as a child of accounts_keys_and_uploads_are_flushed_before_the_answer"]
async fn child_changes_accounts_keys_and_uploads() {
    let store = Sqlite::open(&in_child().join("lazaret.db")).unwrap();
    let account = nouns::stored_account(&store, 0).await;
    // The other kind of commit comes before each, so that the level is really switched back and forth.
    let sandbox = nouns::sandbox(1, account);
    store.create_sandbox(&sandbox).await.unwrap();
    let between = async |number| {
        store.update_sandbox(&sandbox).await.unwrap();
        report(number);
    };
    between(1).await;
    store.create_account(&nouns::account(1)).await.unwrap();
    between(2).await;
    store.delete_account(nouns::account_id(1)).await.unwrap();
    between(3).await;
    store.create_key(&nouns::key(1, account)).await.unwrap();
    between(4).await;
    store.delete_key(account, nouns::key(1, account).id).await.unwrap();
    between(5).await;
    store.create_upload(&nouns::upload(1, account, 1), 1).await.unwrap();
    between(6).await;
    store.delete_upload(account, nouns::upload_id(1)).await.unwrap();
    between(7).await;
}

#[test]
fn a_blob_its_name_and_its_directories_are_flushed_before_the_answer() {
    if let Some(flushes) = flushes_between_promises("child_puts_two_blobs") {
        // The file, its directory, and the directory that holds that one.
        assert_eq!(flushes, [3; 2]);
    }
}

#[tokio::test]
#[ignore = "runs as a child of a_blob_its_name_and_its_directories_are_flushed_before_the_answer"]
async fn child_puts_two_blobs() {
    let blobs = BlobFiles::open(&in_child().join("blobs")).unwrap();
    for number in 0..=2 {
        report(number);
        let chunks = futures_util::stream::iter([Ok(blob(number).into())]).boxed();
        blobs.put(chunks, 1 << 30).await.unwrap();
    }
}
