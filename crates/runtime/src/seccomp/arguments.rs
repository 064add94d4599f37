//! Allowed calls that are refused for some values of their arguments.
//!
//! The kernel takes every argument judged here as a 32-bit integer, so tests read the low half of the register
//! and nothing hides in the high half. Pointers are never judged: what they point at can change after the filter
//! has looked.

use rustix::io::Errno;

/// A property of one argument, which is named by its index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// It equals one of the values.
    OneOf(u8, &'static [u32]),
    /// It equals none of the values.
    NoneOf(u8, &'static [u32]),
    /// It has at least one bit of the mask set.
    HasAny(u8, u32),
}

/// A set of argument values that a call is refused for.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The allowed call that this narrows.
    pub(super) call: &'static str,
    /// What those values would reach.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "prose for the reader of the table, and checked by a test")
    )]
    pub(super) why: &'static str,
    /// Refused when all of these hold; another row for the same call is another chance to be refused.
    pub(super) when: &'static [Test],
    /// What the caller sees.
    pub(super) errno: Errno,
}

/// Every `CLONE_NEW*` flag of `clone(2)`. `CLONE_NEWTIME` is missing because `clone` reads its bit as part of the
/// exit signal; it exists for `clone3` and `unshare` only, which are not allowed at all.
pub(super) const NEW_NAMESPACE_FLAGS: u32 = 0x0002_0000 // mount
    | 0x0200_0000 // cgroup
    | 0x0400_0000 // UTS
    | 0x0800_0000 // IPC
    | 0x1000_0000 // user
    | 0x2000_0000 // PID
    | 0x4000_0000; // network

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;

/// A socket type without these bits is `SOCK_STREAM`, `SOCK_DGRAM` or `SOCK_RAW`; `SOCK_NONBLOCK` and
/// `SOCK_CLOEXEC` lie above them.
const SOCKET_TYPE_EXOTIC: u32 = 0x4 | 0x8;

const IPPROTO_ANY: u32 = 0;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_ICMPV6: u32 = 58;
const IPPROTO_MPTCP: u32 = 262;

const NETLINK_ROUTE: u32 = 0;

/// `personality(2)`: only ask, change nothing.
const PERSONALITY_QUERY: u32 = 0xffff_ffff;
const PER_LINUX: u32 = 0;
/// Reports a 32-bit machine in `uname`; build tools set it.
const PER_LINUX32: u32 = 0x8;
/// Reports a 2.6 kernel in `uname`.
const UNAME26: u32 = 0x2_0000;
/// Debuggers load a program at the same addresses each time. It weakens only the caller's own children.
const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;

/// Every refusal by argument.
pub(super) const REFUSALS: &[Refusal] = &[
    Refusal {
        call: "clone",
        why: "a new namespace, in which the caller would hold capabilities again",
        when: &[Test::HasAny(0, NEW_NAMESPACE_FLAGS)],
        errno: Errno::PERM,
    },
    Refusal {
        call: "socket",
        why: "AF_ALG, AF_VSOCK, AF_PACKET, AF_BLUETOOTH and some thirty more: modules loaded on demand, and ways \
              around the network policy; unlike EPERM, this errno makes a library try something else",
        when: &[Test::NoneOf(0, &[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK])],
        errno: Errno::AFNOSUPPORT,
    },
    Refusal {
        call: "socketpair",
        why: "only local sockets come in pairs; asking for another family still loads its module",
        when: &[Test::NoneOf(0, &[AF_UNIX])],
        errno: Errno::AFNOSUPPORT,
    },
    Refusal {
        call: "socket",
        why: "netfilter, audit, crypto and the other netlink protocols; listing interfaces needs only routes",
        when: &[Test::OneOf(0, &[AF_NETLINK]), Test::NoneOf(2, &[NETLINK_ROUTE])],
        errno: Errno::PROTONOSUPPORT,
    },
    Refusal {
        call: "socket",
        why: "SCTP, DCCP, L2TP and their like: a kernel module loaded for whoever asks first",
        when: &[
            Test::OneOf(0, &[AF_INET, AF_INET6]),
            Test::NoneOf(
                2,
                &[IPPROTO_ANY, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_MPTCP],
            ),
        ],
        errno: Errno::PROTONOSUPPORT,
    },
    Refusal {
        call: "socket",
        why: "types that select those protocols, or packet sockets, without naming them",
        when: &[Test::OneOf(0, &[AF_INET, AF_INET6]), Test::HasAny(1, SOCKET_TYPE_EXOTIC)],
        errno: Errno::PROTONOSUPPORT,
    },
    Refusal {
        call: "personality",
        why: "READ_IMPLIES_EXEC, MMAP_PAGE_ZERO and foreign ABIs undo hardening of the caller's programs",
        when: &[Test::NoneOf(
            0,
            &[PER_LINUX, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32, ADDR_NO_RANDOMIZE, PERSONALITY_QUERY],
        )],
        errno: Errno::PERM,
    },
];
