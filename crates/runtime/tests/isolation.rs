//! What a sandbox can see and reach: each sentence of the setup, asked from inside.

mod support;

use support::Host;

#[tokio::test]
async fn root_inside_is_nobody_outside() {
    let host = Host::new();
    let spec = host.running().await;
    let map = host.shell(spec.id, "cat /proc/self/uid_map /proc/self/gid_map; id -u").await;
    let words: Vec<&str> = map.split_whitespace().collect();
    let first = host.config().id_space.first.to_string();
    assert_eq!(words, ["0", &first, "65536", "0", &first, "65536", "0"]);
    let groups = host.shell(spec.id, "id -G; cat /proc/self/loginuid 2>/dev/null").await;
    assert!(groups.starts_with("0\n"), "no group of the host is left: {groups}");

    let neighbour = host.running().await;
    let other = host.shell(neighbour.id, "cat /proc/self/uid_map").await;
    assert_ne!(other.split_whitespace().nth(1), Some(first.as_str()), "the neighbour has ids of its own");

    for process in host.processes() {
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        for id in ids.split_whitespace() {
            assert!(id.parse::<u32>().unwrap() >= host.config().id_space.first, "{ids}");
        }
    }

    // What root inside owns on its disk is root's there again at the next start, and nobody else's on the host.
    host.shell(spec.id, "touch /root/mine; chown 1000:1000 /root/mine").await;
    assert_eq!(host.shell(spec.id, "stat -c %u:%g /root /root/mine /usr/bin").await, "0:0\n1000:1000\n0:0\n");
    host.finish().await;
}

#[tokio::test]
async fn pid_1_is_closed_to_root_inside() {
    let host = Host::new();
    let spec = host.running().await;
    for command in [
        "ls /proc/1/fd",
        "readlink /proc/1/exe",
        "readlink /proc/1/root",
        "cat /proc/1/environ",
        "head -c1 /proc/1/mem",
    ] {
        let answer = host.shell(spec.id, command).await;
        assert!(answer.contains("Permission denied") || answer.is_empty(), "{command}: {answer}");
    }
    let trace =
        "import ctypes; print(ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0), ctypes.get_errno())";
    let answer = host.shell(spec.id, &format!("python3 -c '{trace}'")).await;
    assert_eq!(answer, "-1 1\n", "PTRACE_ATTACH to PID 1 gives EPERM");
    host.finish().await;
}

#[tokio::test]
async fn every_process_has_few_capabilities_no_new_privileges_and_the_filter() {
    let host = Host::new();
    let spec = host.running().await;
    let status = host.shell(spec.id, "cat /proc/self/status").await;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
    let kept = format!("{:016x}", lazaret_runtime::capabilities::kept().bits());
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(field(set), kept, "{set}");
    }
    for set in ["CapInh:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    for (command, refusal) in [
        ("unshare -U true", "Operation not permitted"),
        ("mount -t tmpfs none /tmp", "permission denied"),
        ("mknod /tmp/sda b 8 0", "Operation not permitted"),
        ("hostname other", "you must be root"),
        ("date -s 2000-01-01", "Operation not permitted"),
    ] {
        let answer = host.shell(spec.id, command).await;
        assert!(answer.contains(refusal), "{command}: {answer}");
    }
    host.finish().await;
}

#[tokio::test]
async fn the_hosts_parts_of_proc_read_as_empty_and_cannot_be_written() {
    let host = Host::new();
    let spec = host.running().await;
    for name in [
        "interrupts",
        "kallsyms",
        "kcore",
        "keys",
        "kmsg",
        "modules",
        "sched_debug",
        "timer_list",
        "vmallocinfo",
    ] {
        let command = format!("test ! -e /proc/{name} || head -c 64 /proc/{name} 2>/dev/null | wc -c");
        let answer = host.shell(spec.id, &command).await;
        assert!(answer.is_empty() || answer == "0\n", "/proc/{name} has {answer} bytes");
    }
    assert_eq!(
        host.shell(spec.id, "ls /proc/acpi /proc/fs /proc/scsi 2>/dev/null | grep -v : | grep .").await,
        ""
    );
    for target in [
        "sysrq-trigger",
        "sys/kernel/core_pattern",
        "sys/vm/drop_caches",
        "sys/kernel/hostname",
        "irq/default_smp_affinity",
    ] {
        let answer = host.shell(spec.id, &format!("test -e /proc/{target} && echo x > /proc/{target}")).await;
        assert!(
            answer.is_empty() || answer.contains("Read-only") || answer.contains("Permission denied"),
            "/proc/{target}: {answer}"
        );
    }
    assert!(
        host.shell(spec.id, "ls /proc").await.lines().filter(|name| name.parse::<u32>().is_ok()).count() < 10
    );
    host.finish().await;
}

