//! Sandboxes whose disks together are larger than the host's: they fill it as far as they may, and nobody is harmed.

mod support;

use std::path::Path;
use std::process::Command;

use lazaret_core::ports::{Death, Runtime as _, RuntimeSpec};
use lazaret_core::{Error, Limit, Resources, SandboxId};
use support::{Host, eventually};

const MIB: u64 = 1 << 20;

/// The host's disk, and what its sandboxes have to leave of it.
const HOST_DISK_BYTES: u64 = 900 * MIB;
const RESERVE_BYTES: u64 = 200 * MIB;

/// What the bookkeeping of file systems may take of the reserve.
const BOOKKEEPING_BYTES: u64 = 24 * MIB;

/// A sandbox whose disk is larger than the host's.
fn greedy(host: &Host) -> RuntimeSpec {
    let resources =
        Resources { disk_bytes: 2 * HOST_DISK_BYTES, memory_bytes: 256 << 20, ..Resources::default() };
    RuntimeSpec { resources, ..host.spec() }
}

fn small_host(kind: &str) -> (support::SmallDisk, Host) {
    let mut host = Host::not_launched();
    let disk = host.data_on_a_small_disk(kind, HOST_DISK_BYTES);
    host.keep_free(RESERVE_BYTES);
    host.launch();
    (disk, host)
}

/// Takes what the sandbox may have now. What is left comes in portions, from look to look of the guard, so there may be more
/// to take a moment later.
async fn fill(host: &Host, id: SandboxId) {
    let said = host.shell(id, "cat /dev/zero >> /tmp/big; sync").await;
    assert!(said.contains("No space left on device"), "{said:?}");
}

/// What is less is not enough for another sandbox to start.
const START_BYTES: u64 = 64 * MIB;

async fn creation(host: &Host) -> Result<(), Error> {
    let spec = host.spec();
    let made = host.runtime().create(&spec).await;
    host.runtime().delete(spec.id).await.unwrap();
    made
}

/// Asserts that the image of a stopped sandbox has not a single error.
fn assert_sound(image: &Path) {
    let check = Command::new("e2fsck").args(["-f", "-n"]).arg(image).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

async fn fillers_leave_the_host_its_reserve(kind: &str) {
    let (_disk, host) = small_host(kind);
    let neighbour = host.start(greedy(&host)).await;
    let keep = "head -c 20000000 /dev/urandom > /root/kept; sync; sha256sum < /root/kept";
    let kept = host.shell(neighbour.id, keep).await;
    let fillers =
        [host.start(greedy(&host)).await, host.start(greedy(&host)).await, host.start(greedy(&host)).await];

    let [a, b, c] = &fillers;
    eventually("all but the reserve is taken", async || {
        tokio::join!(fill(&host, a.id), fill(&host, b.id), fill(&host, c.id));
        let left = host.free_bytes();
        assert!(left >= RESERVE_BYTES - BOOKKEEPING_BYTES, "{} MiB are left on the host", left / MIB);
        left < RESERVE_BYTES + START_BYTES
    })
    .await;
    let refused = creation(&host).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::HostDisk))), "{refused:?}");
    assert_eq!(host.shell(neighbour.id, "sha256sum < /root/kept").await, kept);

    // The space of deleted files is the host's again, and everybody's.
    host.shell(a.id, "rm /tmp/big").await;
    eventually("a sandbox can be made again", async || creation(&host).await.is_ok()).await;
    eventually("the neighbour can write again", async || {
        host.shell(neighbour.id, "head -c 1000000 /dev/zero > /root/more && echo written").await
            == "written\n"
    })
    .await;

    for spec in [&neighbour, a, b, c] {
        host.runtime().stop(spec.id, std::time::Duration::ZERO).await.unwrap();
        assert_sound(&host.directory_of(spec.id).join("disk.ext4"));
    }
    host.runtime().delete(b.id).await.unwrap();
    host.runtime().delete(c.id).await.unwrap();
    host.runtime().start(&neighbour).await.unwrap();
    assert_eq!(host.shell(neighbour.id, "sha256sum < /root/kept").await, kept);
    host.finish().await;
}

#[tokio::test]
async fn fillers_on_ext4_get_enospc_and_leave_the_host_its_reserve_and_everybody_their_files() {
    fillers_leave_the_host_its_reserve("ext4").await;
}

