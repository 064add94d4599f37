//! Volumes: directories that several sandboxes share, that outlive them, and that carry nothing else from one to another.

mod support;

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use lazaret_core::ports::{Runtime as _, RuntimeSpec};
use lazaret_core::{Error, Limit, SandboxId, VolumeId};
use rustix::process::{Signal, kill_process};
use support::{Host, eventually, spawner};

const MIB: u64 = 1 << 20;

async fn stop(host: &Host, id: SandboxId) {
    host.runtime().stop(id, Duration::ZERO).await.unwrap();
}

async fn refusal(host: &Host, spec: &RuntimeSpec) -> String {
    host.runtime().create(spec).await.unwrap();
    host.runtime().start(spec).await.unwrap_err().to_string()
}

/// How many loop devices the volume has.
fn devices_of(host: &Host, volume: VolumeId) -> usize {
    host.devices_of_volume(volume).len()
}

#[tokio::test]
async fn sandboxes_with_ids_of_their_own_share_a_volumes_files_as_the_same_owners() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let one = host.start(host.with_volume(volume, "/data", None)).await;
    let other = host.start(host.with_volume(volume, "/srv/deep/er", None)).await;
    let mut ids = Vec::new();
    for spec in [&one, &other] {
        ids.push(host.shell(spec.id, "cat /proc/self/uid_map").await);
    }
    assert_ne!(ids[0], ids[1]);

    assert_eq!(host.shell(one.id, "ls -A /data; stat -c '%u:%g %a' /data").await, "0:0 777\n");
    host.shell(one.id, "cd /data; echo one > a; mkdir d; echo x > d/b; chown 1000:1001 d/b; chmod 640 d/b")
        .await;
    let seen =
        host.shell(other.id, "cd /srv/deep/er; cat a; stat -c '%u:%g %a' a d/b; echo other >> a").await;
    assert_eq!(seen, "one\n0:0 644\n1000:1001 640\n");
    assert_eq!(
        host.shell(one.id, "cat /data/a; rm /data/d/b; rmdir /data/d; ls /data").await,
        "one\nother\na\n"
    );
    assert_eq!(devices_of(&host, volume), 1, "it is one file system");

    // It outlives both, and is let go with the last.
    stop(&host, one.id).await;
    assert_eq!(devices_of(&host, volume), 1);
    assert_eq!(host.shell(other.id, "cat /srv/deep/er/a").await, "one\nother\n");
    stop(&host, other.id).await;
    eventually("nobody has it mounted", async || devices_of(&host, volume) == 0).await;
    host.runtime().delete(other.id).await.unwrap();
    host.runtime().start(&one).await.unwrap();
    assert_eq!(host.shell(one.id, "cat /data/a").await, "one\nother\n");
    host.finish().await;
}

#[tokio::test]
async fn a_full_volume_gives_enospc_inside_and_everybody_else_goes_on() {
    let host = Host::new();
    let (small, neighbour) = (host.volume(64 * MIB).await, host.volume(64 * MIB).await);
    let mut spec = host.with_volume(small, "/small", None);
    spec.volumes.extend(host.with_volume(neighbour, "/neighbour", None).volumes);
    let spec = host.start(spec).await;
    let fill = "head -c 100000000 /dev/zero > /small/big; stat -c %s /small/big";
    let said = host.shell(spec.id, fill).await;
    assert!(said.contains("No space left on device"), "{said}");
    let written: u64 = said.lines().last().unwrap().parse().unwrap();
    assert!((40 * MIB..64 * MIB).contains(&written), "{written}");
    let elsewhere = "for d in /neighbour /root; do head -c 20000000 /dev/zero > $d/f && echo ok; done";
    assert_eq!(host.shell(spec.id, elsewhere).await, "ok\nok\n");
    assert_eq!(host.shell(spec.id, "rm /small/big; echo x > /small/x && echo ok").await, "ok\n");
    host.finish().await;
}

