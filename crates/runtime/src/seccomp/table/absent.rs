//! The calls that look to a sandbox as if the kernel did not have them.

use super::{Group, calls};

/// Calls answered with `ENOSYS`, so that a library falls back to what it did before they existed. So is every
/// number that no list names.
pub(in crate::seccomp) const ABSENT: &[Group] = &[
    Group {
        why: "its flags lie behind a pointer that a filter cannot read; the C libraries then use clone",
        calls: calls! {
            clone3 435 435
        },
    },
    Group {
        why: "not judged yet: programs have another way, and use it when a kernel is older",
        calls: calls! {
            cachestat 451 451, statmount 457 457, listmount 458 458, lsm_get_self_attr 459 459,
            lsm_set_self_attr 460 460, lsm_list_modules 461 461, file_getattr 468 468,
            file_setattr 469 469, listns 470 470
        },
    },
    Group {
        why: "numbers that x86_64 reserves and never implemented, or implements no more",
        calls: calls! {
            create_module 174 _, get_kernel_syms 177 _, query_module 178 _, getpmsg 181 _, putpmsg 182 _,
            afs_syscall 183 _, tuxcall 184 _, security 185 _, set_thread_area 205 _, get_thread_area 211 _,
            epoll_ctl_old 214 _, epoll_wait_old 215 _, vserver 236 _
        },
    },
];
