//! From create to delete against the running kernel: what stays, what goes, and what a repeated verb does.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

use lazaret_core::Error;
use lazaret_core::ports::Runtime as _;
use rustix::fs::{FlockOperation, flock};
use support::{Host, PATIENCE, eventually};

#[tokio::test]
async fn a_sandbox_is_made_answers_and_goes_without_a_trace() {
    let host = Host::new();
    let spec = host.running().await;
    host.ping(spec.id).await;
    for kind in ["loop device", "cgroup", "process", "file"] {
        let traces = host.traces();
        let is_found = traces.iter().any(|trace| trace.starts_with(kind));
        assert!(is_found, "the search finds no {kind} of a living sandbox: {traces:?}");
    }
    host.runtime().delete(spec.id).await.unwrap();
    assert_eq!(host.traces(), Vec::<String>::new());
    assert!(matches!(host.runtime().connect(spec.id).await.map(drop), Err(Error::Refused { .. })));
    host.finish().await;
}

#[tokio::test]
async fn stop_and_start_keep_the_disk_and_nothing_else() {
    let host = Host::new();
    let spec = host.running().await;
    host.shell(
        spec.id,
        "echo kept > /root/file; echo gone > /dev/shm/file; echo mine > /etc/hostname; rm /etc/passwd",
    )
    .await;

    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();
    let traces = host.traces();
    assert_eq!(traces.len(), 1, "a stopped sandbox is its directory: {traces:?}");

    host.runtime().start(&spec).await.unwrap();
    let seen = host
        .shell(spec.id, "cat /root/file /etc/hostname; ls /dev/shm; test -e /etc/passwd || echo removed")
        .await;
    assert_eq!(seen, "kept\nmine\nremoved\n");
    host.finish().await;
}

#[tokio::test]
async fn what_a_stopped_sandbox_wrote_is_read_as_it_saw_it_and_stays_what_it_is_meanwhile() {
    let host = Host::new();
    let spec = host.running().await;
    host.shell(spec.id, "echo kept > /root/file; chown 7:9 /root/file; rm /etc/passwd").await;
    let running = host.runtime().changes(spec.id).await.map(drop);
    assert!(matches!(running, Err(Error::Unsupported { .. })), "{running:?}");
    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();

    let changes = host.runtime().changes(spec.id).await.unwrap();
    let upper = format!("/proc/self/fd/{}", changes.uppers[0].as_raw_fd());
    let upper = Path::new(&upper);
    assert_eq!(fs::read_to_string(upper.join("root/file")).unwrap(), "kept\n");
    let owner = fs::metadata(upper.join("root/file")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (7, 9));
    let hidden = fs::symlink_metadata(upper.join("etc/passwd")).unwrap();
    assert!(hidden.file_type().is_char_device() && hidden.rdev() == 0);
    let error = fs::write(upper.join("more"), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);

    // Nobody starts it under the reader.
    let early = tokio::time::timeout(Duration::ZERO, host.runtime().start(&spec)).await;
    assert!(early.is_err(), "{early:?}");
    drop(changes);
    host.runtime().start(&spec).await.unwrap();
    assert_eq!(host.shell(spec.id, "cat /root/file").await, "kept\n");
    host.finish().await;
}

#[tokio::test]
async fn a_disk_that_was_packed_away_comes_back_with_a_start() {
    let host = Host::new();
    let spec = host.running().await;
    host.shell(spec.id, "echo kept > /root/file; head -c 3000000 /dev/urandom > /root/noise; sha256sum /root/noise > /root/sum").await;
    let refused = host.runtime().archive(spec.id).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();

    let directory = host.directory_of(spec.id);
    let has = |name: &str| directory.join(name).exists();
    for _ in 0..2 {
        host.runtime().archive(spec.id).await.unwrap();
        assert_eq!((has("disk.ext4"), has("disk.packed")), (false, true));
    }
    // A server that comes up finds it as it is.
    let found = host.runtime().adopt().await.unwrap();
    assert_eq!(found.iter().map(|found| (found.alive, found.archived)).collect::<Vec<_>>(), [(false, true)]);

    host.runtime().start(&spec).await.unwrap();
    assert_eq!((has("disk.ext4"), has("disk.packed")), (true, false));
    let seen = host.shell(spec.id, "cat /root/file; sha256sum -c --status /root/sum && echo whole").await;
    assert_eq!(seen, "kept\nwhole\n");

    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();
    host.runtime().archive(spec.id).await.unwrap();
    host.runtime().delete(spec.id).await.unwrap();
    assert_eq!(host.traces(), Vec::<String>::new());
    host.finish().await;
}

