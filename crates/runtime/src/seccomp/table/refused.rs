//! The calls that a sandbox is refused by name.

use super::{Group, calls};

/// Calls answered with `EPERM`, as a process without the privilege would be.
pub(in crate::seccomp) const REFUSED: &[Group] = &[
    Group {
        why: "asynchronous rings: the largest source of kernel privilege escalations of recent years, \
              and they bypass this filter",
        calls: calls! {
            io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427
        },
    },
    Group {
        why: "handling page faults in user space widens races in the kernel for an attacker",
        calls: calls! {
            userfaultfd 323 282
        },
    },
    Group {
        why: "loading programs into the kernel",
        calls: calls! {
            bpf 321 280
        },
    },
    Group {
        why: "performance counters: a wide interface, and they observe neighbours",
        calls: calls! {
            perf_event_open 298 241
        },
    },
    Group {
        why: "kernel keyrings, which namespaces do not keep apart",
        calls: calls! {
            add_key 248 217, request_key 249 218, keyctl 250 219
        },
    },
    Group {
        why: "replacing the running kernel, or loading code into it",
        calls: calls! {
            kexec_load 246 104, kexec_file_load 320 294, init_module 175 105, finit_module 313 273,
            delete_module 176 106
        },
    },
    Group {
        why: "mounts: the tree is complete when the filter is installed, and masked paths rest on it \
              staying so",
        calls: calls! {
            mount 165 40, umount2 166 39, pivot_root 155 41, move_mount 429 429, open_tree 428 428,
            open_tree_attr 467 467, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
            mount_setattr 442 442
        },
    },
    Group {
        why: "entering or making namespaces, where a sandboxed process would hold capabilities again",
        calls: calls! {
            setns 308 268, unshare 272 97
        },
    },
    Group {
        why: "opening a file by its handle, past every path check",
        calls: calls! {
            open_by_handle_at 304 265
        },
    },
    Group {
        why: "reading and writing another process's memory or descriptors in bulk, without being its \
              tracer",
        calls: calls! {
            process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440,
            pidfd_getfd 438 438, kcmp 312 272
        },
    },
    Group {
        why: "quotas, accounting and swap of the host's file systems",
        calls: calls! {
            quotactl 179 60, quotactl_fd 443 443, acct 163 89, swapon 167 224, swapoff 168 225
        },
    },
    Group {
        why: "turning the machine off",
        calls: calls! {
            reboot 169 142
        },
    },
    Group {
        why: "the clock of the whole machine",
        calls: calls! {
            settimeofday 164 170, clock_settime 227 112
        },
    },
    Group {
        why: "names of the UTS namespace: set once, by the host",
        calls: calls! {
            sethostname 170 161, setdomainname 171 162
        },
    },
    Group {
        why: "the kernel log: addresses, and events of neighbours",
        calls: calls! {
            syslog 103 116
        },
    },
    Group {
        why: "file events of whole mounts",
        calls: calls! {
            fanotify_init 300 262, fanotify_mark 301 263
        },
    },
    Group {
        why: "profiler cookies, gone from current kernels",
        calls: calls! {
            lookup_dcookie 212 18
        },
    },
    Group {
        why: "memory placement on the host's NUMA nodes",
        calls: calls! {
            mbind 237 235, set_mempolicy 238 237, get_mempolicy 239 236, set_mempolicy_home_node 450 450,
            migrate_pages 256 238, move_pages 279 239
        },
    },
    Group {
        why: "hanging up a terminal as its superuser",
        calls: calls! {
            vhangup 153 58
        },
    },
    Group {
        why: "bare hardware, through the processor's I/O ports",
        calls: calls! {
            iopl 172 _, ioperm 173 _
        },
    },
    Group {
        why: "descriptor tables for 16-bit code",
        calls: calls! {
            modify_ldt 154 _
        },
    },
    Group {
        why: "relics without a user: binary sysctl, a.out libraries, file system tables, the kernel's \
              NFS server",
        calls: calls! {
            _sysctl 156 _, uselib 134 _, ustat 136 _, sysfs 139 _, nfsservctl 180 42
        },
    },
];