#[tokio::test]
async fn a_volume_keeps_its_files_and_its_sandboxes_when_server_and_spawner_are_killed() {
    let mut host = Host::new();
    let volume = host.volume(256 * MIB).await;
    let one = host.start(host.with_volume(volume, "/data", None)).await;
    let write = "head -c 64000000 /dev/urandom > /data/big; sync; sha256sum < /data/big";
    let sum = host.shell(one.id, write).await;

    host.lose_server();
    host.launch();
    host.runtime().adopt().await.unwrap();
    assert_eq!(host.runtime().list_volumes().await.unwrap(), [volume]);
    // What an earlier server mounted is what the next one mounts elsewhere.
    let other = host.start(host.with_volume(volume, "/data", None)).await;
    assert_eq!(host.shell(other.id, "sha256sum < /data/big").await, sum);
    assert_eq!(devices_of(&host, volume), 1);

    kill_process(spawner(), Signal::KILL).unwrap();
    assert_eq!(host.shell(one.id, "echo one > /data/small; cat /data/small").await, "one\n");
    let third = host.with_volume(volume, "/data", None);
    host.runtime().create(&third).await.unwrap();
    eventually("a new spawner starts it", async || host.runtime().start(&third).await.is_ok()).await;
    assert_eq!(host.shell(third.id, "cat /data/small; sha256sum < /data/big").await, format!("one\n{sum}"));
    assert_eq!(devices_of(&host, volume), 1);

    // Nothing but the sandboxes holds it, so that nothing is to be put right when all of them die unseen.
    kill_process(spawner(), Signal::KILL).unwrap();
    host.lose_server();
    for process in host.processes() {
        let pid = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // One that died with the first of its namespace is gone already.
        let _ = kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
    eventually("nobody has it mounted", async || devices_of(&host, volume) == 0).await;
    host.launch();
    host.runtime().adopt().await.unwrap();
    host.runtime().start(&one).await.unwrap();
    assert_eq!(host.shell(one.id, "sha256sum < /data/big").await, sum);
    host.finish().await;
}

#[tokio::test]
async fn a_spawner_killed_at_any_moment_of_a_start_leaves_a_volume_that_can_be_mounted_and_removed() {
    let host = Host::new();
    for delay_us in (0..4000).step_by(400) {
        let volume = host.volume(64 * MIB).await;
        let spec = host.with_volume(volume, "/data", None);
        host.runtime().create(&spec).await.unwrap();
        let killed = async {
            let pid = spawner();
            // The moment of the kill is the point of this test, and no condition tells it.
            tokio::time::timeout(Duration::from_micros(delay_us), std::future::pending::<()>())
                .await
                .unwrap_err();
            kill_process(pid, Signal::KILL).unwrap();
        };
        let (_started, ()) = tokio::join!(host.runtime().start(&spec), killed);
        eventually("it starts", async || host.runtime().start(&spec).await.is_ok()).await;
        assert_eq!(host.shell(spec.id, "echo x > /data/x; cat /data/x").await, "x\n");
        host.runtime().delete(spec.id).await.unwrap();
        host.runtime().delete_volume(volume).await.unwrap();
        assert_eq!(host.traces(), Vec::<String>::new(), "killed after {delay_us} µs");
    }
    host.finish().await;
}

#[tokio::test]
async fn links_that_a_sandbox_planted_are_not_followed_to_a_subpath_or_to_a_mount_point() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let planter = host.start(host.with_volume(volume, "/data", None)).await;
    let plant = "cd /data; ln -s / out; ln -s .. up; mkdir real; ln -s real alias; ln -s /etc real/etc; echo x > file";
    host.shell(planter.id, plant).await;
    for subpath in ["out", "out/etc", "up", "alias", "real/etc", "real/etc/deep", "file", "file/x"] {
        let refused = refusal(&host, &host.with_volume(volume, "/data", Some(subpath))).await;
        assert!(refused.starts_with("volumes: cannot mount the volumes: "), "{subpath}: {refused}");
        assert!(!refused.contains("/host"), "{refused}");
    }
    // In its own tree, for its next start.
    host.shell(planter.id, "ln -s /etc /linked; ln -s /proc/1 /root/init; echo x > /root/file").await;
    stop(&host, planter.id).await;
    for path in ["/linked", "/linked/deep", "/root/init", "/root/init/cwd", "/root/file", "/bin/x"] {
        let spec = RuntimeSpec { volumes: host.with_volume(volume, path, None).volumes, ..planter.clone() };
        let refused = host.runtime().start(&spec).await.unwrap_err();
        assert!(matches!(&refused, Error::Invalid { field: "volumes", .. }), "{path}: {refused}");
    }
    host.runtime().start(&planter).await.unwrap();
    assert_eq!(host.shell(planter.id, "ls /etc/passwd; ls /data/real").await, "/etc/passwd\netc\n");
    host.finish().await;
}

