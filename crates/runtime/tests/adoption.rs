//! A server, or its spawner, that is killed: what lives is found again, and what belongs to nobody goes.

mod support;

use std::time::Duration;

use lazaret_core::ports::{Adopted, Runtime as _};
use lazaret_runtime::NamespacesRuntime;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use support::{Host, eventually, spawner};

/// A loop that shows by its file that it goes on.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; done";

async fn count(host: &Host, id: lazaret_core::SandboxId) -> u64 {
    let mut last = 0;
    // The file is empty for a moment whenever the loop writes it anew.
    eventually("the count can be read", async || {
        last = host.shell(id, "cat /tmp/count").await.trim().parse().unwrap_or(0);
        last > 0
    })
    .await;
    last
}

#[tokio::test]
async fn living_sandboxes_are_taken_over_and_go_on_as_if_nothing_happened() {
    let mut host = Host::new();
    let running = host.running().await;
    let paused = host.running().await;
    let stopped = host.running().await;
    host.background(running.id, COUNTER).await;
    let before = count(&host, running.id).await;
    host.runtime().pause(paused.id).await.unwrap();
    host.runtime().stop(stopped.id, Duration::ZERO).await.unwrap();

    host.lose_server();
    host.launch();
    let mut adopted = host.runtime().adopt().await.unwrap();
    adopted.sort_by_key(|adopted| adopted.id);
    assert_eq!(
        adopted,
        [
            Adopted { id: running.id, alive: true, paused: false, archived: false, addresses: None },
            Adopted { id: paused.id, alive: true, paused: true, archived: false, addresses: None },
            Adopted { id: stopped.id, alive: false, paused: false, archived: false, addresses: None },
        ]
    );
    let after = count(&host, running.id).await;
    eventually("the counter goes on", async || count(&host, running.id).await > after).await;
    assert!(after >= before);

    // Every verb works on what was adopted, and a new sandbox gets ids that no adopted one has.
    host.runtime().resume(paused.id).await.unwrap();
    host.ping(paused.id).await;
    assert!(host.runtime().usage(running.id).await.unwrap().cpu_micros > 0);
    let new = host.running().await;
    let mut firsts = Vec::new();
    for id in [running.id, paused.id, new.id] {
        firsts.push(host.shell(id, "cut -c11-21 /proc/self/uid_map").await);
    }
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts.len(), 3, "{firsts:?}");
    host.runtime().start(&stopped).await.unwrap();
    host.ping(stopped.id).await;
    host.finish().await;
}

#[tokio::test]
async fn what_died_meanwhile_is_stopped_and_cleared_and_keeps_its_disk() {
    let mut host = Host::new();
    let spec = host.spec();
    host.runtime().create(&spec).await.unwrap();
    let instance = host.runtime().start(&spec).await.unwrap();
    host.shell(spec.id, "echo kept > /root/file").await;
    host.lose_server();
    let guest = Pid::from_raw(i32::try_from(instance.pid).unwrap()).unwrap();
    let pidfd = pidfd_open(guest, PidfdFlags::empty()).unwrap();
    kill_process(guest, Signal::KILL).unwrap();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();

    host.launch();
    assert_eq!(
        host.runtime().adopt().await.unwrap(),
        [Adopted { id: spec.id, alive: false, paused: false, archived: false, addresses: None }]
    );
    assert_eq!(host.traces().len(), 1, "only its directory is left: {:?}", host.traces());
    host.runtime().start(&spec).await.unwrap();
    assert_eq!(host.shell(spec.id, "cat /root/file").await, "kept\n");
    host.finish().await;
}

#[tokio::test]
async fn what_belongs_to_no_record_is_removed() {
    let mut host = Host::new();
    let lost = host.running().await;
    let half_made = host.spec();
    host.lose_server();
    // A server that was killed while it removed one sandbox's directory and made another's.
    std::fs::remove_file(host.directory_of(lost.id).join("record.json")).unwrap();
    std::fs::create_dir(host.directory_of(half_made.id)).unwrap();
    std::fs::write(host.directory_of(half_made.id).join("disk.ext4"), "half").unwrap();

    host.launch();
    assert_eq!(host.runtime().adopt().await.unwrap(), []);
    eventually("nothing is left", async || host.traces().is_empty()).await;
    host.start(half_made).await;
    host.finish().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_a_stopped_sandbox_whose_processes_are_ended() {
    let mut host = Host::new();
    let spec = host.running().await;
    host.lose_server();
    std::fs::write(host.directory_of(spec.id).join("record.json"), "{").unwrap();
    host.launch();
    assert_eq!(
        host.runtime().adopt().await.unwrap(),
        [Adopted { id: spec.id, alive: false, paused: false, archived: false, addresses: None }]
    );
    eventually("its processes are gone", async || host.traces().len() == 1).await;
    host.finish().await;
}

#[tokio::test]
async fn a_killed_spawner_costs_one_call_at_most_and_no_sandbox() {
    let host = Host::new();
    let spec = host.running().await;
    host.background(spec.id, COUNTER).await;
    kill_process(spawner(), Signal::KILL).unwrap();

    let after = count(&host, spec.id).await;
    eventually("the counter goes on", async || count(&host, spec.id).await > after).await;
    // The first call may find the channel closed; the next one finds another spawner that knows the sandbox.
    eventually("a new spawner pauses it", async || host.runtime().pause(spec.id).await.is_ok()).await;
    host.runtime().resume(spec.id).await.unwrap();
    let new = host.running().await;
    host.ping(new.id).await;
    host.finish().await;
}

#[tokio::test]
async fn a_spawner_killed_at_any_moment_of_a_start_leaves_nothing_that_delete_does_not_remove() {
    let host = Host::new();
    for delay_us in (0..4000).step_by(200) {
        let spec = host.spec();
        host.runtime().create(&spec).await.unwrap();
        let killed = async {
            let pid = spawner();
            // The moment of the kill is the point of this test, and no condition tells it.
            tokio::time::timeout(Duration::from_micros(delay_us), std::future::pending::<()>())
                .await
                .unwrap_err();
            kill_process(pid, Signal::KILL).unwrap();
        };
        let (started, ()) = tokio::join!(host.runtime().start(&spec), killed);
        if started.is_ok() {
            host.ping(spec.id).await;
        }
        eventually("it can be deleted", async || host.runtime().delete(spec.id).await.is_ok()).await;
        assert_eq!(host.traces(), Vec::<String>::new(), "killed after {delay_us} µs");
    }
    host.finish().await;
}

#[tokio::test]
async fn two_servers_cannot_have_one_data_directory() {
    let mut host = Host::new();
    let config = host.config().clone();
    let second = tokio::task::spawn_blocking(move || NamespacesRuntime::launch(config));
    let spec = host.running().await;
    host.ping(spec.id).await;
    host.lose_server();
    // It waits for the first one's spawner to end, in case that is finishing a start.
    let second = second.await.unwrap().unwrap();
    assert_eq!(
        second.adopt().await.unwrap(),
        [Adopted { id: spec.id, alive: true, paused: false, archived: false, addresses: None }]
    );
    second.delete(spec.id).await.unwrap();
    assert_eq!(host.traces(), Vec::<String>::new());
}