#[tokio::test]
async fn bounds_change_while_it_runs_and_the_disk_grows_while_it_is_stopped() {
    let host = Host::new();
    let mut spec = host.running().await;
    let crowd = "(for i in $(seq 40); do sleep 0.1 & done; wait; echo all) 2>&1 || true";
    assert_eq!(host.shell(spec.id, crowd).await, "all\n");
    spec.resources.pids = 16;
    spec.resources.memory_bytes += 64 << 20;
    host.runtime().set_resources(spec.id, &spec.resources).await.unwrap();
    let crowded = host.shell(spec.id, crowd).await;
    assert!(crowded.to_lowercase().contains("fork"), "{crowded}");

    host.shell(spec.id, "echo kept > /root/file").await;
    let blocks = |text: String| text.trim().parse::<u64>().unwrap();
    let size = "stat -f -c %b /root";
    let before = blocks(host.shell(spec.id, size).await);
    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();
    spec.resources.disk_bytes *= 2;
    for _ in 0..2 {
        host.runtime().set_resources(spec.id, &spec.resources).await.unwrap();
    }
    host.runtime().start(&spec).await.unwrap();
    let after = blocks(host.shell(spec.id, size).await);
    assert!(after > before * 19 / 10, "{before} blocks, then {after}");
    assert_eq!(host.shell(spec.id, "cat /root/file").await, "kept\n");
    host.finish().await;
}

#[tokio::test]
async fn verbs_can_be_repeated() {
    let host = Host::new();
    let spec = host.spec();
    for _ in 0..2 {
        host.runtime().create(&spec).await.unwrap();
    }
    let first = host.runtime().start(&spec).await.unwrap();
    assert_eq!(host.runtime().start(&spec).await.unwrap(), first);
    host.runtime().create(&spec).await.unwrap();
    host.ping(spec.id).await;
    for _ in 0..2 {
        host.runtime().pause(spec.id).await.unwrap();
    }
    for _ in 0..2 {
        host.runtime().resume(spec.id).await.unwrap();
    }
    host.ping(spec.id).await;
    for _ in 0..2 {
        host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();
    }
    for _ in 0..2 {
        host.runtime().delete(spec.id).await.unwrap();
    }
    host.finish().await;
}

#[tokio::test]
async fn what_is_not_there_is_named_and_nothing_is_made_for_it() {
    let host = Host::new();
    let spec = host.spec();
    let runtime = host.runtime();
    assert!(matches!(runtime.start(&spec).await, Err(Error::NotFound { .. })));
    assert!(matches!(runtime.pause(spec.id).await, Err(Error::Refused { .. })));
    assert!(matches!(runtime.connect(spec.id).await.map(drop), Err(Error::Refused { .. })));
    assert!(matches!(runtime.usage(spec.id).await, Err(Error::NotFound { .. })));
    runtime.stop(spec.id, Duration::ZERO).await.unwrap();
    runtime.wait(spec.id).await.unwrap();
    host.finish().await;
}

#[tokio::test]
async fn two_deletes_at_once_both_succeed_while_a_start_runs() {
    let host = Host::new();
    for _ in 0..5 {
        let spec = host.spec();
        host.runtime().create(&spec).await.unwrap();
        let runtime = host.runtime();
        let (_, one, other) =
            tokio::join!(runtime.start(&spec), runtime.delete(spec.id), runtime.delete(spec.id));
        one.unwrap();
        other.unwrap();
        assert_eq!(host.traces(), Vec::<String>::new());
    }
    host.finish().await;
}

