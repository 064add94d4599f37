//! From a copy of the spawner in new namespaces to the guest.
//!
//! ```text
//!   detach ─▶ identity ─▶ wait for the layers ─▶ ids ─▶ rootfs ─▶ /dev /proc /sys /etc ─▶ pivot_root ─▶ confine ─▶ execveat
//!     │          │                                │                                          │            │
//!   cgroup,    nothing of an image             root of the                                the host's    from here on
//!   session    is touched yet                  new user ns                                tree is gone  nothing is added
//! ```
//!
//! A failure of any step is sent back and ends the process. The order is a matter of security:
//! 1. *The cgroup before anything that costs memory, the cgroup namespace after it*: it shows the cgroup of its making
//!    as the root, and would show the host's path otherwise.
//! 2. *Ids before the image*: from then on the child can do to the host what the tenant's root could, so whatever an image
//!    does to the steps below (a link in place of `/dev`, say) it does with the tenant's own rights. What comes before
//!    touches no file, and runs while the spawner prepares the layers.
//! 3. *`/proc` and `/sys` before the old root goes*: the kernel gives a user namespace new ones only while it can see
//!    complete ones.
//! 4. *Volumes after all of these*, so that none of them lands in a file that other sandboxes share.
//! 5. *pivot_root before capabilities go*, because it needs them; the old root is detached at once, with the layers', the
//!    disk's and the volumes' own mount points, so that the tenant cannot go round the overlay or out of a subpath.
//! 6. *Descriptors*: everything but the five that the guest expects is closed by the kernel at execve.
//! 7. *seccomp last*, so that the filter need not allow what only these steps use.
//!
//! This runs in a copy of a process with one thread, so it may allocate. It must not return into the spawner's loop,
//! which is why [`run`] never does.

mod confine;
mod devices;
mod etc;
mod proc;
mod rootfs;
mod sysfs;
mod volumes;

use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::io::{Errno, dup2};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Gid, Uid, chdir, pivot_root, setsid, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::cgroup::Ticket;
use crate::error::{At, SetupError, Step};
use crate::seccomp::Filter;
use crate::spawner::channel::Channel;
use crate::spawner::wire::{Go, StartOrder};
use crate::sys;

/// The guest's name in `/proc` and its only argument.
const GUEST_NAME: &CStr = c"lazaret-guest";

/// The first descriptor that the guest must not inherit: 0 to 2 are `/dev/null`, 3 is its listening socket, 4 the git
/// program.
const FIRST_PRIVATE_DESCRIPTOR: i32 = 5;

/// What the child has from the spawner besides its order.
pub(crate) struct Inheritance<'a> {
    /// To the spawner; closes by itself when the guest is executed.
    pub(crate) channel: Channel,
    /// The guest's listening socket.
    pub(crate) listener: OwnedFd,
    /// Descriptors 3 and 4, kept free by the spawner.
    pub(crate) reserved: &'a mut [OwnedFd; 2],
    /// An open `/dev/null`.
    pub(crate) null: &'a OwnedFd,
    /// The guest's program.
    pub(crate) guest: &'a OwnedFd,
    /// The git program, which the guest runs when it is asked to.
    pub(crate) git: &'a OwnedFd,
    /// The system call filter.
    pub(crate) filter: &'a Filter,
    /// Its way into the sandbox's cgroup.
    pub(crate) ticket: &'a Ticket,
}

/// Becomes the guest of `order`, or reports why not and ends the process.
pub(crate) fn run(order: &StartOrder, mut inheritance: Inheritance<'_>) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(|| become_guest(order, &mut inheritance)));
    let error = match outcome {
        Ok(Err(error)) => error,
        Err(_panic) => SetupError {
            step: Step::Execute,
            call: "panic".to_owned(),
            subject: "see the log of the server".to_owned(),
            errno: Errno::NOTRECOVERABLE,
        },
    };
    // If even this fails, the spawner sees that the process is dead and no guest.
    let _: rustix::io::Result<()> = inheritance.channel.send(&error, &[]);
    std::process::exit(1)
}