#[tokio::test]
async fn a_subpath_is_made_and_is_all_that_its_sandbox_reaches_of_the_volume() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let whole = host.start(host.with_volume(volume, "/data", None)).await;
    host.shell(whole.id, "echo secret > /data/secret").await;
    let alice = host.start(host.with_volume(volume, "/data", Some("users/alice"))).await;
    let bob = host.start(host.with_volume(volume, "/data", Some("users/bob"))).await;
    host.shell(alice.id, "echo a > /data/a").await;
    let above = host.shell(bob.id, "ls -A /data; ls /data/..; cat /data/../secret").await;
    assert!(!above.contains("secret\n"), "{above}");
    assert_eq!(
        host.shell(whole.id, "cat /data/users/alice/a; stat -c %a /data/users/alice").await,
        "a\n777\n"
    );
    // A link out of it leads to where it leads in the sandbox that follows it.
    host.shell(bob.id, "ln -s ../../secret /data/up; ln -s ../alice/a /data/side").await;
    assert_eq!(host.shell(bob.id, "cat /data/up /data/side 2>/dev/null").await, "");
    // Nor does a directory that another sandbox moves away from beneath one that works in it.
    let parent = "cd /data; mkdir -p d/e; cd d/e; touch /data/ready; while [ -e /data/ready ]; do :; done; \
                  ls .. > /tmp/seen 2>&1; ls ../.. >> /tmp/seen 2>&1; touch /data/done";
    host.background(bob.id, parent).await;
    eventually("it is in there", async || {
        host.shell(whole.id, "ls /data/users/bob/ready").await.ends_with("ready\n")
            && !host.shell(whole.id, "ls /data/users/bob/ready").await.contains("cannot")
    })
    .await;
    host.shell(whole.id, "mv /data/users/bob/d/e /data/e; rm /data/users/bob/ready").await;
    eventually("it has looked", async || {
        host.shell(bob.id, "[ -e /data/done ] && echo yes").await == "yes\n"
    })
    .await;
    let seen = host.shell(bob.id, "cat /tmp/seen").await;
    assert!(!seen.contains("secret") && !seen.contains("users"), "{seen}");
    host.finish().await;
}

#[tokio::test]
async fn mounts_of_volumes_name_no_path_of_the_host_and_give_no_rights() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let spec = host.start(host.with_volume(volume, "/data", Some("sub"))).await;
    let mounts = host.shell(spec.id, "cat /proc/self/mountinfo").await;
    let data_dir = host.config().data_dir.to_string_lossy().into_owned();
    assert!(!mounts.contains(&data_dir) && !mounts.contains("/host"), "{mounts}");
    assert!(!mounts.contains(&volume.to_string()), "{mounts}");
    let of_volumes: Vec<Vec<&str>> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields[3] == "/files/sub")
        .collect();
    assert_eq!(of_volumes.len(), 1, "{mounts}");
    assert_eq!(of_volumes[0][4], "/data");
    assert!(of_volumes[0][5].contains("nosuid") && of_volumes[0][5].contains("nodev"), "{mounts}");
    host.finish().await;
}

#[tokio::test]
async fn set_user_id_programs_and_devices_in_a_volume_do_nothing_for_another_sandbox() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let maker = host.start(host.with_volume(volume, "/data", None)).await;
    let user = host.start(host.with_volume(volume, "/data", None)).await;
    let made =
        "cd /data; cp /usr/bin/id id; chmod 6755 id; stat -c %a id; mknod zero c 1 5; mknod loop b 7 0";
    let said = host.shell(maker.id, made).await;
    assert!(said.starts_with("6755\n") && said.matches("Operation not permitted").count() == 2, "{said}");
    let as_nobody =
        "python3 -c 'import os; os.setgid(65534); os.setuid(65534); os.execv(\"/data/id\", [\"id\"])'";
    let ids = host.shell(user.id, as_nobody).await;
    assert!(ids.contains("uid=65534") && !ids.contains("euid=0") && !ids.contains("egid=0"), "{ids}");
    // A node that somebody else put there, with the rights of the host.
    let devices = host.devices_of_volume(volume);
    let on_the_host = tempfile::tempdir().unwrap();
    let mount =
        std::process::Command::new("mount").arg(&devices[0]).arg(on_the_host.path()).status().unwrap();
    assert!(mount.success());
    let node = on_the_host.path().join("files/node");
    let mknod =
        std::process::Command::new("mknod").args(["-m", "666"]).arg(node).args(["c", "1", "5"]).status();
    rustix::mount::unmount(on_the_host.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(mknod.unwrap().success());
    let read = host.shell(user.id, "head -c 1 /data/node | wc -c").await;
    assert!(read.contains("Permission denied"), "{read}");
    host.finish().await;
}

#[tokio::test]
async fn a_volume_that_is_mounted_is_not_removed_and_a_removed_one_leaves_nothing() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let spec = host.start(host.with_volume(volume, "/data", None)).await;
    let refused = host.runtime().delete_volume(volume).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    host.runtime().delete(spec.id).await.unwrap();
    host.runtime().delete_volume(volume).await.unwrap();
    assert_eq!(host.traces(), Vec::<String>::new());
    host.runtime().delete_volume(volume).await.unwrap();
    let refused = refusal(&host, &host.with_volume(volume, "/data", None)).await;
    assert_eq!(refused, format!("volume {volume} not found"));
    host.finish().await;
}