#[tokio::test]
async fn fillers_on_tmpfs_get_enospc_and_leave_the_host_its_reserve_and_everybody_their_files() {
    /// The first kernel whose tmpfs can be idmapped; before it, `doctor` refuses such a data directory.
    const OLDEST: [u32; 2] = [6, 3];
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let numbers = release.split(|character: char| !character.is_ascii_digit());
    let version: Vec<u32> = numbers.take(2).filter_map(|number| number.parse().ok()).collect();
    if version.as_slice() < OLDEST.as_slice() {
        eprintln!("NOTICE: left out: the tmpfs of Linux {release} cannot be idmapped");
        return;
    }
    fillers_leave_the_host_its_reserve("tmpfs").await;
}

#[tokio::test]
async fn without_a_server_sandboxes_keep_to_what_is_left_and_the_next_server_goes_on() {
    let (_disk, mut host) = small_host("ext4");
    let (one, other) = (host.start(greedy(&host)).await, host.start(greedy(&host)).await);
    for spec in [&one, &other] {
        host.background(spec.id, "kill -STOP $$; dd if=/dev/zero of=/tmp/big bs=1M; sync; kill -STOP $$")
            .await;
    }
    let stopped = || {
        let processes = host.processes();
        processes.into_iter().filter(|process| {
            std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") T "))
        })
    };
    eventually("both wait", async || stopped().count() == 2).await;
    let waiting: Vec<_> = stopped().collect();
    host.lose_server();
    for process in waiting {
        let pid = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }
    let stopped = || {
        let processes = host.processes();
        processes.into_iter().filter(|process| {
            std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") T "))
        })
    };
    eventually("both are done", async || stopped().count() == 2).await;
    assert!(host.free_bytes() >= RESERVE_BYTES - BOOKKEEPING_BYTES, "{} MiB", host.free_bytes() / MIB);

    host.launch();
    host.runtime().adopt().await.unwrap();
    host.shell(one.id, "rm /tmp/big").await;
    eventually("a disk that was adopted is trimmed", async || creation(&host).await.is_ok()).await;
    fill(&host, other.id).await;
    assert!(host.free_bytes() >= RESERVE_BYTES - BOOKKEEPING_BYTES, "{} MiB", host.free_bytes() / MIB);
    host.finish().await;
}

#[tokio::test]
async fn space_that_was_set_aside_and_is_not_there_any_more_stops_the_sandbox_with_its_reason() {
    let (_disk, host) = small_host("ext4");
    let neighbour = host.running().await;
    let hoarder = host.start(greedy(&host)).await;
    let more_than_there_is = host.shell(hoarder.id, "fallocate -l 1g /tmp/hoard").await;
    assert!(more_than_there_is.contains("No space left on device"), "{more_than_there_is}");
    let set_aside = async || host.shell(hoarder.id, "fallocate -l 250m /tmp/hoard && echo done").await;
    eventually("some of it can be had", async || set_aside().await == "done\n").await;

    // Somebody else fills the host's disk meanwhile.
    let somebody = std::fs::File::create(host.config().data_dir.join("somebody")).unwrap();
    rustix::fs::fallocate(&somebody, rustix::fs::FallocateFlags::empty(), 0, 500 * MIB).unwrap();
    assert_eq!(host.runtime().wait(hoarder.id).await.unwrap(), Death::HostDiskFull);
    host.ping(neighbour.id).await;
    assert_sound(&host.directory_of(hoarder.id).join("disk.ext4"));
    drop(somebody);
    std::fs::remove_file(host.config().data_dir.join("somebody")).unwrap();
    host.runtime().start(&hoarder).await.unwrap();
    host.ping(hoarder.id).await;
    host.finish().await;
}

#[tokio::test]
async fn all_disks_together_stay_within_what_the_operator_gives_them() {
    let mut host = Host::not_launched();
    host.limit_disks(150 * MIB);
    host.launch();
    let spec = host.start(greedy(&host)).await;
    eventually("no other sandbox may start", async || {
        fill(&host, spec.id).await;
        let taken = host.runtime().usage(spec.id).await.unwrap().disk_bytes;
        assert!(taken <= 150 * MIB + BOOKKEEPING_BYTES, "{} MiB", taken / MIB);
        matches!(creation(&host).await, Err(Error::LimitReached(Limit::HostDisk)))
    })
    .await;
    host.runtime().delete(spec.id).await.unwrap();
    creation(&host).await.unwrap();
    host.finish().await;
}
