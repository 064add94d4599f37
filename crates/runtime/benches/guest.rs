//! What asking a guest costs: a program, a look at a file, a gibibyte in each direction, and an idle guest's memory.
//!
//! `cargo bench -p lazaret-runtime --bench guest`, as root. Without HTTP: what is above these figures is the server's.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use lazaret_core::ports::{Guest as _, Runtime as _};
use lazaret_core::{
    Body, ExecEvent, ExecSpec, FilePath, FileScope, Links, ReadRange, Resources, WriteOptions,
};
use lazaret_runtime::GuestClient;
use support::Host;
use support::socket::Socket;

/// Requests of each kind, one after another.
const ROUNDS: usize = 500;

/// Bytes of the large file.
const LARGE: u64 = 1 << 30;

/// Bytes of one piece of a body, as HTTP servers hand them on.
const PIECE: usize = 64 * 1024;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn main() {
    let host = Host::new();
    let mut spec = host.spec();
    spec.resources = Resources { disk_bytes: 3 << 30, memory_bytes: 2 << 30, ..spec.resources };
    let id = spec.id;
    host.runtime().create(&spec).await.unwrap();
    let pid = host.runtime().start(&spec).await.unwrap().pid;
    let guest = GuestClient::new(Arc::new(Socket(host.directory_of(id).join("guest.sock"))));
    println!("idle guest: {} KiB PSS, {} KiB anonymous", memory(pid, "Pss:"), memory(pid, "Anonymous:"));

    println!("{:<36} {:>8} {:>8}   µs, {ROUNDS} rounds", "", "p50", "p95");
    let spec = ExecSpec { command: vec!["/bin/true".to_owned()], ..ExecSpec::default() };
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let status = tokio::process::Command::new("/bin/true").status().await.unwrap();
        samples.push(start.elapsed());
        assert!(status.success());
    }
    report("host: fork and exec of true", &mut samples);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut session = guest.exec(id, &spec).await.unwrap();
        while let Some(event) = session.events.recv().await {
            if let ExecEvent::Exited(_) = event.unwrap() {
                break;
            }
        }
        samples.push(start.elapsed());
    }
    report("exec of true", &mut samples);
    let scope = FileScope::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        guest.stat(id, &scope, &path("/etc/passwd"), Links::Kept).await.unwrap();
        samples.push(start.elapsed());
    }
    report("stat of a file", &mut samples);

    let dd = "dd if=/dev/zero of=/floor bs=64k count=16384 2>/dev/null; rm /floor";
    let dd = ExecSpec { command: ["sh", "-c", dd].map(str::to_owned).to_vec(), ..ExecSpec::default() };
    for round in 0..2 {
        let start = Instant::now();
        let mut session = guest.exec(id, &dd).await.unwrap();
        while session.events.recv().await.is_some() {}
        rate("floor: dd inside", round, start.elapsed());
    }
    let piece = Bytes::from(vec![7; PIECE]);
    let pieces = usize::try_from(LARGE).unwrap() / PIECE;
    for round in 0..2 {
        let body: Body = stream::repeat(piece.clone()).take(pieces).map(Ok).boxed();
        let start = Instant::now();
        let entry = guest.write(id, &scope, &path("/large"), &WriteOptions::default(), body).await.unwrap();
        assert_eq!(entry.bytes, LARGE);
        rate("upload", round, start.elapsed());
        let start = Instant::now();
        let (_, mut body) = guest.read(id, &scope, &path("/large"), ReadRange::default()).await.unwrap();
        let mut read = 0;
        while let Some(chunk) = body.next().await {
            read += chunk.unwrap().len() as u64;
        }
        assert_eq!(read, LARGE);
        rate("download", round, start.elapsed());
    }
    println!("guest afterwards: {} KiB PSS", memory(pid, "Pss:"));
    host.runtime().delete(id).await.unwrap();
}

fn path(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

fn report(name: &str, samples: &mut Vec<std::time::Duration>) {
    samples.sort_unstable();
    let (p50, p95) = (samples[samples.len() / 2], samples[samples.len() * 95 / 100]);
    println!("{name:<36} {:>8} {:>8}", p50.as_micros(), p95.as_micros());
    samples.clear();
}

fn rate(name: &str, round: usize, took: std::time::Duration) {
    let mebibytes = LARGE >> 20;
    let rate = u128::from(mebibytes) * 1_000_000 / took.as_micros().max(1);
    println!("{name} of {mebibytes} MiB, round {round}: {} ms, {rate} MiB/s", took.as_millis());
}

/// A figure of a process's `/proc/<pid>/smaps_rollup`, in KiB.
fn memory(pid: u32, field: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