#[tokio::test]
async fn what_an_interrupted_creation_left_is_removed_and_no_volume() {
    let mut host = Host::new();
    let volume = host.volume(64 * MIB).await;
    host.lose_server();
    let unfinished = host.config().data_dir.join("volumes/making-x");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("image"), "half").unwrap();
    host.launch();
    assert_eq!(host.runtime().list_volumes().await.unwrap(), [volume]);
    assert!(!unfinished.exists());
    host.finish().await;
}

#[tokio::test]
async fn forks_and_archived_sandboxes_have_their_volumes_and_no_image_has_their_files() {
    let host = Host::new();
    let volume = host.volume(64 * MIB).await;
    let origin = host.start(host.with_volume(volume, "/data", None)).await;
    host.shell(origin.id, "echo shared > /data/file; echo own > /root/file").await;
    stop(&host, origin.id).await;
    let changes = host.runtime().changes(origin.id).await.unwrap();
    let upper = format!("/proc/self/fd/{}", changes.uppers[0].as_raw_fd());
    assert_eq!(std::fs::read_to_string(format!("{upper}/root/file")).unwrap(), "own\n");
    assert_eq!(std::fs::read_dir(format!("{upper}/data")).unwrap().count(), 0);
    drop(changes);

    let fork = RuntimeSpec { id: host.spec().id, ..origin.clone() };
    host.runtime().create_from(&fork, origin.id).await.unwrap();
    host.runtime().start(&fork).await.unwrap();
    host.runtime().archive(origin.id).await.unwrap();
    assert_eq!(host.shell(fork.id, "cat /data/file; echo fork >> /data/file").await, "shared\n");
    host.runtime().start(&origin).await.unwrap();
    assert_eq!(host.shell(origin.id, "cat /data/file").await, "shared\nfork\n");
    host.finish().await;
}

#[tokio::test]
async fn a_volume_within_another_is_mounted_after_it() {
    let host = Host::new();
    let (outer, inner) = (host.volume(64 * MIB).await, host.volume(64 * MIB).await);
    let mut spec = host.with_volume(inner, "/data/in", None);
    spec.volumes.extend(host.with_volume(outer, "/data", None).volumes);
    spec.volumes.extend(host.with_volume(inner, "/twice", Some("x")).volumes);
    let spec = host.start(spec).await;
    assert_eq!(
        host.shell(spec.id, "echo o > /data/o; echo i > /twice/i; find /data -type f | sort").await,
        "/data/in/x/i\n/data/o\n"
    );
    host.finish().await;
}

#[tokio::test]
async fn volumes_larger_than_the_host_leave_it_its_reserve_with_a_server_and_without() {
    const RESERVE_BYTES: u64 = 200 * MIB;
    const BOOKKEEPING_BYTES: u64 = 32 * MIB;
    let mut host = Host::not_launched();
    let _disk = host.data_on_a_small_disk("ext4", 900 * MIB);
    host.keep_free(RESERVE_BYTES);
    host.launch();
    let volume = host.volume(2000 * MIB).await;
    let one = host.start(host.with_volume(volume, "/data", None)).await;
    let other = host.start(host.with_volume(volume, "/data", None)).await;
    // What is left comes in portions, and each is taken.
    let fill = async |id, name: &str| {
        let said = host.shell(id, &format!("cat /dev/zero >> /data/{name}; sync")).await;
        assert!(said.contains("No space left on device"), "{said}");
    };
    eventually("all but the reserve is taken", async || {
        tokio::join!(fill(one.id, "a"), fill(other.id, "b"));
        host.free_bytes() < RESERVE_BYTES + 48 * MIB
    })
    .await;
    let left = host.free_bytes();
    assert!(left >= RESERVE_BYTES - BOOKKEEPING_BYTES, "{} MiB are left on the host", left / MIB);
    let refused = host.runtime().create_volume(VolumeId::from_bytes([7; 16]), 64 * MIB).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::HostDisk))), "{refused:?}");

    host.shell(one.id, "rm /data/a").await;
    eventually("the space is the host's again", async || host.free_bytes() > RESERVE_BYTES + 128 * MIB).await;
    host.background(other.id, "dd if=/dev/zero of=/data/c bs=1M; sync; touch /root/done").await;
    host.lose_server();
    host.launch();
    host.runtime().adopt().await.unwrap();
    eventually("it is done", async || host.shell(other.id, "ls /root").await.contains("done")).await;
    let left = host.free_bytes();
    assert!(left >= RESERVE_BYTES - BOOKKEEPING_BYTES, "{} MiB are left on the host", left / MIB);
    host.finish().await;
}