fn become_guest(order: &StartOrder, inheritance: &mut Inheritance<'_>) -> Result<Infallible, SetupError> {
    detach_from_host(inheritance.ticket)?;
    take_identity(order)?;
    let message = inheritance.channel.receive::<Go>(None).at(Step::Clone, "receive", "the layers")?;
    let Some((Go, mut layers)) = message else {
        return Err(Errno::PIPE).at(Step::Clone, "receive", "the layers");
    };
    if layers.len() != order.lowers.len() + 1 + order.volumes.len() {
        return Err(Errno::BADMSG).at(Step::Layers, "count", "the layers");
    }
    let volumes = layers.split_off(order.lowers.len() + 1);
    let disk = layers.pop().ok_or(Errno::BADMSG).at(Step::Layers, "receive", "the disk")?;

    take_ids()?;
    let root = rootfs::mount_overlays(order, layers, disk)?;
    devices::populate(&root, order.memory_bytes)?;
    proc::mount_masked(&root)?;
    sysfs::mount_allowed(&root)?;
    if order.write_etc {
        etc::write(&root, &order.hostname, order.resolver)?;
    }
    volumes::mount_all(&root, order, &volumes)?;
    change_root(&root)?;
    drop(root);
    arrange_descriptors(inheritance)?;
    confine::apply(inheritance.filter)?;
    let errno = sys::exec::execute(inheritance.guest.as_fd(), GUEST_NAME);
    Err(errno).at(Step::Execute, "execveat", "the guest")
}

/// Leaves the host's cgroup, session and signal dispositions.
fn detach_from_host(ticket: &Ticket) -> Result<(), SetupError> {
    const STEP: Step = Step::Credentials;
    ticket.join().at(Step::Cgroup, "join", "the cgroup")?;
    sys::clone::unshare_cgroup_namespace().at(STEP, "unshare", "the cgroup namespace")?;
    setsid().at(STEP, "setsid", "a new session")?;
    sys::session::reset_signals().at(STEP, "sigprocmask", "all signals")?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

/// Becomes root of the new user namespace, without any supplementary group or keyring of the host's.
fn take_ids() -> Result<(), SetupError> {
    const STEP: Step = Step::Credentials;
    set_thread_groups(&[]).at(STEP, "setgroups", "none")?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(STEP, "setresgid", "0")?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(STEP, "setresuid", "0")?;
    // Last, so that the keyring belongs to the sandbox's root and counts against its quota.
    sys::session::join_empty_keyring().at(STEP, "keyctl", "a new session keyring")
}

/// Sets the host name and brings loopback up.
fn take_identity(order: &StartOrder) -> Result<(), SetupError> {
    rustix::system::sethostname(order.hostname.as_bytes()).at(
        Step::Identity,
        "sethostname",
        &order.hostname,
    )?;
    sys::loopback::up().at(Step::Identity, "bring up", "lo")
}

/// Makes the sandbox's tree the root and lets the spawner's go, with everything that was mounted in it for the setup.
fn change_root(root: &OwnedFd) -> Result<(), SetupError> {
    const STEP: Step = Step::PivotRoot;
    rustix::process::fchdir(root).at(STEP, "fchdir", "the new root")?;
    // With the same directory twice, the old root ends up on top of the new one, from where it is detached.
    pivot_root(".", ".").at(STEP, "pivot_root", "the new root")?;
    unmount(".", UnmountFlags::DETACH).at(STEP, "umount", "the old root")?;
    chdir(Path::new("/")).at(STEP, "chdir", "/")
}

/// Puts `/dev/null` on 0 to 2, the listening socket on 3 and the git program on 4, and marks everything else to be closed
/// at execve.
fn arrange_descriptors(inheritance: &mut Inheritance<'_>) -> Result<(), SetupError> {
    const STEP: Step = Step::Execute;
    let null = inheritance.null;
    rustix::stdio::dup2_stdin(null).at(STEP, "dup2", "stdin")?;
    rustix::stdio::dup2_stdout(null).at(STEP, "dup2", "stdout")?;
    rustix::stdio::dup2_stderr(null).at(STEP, "dup2", "stderr")?;
    let [listener, git] = inheritance.reserved;
    dup2(&inheritance.listener, listener).at(STEP, "dup2", "the listening socket")?;
    dup2(inheritance.git, git).at(STEP, "dup2", "the git program")?;
    sys::exec::close_on_exec_from(FIRST_PRIVATE_DESCRIPTOR).at(STEP, "close_range", "all others")
}
