//! A tenant that takes all it can get, and its neighbour that notices nothing.

mod support;

use lazaret_core::ports::{Runtime as _, RuntimeSpec};
use lazaret_core::{Resources, limits};
use support::{Host, eventually};

fn bounded(host: &Host, resources: Resources) -> RuntimeSpec {
    RuntimeSpec { resources, ..host.spec() }
}

const SMALL: Resources =
    Resources { memory_bytes: 64 << 20, cpu_millis: 1000, pids: 32, disk_bytes: 32 << 20 };

#[tokio::test]
async fn the_smallest_sandbox_that_can_be_asked_for_starts_and_answers() {
    let host = Host::new();
    let smallest = Resources {
        memory_bytes: limits::MEMORY_MIN_BYTES,
        cpu_millis: limits::CPU_MIN_MILLIS,
        pids: limits::PIDS_MIN,
        disk_bytes: limits::DISK_MIN_BYTES,
    };
    let spec = host.start(bounded(&host, smallest)).await;
    assert_eq!(host.shell(spec.id, "echo alive > /root/file; cat /root/file").await, "alive\n");
    host.finish().await;
}

#[tokio::test]
async fn a_disk_filler_gets_enospc_and_the_host_gives_no_more_than_the_limit() {
    let host = Host::new();
    let spec = host.start(bounded(&host, SMALL)).await;
    for place in ["/tmp/big", "/usr/lib/big"] {
        let answer = host.shell(spec.id, &format!("dd if=/dev/zero of={place} bs=1M count=100 2>&1")).await;
        assert!(answer.contains("No space left"), "{answer}");
    }
    assert!(host.runtime().usage(spec.id).await.unwrap().disk_bytes <= SMALL.disk_bytes);
    assert_eq!(host.shell(spec.id, "rm /tmp/big; echo fits > /tmp/small && cat /tmp/small").await, "fits\n");
    host.finish().await;
}

#[tokio::test]
async fn a_maker_of_empty_files_runs_out_of_inodes() {
    let host = Host::new();
    let spec = host.start(bounded(&host, SMALL)).await;
    let make = "import os; [os.close(os.open(f\"/tmp/{i}\", os.O_CREAT)) for i in range(100000)]";
    let answer = host.shell(spec.id, &format!("python3 -c '{make}' 2>&1 | tail -1")).await;
    assert!(answer.contains("No space left"), "{answer}");
    host.ping(spec.id).await;
    host.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_stays_in_its_sandbox() {
    let host = Host::new();
    let (bomber, neighbour) = (host.start(bounded(&host, SMALL)).await, host.running().await);
    let bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass";
    host.background(bomber.id, &format!("python3 -c '{bomb}'")).await;
    let usage = async || host.runtime().usage(bomber.id).await.unwrap();
    eventually("the bomb fills its sandbox", async || usage().await.pids >= u64::from(SMALL.pids) - 2).await;
    assert!(usage().await.pids <= u64::from(SMALL.pids));
    host.ping(neighbour.id).await;
    host.runtime().delete(bomber.id).await.unwrap();
    host.finish().await;
}

#[tokio::test]
async fn a_memory_hog_dies_in_its_sandbox_and_the_guest_survives() {
    let host = Host::new();
    let (hog, neighbour) = (host.start(bounded(&host, SMALL)).await, host.running().await);
    let answer =
        host.shell(hog.id, "python3 -c 'x = bytearray(300 << 20); print(len(x))'; echo exit $?").await;
    assert!(answer.contains("exit 137"), "{answer}");
    let usage = host.runtime().usage(hog.id).await.unwrap();
    assert!(usage.oom_kills >= 1 && usage.memory_peak_bytes <= SMALL.memory_bytes, "{usage:?}");
    host.ping(hog.id).await;
    host.ping(neighbour.id).await;
    assert_eq!(host.runtime().usage(neighbour.id).await.unwrap().oom_kills, 0);
    host.finish().await;
}

#[tokio::test]
async fn memory_file_systems_count_and_are_bounded() {
    let host = Host::new();
    let spec = host.start(bounded(&host, SMALL)).await;
    let answer = host.shell(spec.id, "dd if=/dev/zero of=/dev/shm/big bs=1M count=100 2>&1").await;
    assert!(answer.contains("No space left"), "{answer}");
    let answer = host.shell(spec.id, "dd if=/dev/zero of=/dev/big bs=1M count=100 2>&1").await;
    assert!(answer.contains("No space left"), "{answer}");
    host.ping(spec.id).await;
    host.finish().await;
}