#[tokio::test]
async fn a_paused_sandbox_stands_still_and_goes_on_where_it_was() {
    let host = Host::new();
    let spec = host.running().await;
    host.background(spec.id, "while :; do echo x > /tmp/count; done").await;
    let disk = || host.runtime().usage(spec.id);
    eventually("the counter counts", async || disk().await.unwrap().cpu_micros > 100_000).await;

    host.runtime().pause(spec.id).await.unwrap();
    let before = disk().await.unwrap().cpu_micros;
    tokio::task::yield_now().await;
    assert_eq!(disk().await.unwrap().cpu_micros, before);

    host.runtime().resume(spec.id).await.unwrap();
    eventually("it counts again", async || disk().await.unwrap().cpu_micros > before + 50_000).await;
    host.runtime().pause(spec.id).await.unwrap();
    host.runtime().delete(spec.id).await.unwrap();
    host.finish().await;
}

#[tokio::test]
async fn a_graceful_stop_lets_programs_tidy_up_and_ends_those_that_will_not() {
    let host = Host::new();
    let spec = host.running().await;
    let tidy = "trap 'echo tidied > /root/tidy; exit' TERM; echo > /root/ready; while :; do sleep 100; done";
    host.background(spec.id, tidy).await;
    host.shell(spec.id, "until [ -e /root/ready ]; do :; done").await;
    host.runtime().stop(spec.id, PATIENCE).await.unwrap();

    host.runtime().start(&spec).await.unwrap();
    assert_eq!(host.shell(spec.id, "cat /root/tidy").await, "tidied\n");
    let deaf = "trap '' TERM; echo > /root/deaf; while :; do :; done";
    host.background(spec.id, deaf).await;
    host.shell(spec.id, "until [ -e /root/deaf ]; do :; done").await;
    host.runtime().stop(spec.id, Duration::from_millis(50)).await.unwrap();
    assert_eq!(host.traces().len(), 1);
    host.finish().await;
}

#[tokio::test]
async fn the_death_of_a_guest_is_noticed_and_cleared_away() {
    let host = Host::new();
    let spec = host.spec();
    host.runtime().create(&spec).await.unwrap();
    let instance = host.runtime().start(&spec).await.unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(instance.pid).unwrap()).unwrap();

    let death = host.runtime().wait(spec.id);
    tokio::pin!(death);
    assert!(futures_util::poll!(&mut death).is_pending(), "the guest lives");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    tokio::time::timeout(PATIENCE, death).await.unwrap().unwrap();
    assert_eq!(host.traces().len(), 1, "only its directory is left: {:?}", host.traces());
    assert!(matches!(host.runtime().connect(spec.id).await.map(drop), Err(Error::Refused { .. })));

    host.runtime().start(&spec).await.unwrap();
    host.ping(spec.id).await;
    host.finish().await;
}

#[tokio::test]
async fn a_start_waits_until_nobody_has_the_disk() {
    let host = Host::new();
    let spec = host.spec();
    host.runtime().create(&spec).await.unwrap();
    // What a loop device does that is still bound to the image.
    let disk = std::fs::File::open(host.directory_of(spec.id).join("disk.ext4")).unwrap();
    flock(&disk, FlockOperation::LockExclusive).unwrap();

    let start = host.runtime().start(&spec);
    tokio::pin!(start);
    // That it goes on waiting is the point; a start takes a tenth of this.
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut start).await;
    assert!(waited.is_err_and(|_elapsed| true), "the disk is in use");
    drop(disk);
    tokio::time::timeout(PATIENCE, start).await.unwrap().unwrap();
    host.ping(spec.id).await;
    host.finish().await;
}

#[tokio::test]
async fn usage_tells_memory_time_processes_and_disk() {
    let host = Host::new();
    let spec = host.running().await;
    let before = host.runtime().usage(spec.id).await.unwrap();
    assert!(before.memory_bytes > 0 && before.pids >= 1);
    host.shell(spec.id, "head -c 20000000 /dev/urandom > /root/file; sync").await;
    let after = host.runtime().usage(spec.id).await.unwrap();
    assert!(after.disk_bytes >= before.disk_bytes + 20_000_000, "{before:?} {after:?}");
    assert!(after.memory_peak_bytes >= after.memory_bytes && after.cpu_micros > before.cpu_micros);

    host.runtime().stop(spec.id, Duration::ZERO).await.unwrap();
    let stopped = host.runtime().usage(spec.id).await.unwrap();
    assert_eq!((stopped.memory_bytes, stopped.pids), (0, 0));
    assert!(stopped.disk_bytes >= 20_000_000);
    host.finish().await;
}