#[tokio::test]
async fn sysfs_shows_processors_and_own_network_and_nothing_that_names_the_host() {
    let host = Host::new();
    let spec = host.running().await;
    assert_eq!(
        host.shell(spec.id, "cd /sys; echo *; echo class/*; echo devices/*; echo devices/virtual/*").await,
        "class devices kernel\nclass/net\ndevices/system devices/virtual\ndevices/virtual/net\n"
    );
    assert_eq!(host.shell(spec.id, "ls /sys/class/net; cat /sys/class/net/lo/mtu").await, "lo\n65536\n");
    assert!(host.shell(spec.id, "cat /sys/devices/system/cpu/online").await.starts_with('0'));
    assert!(host.shell(spec.id, "touch /sys/x; mkdir /sys/devices/x").await.contains("Read-only"));
    host.finish().await;
}

#[tokio::test]
async fn mounts_name_no_path_of_the_host_and_none_is_writable_but_the_sandboxs_own() {
    let host = Host::new();
    let spec = host.running().await;
    let mounts = host.shell(spec.id, "cat /proc/self/mountinfo").await;
    let data_dir = host.config().data_dir.to_string_lossy().into_owned();
    assert!(!mounts.contains(&data_dir) && !mounts.contains("/host"), "{mounts}");
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (root, at, options) = (fields[3], fields[4], fields[5]);
        assert!(options.contains("nosuid"), "{line}");
        if options.split(',').any(|option| option == "rw") {
            let own = ["/", "/usr", "/dev", "/dev/pts", "/dev/shm", "/proc"].contains(&at) && root == "/";
            let device = at.strip_prefix("/dev/").is_some_and(|name| root == format!("/{name}"));
            assert!(own || device, "{line}");
        }
    }
    host.finish().await;
}

#[tokio::test]
async fn devices_are_the_few_that_programs_expect() {
    let host = Host::new();
    let spec = host.running().await;
    assert_eq!(
        host.shell(spec.id, "ls /dev").await.split_whitespace().collect::<Vec<_>>(),
        [
            "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
            "urandom", "zero"
        ]
    );
    assert_eq!(host.shell(spec.id, "head -c 3 /dev/zero | od -An -tx1").await, " 00 00 00\n");
    assert_eq!(
        host.shell(spec.id, "head -c 3 /dev/urandom | wc -c; echo x > /dev/null && echo ok").await,
        "3\nok\n"
    );
    assert!(host.shell(spec.id, "cat /etc/passwd > /dev/full").await.contains("No space"));
    assert_eq!(host.shell(spec.id, "python3 -c 'import pty; print(len(pty.openpty()))'").await, "2\n");
    assert_eq!(host.shell(spec.id, "stat -c %a /dev/shm").await, "1777\n");
    assert_eq!(host.shell(spec.id, "echo hello > /dev/stdout | cat").await, "hello\n");
    host.finish().await;
}

#[tokio::test]
async fn a_process_inherits_no_descriptor_of_the_host() {
    let host = Host::new();
    let spec = host.running().await;
    let open = host.shell(spec.id, "ls /proc/self/fd | wc -l").await;
    assert_eq!(open, "4\n", "0 to 2 and the directory that is being listed");
    host.finish().await;
}

#[tokio::test]
async fn the_sandbox_has_its_own_name_loopback_and_nothing_else_of_a_network() {
    let host = Host::new();
    let spec = host.running().await;
    assert_eq!(
        host.shell(spec.id, "hostname; cat /etc/hostname; getent hosts box | cut -d' ' -f1").await,
        "box\nbox\n127.0.1.1\n"
    );
    let serve = "import socket; a = socket.create_server((\"127.0.0.1\", 0)); b = socket.create_connection(a.getsockname()); b.send(b\"hi\"); print(a.accept()[0].recv(9))";
    assert_eq!(host.shell(spec.id, &format!("python3 -c '{serve}'")).await, "b'hi'\n");
    assert_eq!(host.shell(spec.id, "ls /sys/class/net; grep -c : /proc/net/dev").await, "lo\n1\n");
    let out = "import socket; s = socket.socket(); s.settimeout(2); print(s.connect_ex((\"192.0.2.1\", 80)))";
    assert_eq!(host.shell(spec.id, &format!("python3 -c '{out}'")).await, "101\n", "ENETUNREACH");
    assert_eq!(
        host.shell(spec.id, "cat /proc/net/unix | wc -l").await,
        "1\n",
        "the guest's socket has no path inside"
    );
    host.finish().await;
}

#[tokio::test]
async fn cgroups_show_no_path_of_the_host() {
    let host = Host::new();
    let spec = host.running().await;
    let groups = host.shell(spec.id, "cat /proc/self/cgroup").await;
    assert!(groups.lines().all(|line| line.ends_with(":/")), "{groups}");
    host.finish().await;
}
