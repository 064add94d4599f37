//! The list of attempts, by what they go after.

use super::attempt::{Attempt, Proof, Steps, Way};
use super::steps;

/// What a group of attempts goes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The host's files: by paths, descriptors, mounts, devices.
    Files,
    /// The kernel: its settings, its secrets, its wide interfaces.
    Kernel,
    /// Other processes and other networks.
    Others,
    /// The start of a sandbox from a hostile image.
    Images,
    /// What the outside does for a sandbox: entering it, copying, users.
    Service,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] =
        [Family::Files, Family::Kernel, Family::Others, Family::Images, Family::Service];
}

macro_rules! inside {
    ($name:literal, $cves:literal, $proof:ident, $file:literal) => {
        Attempt {
            name: $name,
            cves: $cves,
            proof: Proof::$proof,
            way: Way::Program(include_str!(concat!("../../escape/", $file))),
        }
    };
}

const fn steps(name: &'static str, cves: &'static str, proof: Proof, steps: Steps) -> Attempt {
    Attempt { name, cves, proof, way: Way::Steps(steps) }
}

/// The attempts of one family.
pub fn attempts(family: Family) -> &'static [Attempt] {
    match family {
        Family::Files => FILES,
        Family::Kernel => KERNEL,
        Family::Others => OTHERS,
        Family::Images => IMAGES,
        Family::Service => SERVICE,
    }
}

const FILES: &[Attempt] = &[
    inside!("leaked descriptors", "2024-21626", Secret, "leaked_descriptors.py"),
    inside!("roots of other processes", "", Secret, "foreign_roots.py"),
    inside!("chroot within chroot", "", Secret, "nested_chroot.py"),
    inside!("files by handle", "", Secret, "file_handles.py"),
    inside!("device nodes", "", Word, "device_nodes.py"),
    inside!("mounts and masks", "", Word, "mounts.py"),
    inside!("set-user-id programs", "", Word, "set_user_id.py"),
    inside!("inheritable capabilities", "2022-29162", Word, "inherited_capabilities.py"),
];

const KERNEL: &[Attempt] = &[
    inside!("settings in /proc, core_pattern, sysrq", "2025-52881", Word, "kernel_settings.py"),
    inside!("secrets in /proc and /sys, DMI", "", Word, "kernel_secrets.py"),
    inside!("release_agent of cgroup v1", "2022-0492", Word, "release_agent.py"),
    inside!("own cgroup's limits", "", Word, "own_limits.py"),
    inside!("AF_ALG on shared page cache", "2026-31431", Word, "crypto_socket.py"),
    inside!("user namespaces, nf_tables", "", Word, "user_namespace.py"),
    inside!("io_uring", "", Word, "io_uring.py"),
    inside!("BPF, perf, userfaultfd, modules, kexec", "", Word, "kernel_programs.py"),
    inside!("32-bit calls, socketcall, x32", "", Word, "other_entry_points.py"),
    inside!("clock, ports, swap, host name", "", Word, "host_clock_and_power.py"),
];

const OTHERS: &[Attempt] = &[
    inside!("memory of a process outside", "", Secret, "memory_of_others.py"),
    inside!("pidfd_getfd", "", Secret, "descriptors_of_others.py"),
    inside!("setns", "", Secret, "namespaces_of_others.py"),
    inside!("signals, priorities", "", Word, "signals_to_others.py"),
    inside!("keyrings", "", Secret, "keyrings.py"),
    inside!("System V memory", "", Secret, "ipc_objects.py"),
    inside!("abstract sockets", "", Secret, "abstract_sockets.py"),
    inside!("raw, packet and vsock sockets", "", Word, "raw_sockets.py"),
    inside!("host ports, link-local addresses", "", Secret, "host_ports.py"),
    inside!("neighbours by ARP and ND", "", Word, "neighbours.py"),
];

const IMAGES: &[Attempt] = &[
    steps(
        "links for /proc, /dev, /sys, /etc",
        "2019-19921, 2026-41579, 2026-47766",
        Proof::Word,
        steps::directories_are_links,
    ),
    steps(
        "links for /dev/null, /dev/console",
        "2025-31133, 2025-52565",
        Proof::Word,
        steps::device_files_are_links,
    ),
    steps("entries through links, whiteouts", "", Proof::Word, steps::entries_through_links),
    steps("links left for the next start", "2021-30465", Proof::Word, steps::links_across_restart),
];

const SERVICE: &[Attempt] = &[
    steps("host binary through /proc/self/exe", "2019-5736", Proof::Word, steps::overwrite_entry),
    steps("cwd and paths by descriptor", "2024-21626", Proof::Secret, steps::working_directory),
    steps("copies racing renameat2", "2018-15664", Proof::Word, steps::race_with_copies),
    steps("library loaded by a helper", "2019-14271", Proof::Word, steps::library_of_helper),
    steps("user parsing", "2026-30892", Proof::Word, steps::user_names),
    steps("file of a shared image", "", Proof::Word, steps::shared_lower),
    steps("the agent's place taken", "", Proof::Word, steps::take_over),
    steps("ports that the outside dials", "", Proof::Word, steps::squat),
];
