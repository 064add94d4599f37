//! How long the calls on the path of a request take, and how fast blobs go in and out.
//!
//! `cargo run --release -p lazaret-store --example latency -- [DIRECTORY]`, on the file system that is to hold the data;
//! the current directory if none is named. It leaves nothing behind.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lazaret_core::ports::{Blobs, Store};
use lazaret_core::{
    Account, AccountId, Digest, Key, KeyHash, KeyId, LeasePolicy, Resources, Sandbox, SandboxId, State,
    Timestamp,
};
use lazaret_store::{BlobFiles, Sqlite};

/// Calls of each kind: enough that the log is folded several times meanwhile.
const CALLS: u64 = 5000;
/// Calls that wait for the disk.
const FLUSHED_CALLS: u64 = 200;
/// Chunks as an HTTP server delivers them, and how many make one blob of 1 GiB.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS: u64 = 16 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = tempfile::tempdir_in(parent)?;
    let store = Sqlite::open(&directory.path().join("lazaret.db"))?;
    let account = AccountId::from_bytes([1; 16]);
    let at = Timestamp::from_unix_micros(0);
    store
        .create_account(&Account { id: account, name: "a".into(), tier: "t".into(), created_at: at })
        .await?;

    let mut creations = Vec::new();
    let mut updates = Vec::new();
    for number in 0..CALLS {
        let mut sandbox = sandbox(number, account);
        creations.push(time(store.create_sandbox(&sandbox)).await.0);
        sandbox.state = State::Running;
        updates.push(time(store.update_sandbox(&sandbox)).await.0);
    }
    report("create_sandbox", creations);
    report("update_sandbox", updates);

    let mut keys = Vec::new();
    for number in 0..FLUSHED_CALLS {
        keys.push(time(store.create_key(&key(number, account))).await.0);
    }
    report("create_key (flushed)", keys);
    let mut lookups = Vec::new();
    for number in 0..CALLS {
        lookups.push(time(store.find_key_by_hash(&key(number % FLUSHED_CALLS, account).hash)).await.0);
    }
    report("find_key_by_hash", lookups);

    let idle_kib = peak_memory_kib();
    let blobs = BlobFiles::open(&directory.path().join("blobs"))?;
    let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
    let body = stream::iter(0..CHUNKS).map(move |_| Ok(chunk.clone())).boxed();
    let cpu = cpu_time();
    let (took, stat) = time(blobs.put(body, u64::MAX)).await;
    let stat = stat?;
    throughput("put of a blob", stat.bytes, took, cpu_time() - cpu);
    let cpu = cpu_time();
    let (took, read) = time(drain(&blobs, &stat.digest)).await;
    throughput("get of a blob", read, took, cpu_time() - cpu);
    println!("peak memory grew by {} KiB over both", peak_memory_kib().saturating_sub(idle_kib));
    Ok(())
}

async fn drain(blobs: &BlobFiles, digest: &Digest) -> u64 {
    let mut body = blobs.get(digest, 0, None).await.expect("readable").expect("just stored");
    let mut read = 0;
    while let Some(chunk) = body.next().await {
        read += chunk.expect("readable").len() as u64;
    }
    read
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
async fn time<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let begin = Instant::now();
    let value = call.await;
    (begin.elapsed(), value)
}

fn report(name: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |hundredths: usize| took[(took.len() - 1) * hundredths / 100];
    println!("{name:22} p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}", at(50), at(99), at(100));
}

/// Both rates: by the clock on the wall, and by the time that this process computed, which a busy neighbour or a slow
/// disk does not change.
fn throughput(name: &str, bytes: u64, took: Duration, computed: Duration) {
    let rate = |span: Duration| u128::from(bytes) / span.as_micros().max(1);
    println!("{name:22} {} MB/s, {} MB a second of computing", rate(took), rate(computed));
}

fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("a process has not computed for less than no time")
}

/// The most memory that this process has had, from `proc_pid_status(5)`.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn id(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn key(number: u64, account: AccountId) -> Key {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&id(number));
    let at = Timestamp::from_unix_micros(0);
    Key {
        id: KeyId::from_bytes(id(number)),
        account,
        name: "key".into(),
        hint: "lz-".into(),
        hash: KeyHash(hash),
        scopes: lazaret_core::Scope::DEFAULT.to_vec(),
        created_at: at,
        expires_at: None,
    }
}

fn sandbox(number: u64, account: AccountId) -> Sandbox {
    let at = Timestamp::from_unix_micros(0);
    let pairs = (0..4).map(|n| (format!("NAME_{n}"), "some value of usual length".to_owned()));
    Sandbox {
        id: SandboxId::from_bytes(id(number)),
        account,
        name: format!("sandbox-{number}"),
        image: "host".into(),
        image_digest: Digest::from_bytes([1; 32]),
        resources: Resources::default(),
        env: pairs.clone().collect(),
        cwd: Some("/mnt/data".into()),
        user: None,
        network: None,
        template: None,
        start_command: Vec::new(),
        role: None,
        volumes: Vec::new(),
        labels: pairs.collect(),
        public: false,
        lease: LeasePolicy::default(),
        state: State::Creating,
        reason: None,
        created_at: at,
        last_active_at: at,
        state_since: at,
        sequence: 0,
    }
}
