//! The bare floor under every figure of `cargo xtask bench`: how fast this kernel makes a container at all.
//!
//! One round is what no runtime can leave out, and nothing else:
//!
//! ```text
//!   parent  clone3(user, mount, pid, net, uts, ipc, cgroup) ─▶ id maps ─▶ go ──────────────▶ wait ─▶ time
//!   child                                                      overlay on tmpfs ─▶ proc ─▶ pivot_root ─▶ exec
//! ```
//!
//! No cgroup limits, no seccomp, no id-mapped mounts, no init, no server: a lower bound to compare with, not a sandbox.
//! Usage: `floor ROOTFS ROUNDS PROGRAM`; prints the nanoseconds of each round on a line of its own.

mod sys;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::{Pid, WaitOptions, chdir, pivot_root, waitpid};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rootfs, rounds, program] = arguments.as_slice() else {
        eprintln!("usage: floor ROOTFS ROUNDS PROGRAM");
        return ExitCode::from(2);
    };
    let Ok(rounds) = rounds.parse::<u32>() else {
        eprintln!("floor: ROUNDS: not a number: {rounds}");
        return ExitCode::from(2);
    };
    for _ in 0..rounds {
        match round(Path::new(rootfs), program) {
            Ok(nanoseconds) => println!("{nanoseconds}"),
            Err(error) => {
                eprintln!("floor: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Makes one container that runs `program`, and gives the nanoseconds from clone to the program's end.
fn round(rootfs: &Path, program: &str) -> io::Result<u128> {
    let (mut go, mut told) = io::pipe()?;
    let start = now();
    let Some(child) = sys::clone_with_all_namespaces()? else {
        drop(told);
        let error = inside(&mut go, rootfs, program);
        eprintln!("floor: in the container: {error}");
        std::process::exit(1);
    };
    drop(go);
    map_ids(child)?;
    told.write_all(&[1])?;
    let status = waitpid(Some(child), WaitOptions::empty())?.map(|(_, status)| status);
    let took = start.elapsed().as_nanos();
    match status.and_then(|status| status.exit_status()) {
        Some(0) => Ok(took),
        other => Err(io::Error::other(format!("{program} ended with {other:?}"))),
    }
}

/// Maps the child's ids onto themselves, so that it may mount without the cost of shifting ownership.
fn map_ids(child: Pid) -> io::Result<()> {
    let folder = format!("/proc/{}", child.as_raw_nonzero());
    fs::write(format!("{folder}/uid_map"), "0 0 65536")?;
    fs::write(format!("{folder}/gid_map"), "0 0 65536")
}

/// The child's half; comes back only with what went wrong.
fn inside(go: &mut impl Read, rootfs: &Path, program: &str) -> io::Error {
    let prepared = go.read_exact(&mut [0]).and_then(|()| enter(rootfs));
    match prepared {
        Ok(()) => Command::new(program).env_clear().exec(),
        Err(error) => error,
    }
}

/// Makes an overlay of `rootfs` the root, with its upper on a fresh tmpfs.
fn enter(rootfs: &Path) -> io::Result<()> {
    // As the working directory it can be named even if the tmpfs covers its path.
    chdir(rootfs)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), c"mode=0755")?;
    for folder in ["/tmp/upper", "/tmp/work", "/tmp/root"] {
        rustix::fs::mkdirat(CWD, folder, 0o755.into())?;
    }
    let overlay = c"lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work,userxattr";
    mount("overlay", "/tmp/root", "overlay", MountFlags::NOSUID | MountFlags::NODEV, overlay)?;
    chdir("/tmp/root")?;
    mount("proc", "proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    pivot_root(".", ".")?;
    // The old root is stacked on the new one now; detaching it leaves the new one.
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
