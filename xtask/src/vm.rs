//! `cargo xtask vm`: the tests that depend on the kernel, once more under another kernel than this machine's.
//!
//! ```text
//!   build tests ─▶ staging directory ─▶ initramfs ─▶ qemu (Debian's cloud kernel, cgroup v2 alone) ─▶ console ─▶ verdict
//! ```
//!
//! The machine is emulated, so no KVM is needed; it has no disk and no network, and boots in seconds. Its init is a
//! shell script that runs the test programs one after the other and ends with a line that only it can write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::needs::{self, Need};
use crate::{step, workspace};

/// Longest that one run of the machine may take: emulation is some ten times slower than the machine itself.
const MACHINE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Longest that building the tests may take.
const BUILD_LIMIT: Duration = Duration::from_secs(25 * 60);

/// Memory of the machine. The root of the machine is in it too.
const MEMORY_MIB: &str = "3072";

/// The last line of a run, before the exit code of the tests.
const VERDICT: &str = "xtask-vm-verdict";

/// Where Debian puts kernels, and how the one with nothing but virtual hardware is called.
const KERNEL_DIR: &str = "/boot";
const KERNEL_PREFIX: &str = "vmlinuz-";
const KERNEL_SUFFIX: &str = "-cloud-amd64";

/// Modules that the tests use and Debian does not build in, with what they depend on, in the order of loading.
const MODULES: [&str; 2] = ["kernel/fs/overlayfs/overlay.ko", "kernel/drivers/block/loop.ko"];

/// Programs of this machine that the tests run and busybox does not have.
const PROGRAMS: [&str; 2] = ["mkfs.ext4", "e2fsck"];

const NEEDS: &[Need] = &[
    Need { package: "e2fsprogs", probe: ("mkfs.ext4", &["-V"]), why: "a sandbox's disk is an ext4 file" },
    Need { package: "qemu-system-x86", probe: ("qemu-system-x86_64", &["--version"]), why: "the machine" },
    Need {
        package: "linux-image-cloud-amd64",
        probe: ("sh", &["-c", "test -e /boot/vmlinuz-*-cloud-amd64"]),
        why: "its kernel",
    },
    Need { package: "busybox-static", probe: ("busybox", &["true"]), why: "its programs" },
    Need { package: "cpio", probe: ("cpio", &["--version"]), why: "packing its root" },
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Runs the tests of `lazaret-runtime` that need nothing but a kernel inside the machine.
///
/// # Errors
/// If one of them fails, if the machine does not finish in time, or if something is missing to build it.
pub(crate) fn run(options: &Options) -> Result<()> {
    needs::install(NEEDS)?;
    let kernel = kernel()?;
    let programs = build()?;
    let root = tempfile::tempdir().context("make a directory for the machine's root")?;
    populate(root.path(), &kernel, &programs, options.filter.as_deref().unwrap_or(""))?;

    let work = tempfile::tempdir().context("make a directory for the machine")?;
    let initramfs = work.path().join("initramfs");
    let pack = "find . -print0 | cpio --null --create --quiet --format=newc > \"$0\"";
    step::run(Command::new("sh").args(["-c", pack]).arg(&initramfs).current_dir(root.path()), BUILD_LIMIT)?;

    let console = work.path().join("console");
    let booted = step::run(&mut machine(&kernel, &initramfs, &console), MACHINE_LIMIT);
    let said = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
    println!("{}", said.trim_end());
    booted?;
    let verdict = said.lines().find_map(|line| line.trim().strip_prefix(VERDICT)).map(str::trim);
    ensure!(
        verdict == Some("0"),
        "the tests ended with {}",
        verdict.unwrap_or("a machine that went down before them")
    );
    println!("vm: all passed");
    Ok(())
}

fn machine(kernel: &Path, initramfs: &Path, console: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-cpu", "max", "-smp", "2", "-m", MEMORY_MIB, "-no-reboot"]);
    command.args(["-display", "none", "-nodefaults", "-monitor", "none"]);
    command.arg("-serial").arg(format!("file:{}", console.display()));
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    command.args(["-append", "console=ttyS0 loglevel=2 panic=-1 cgroup_no_v1=all"]);
    command
}

/// The newest kernel for virtual machines that is installed.
fn kernel() -> Result<PathBuf> {
    let mut kernels: Vec<PathBuf> = fs::read_dir(KERNEL_DIR)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(KERNEL_PREFIX) && name.ends_with(KERNEL_SUFFIX)
        })
        .collect();
    kernels.sort();
    kernels.pop().with_context(|| format!("{KERNEL_DIR} has no {KERNEL_PREFIX}*{KERNEL_SUFFIX}"))
}

/// Builds the test programs and gives their paths.
fn build() -> Result<Vec<PathBuf>> {
    let arguments = ["test", "--locked", "--no-run", "--package", "lazaret-runtime", "--tests"];
    step::run(Command::new("cargo").args(arguments).current_dir(workspace::root()), BUILD_LIMIT)?;
    // Everything is built now, so this only lists.
    let output = Command::new("cargo")
        .args(arguments)
        .arg("--message-format=json")
        .current_dir(workspace::root())
        .output()
        .context("ask cargo for the test programs")?;
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let programs: Vec<PathBuf> = messages
        .lines()
        .filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_test = message["profile"]["test"].as_bool()?;
            is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
        })
        .collect();
    if programs.is_empty() {
        bail!("cargo built no test program");
    }
    Ok(programs)
}

/// Fills the machine's root: the tests with their libraries, busybox for everything else, modules, and init.
fn populate(root: &Path, kernel: &Path, programs: &[PathBuf], filter: &str) -> Result<()> {
    for dir in ["bin", "dev", "etc", "modules", "proc", "sys", "tests", "tmp", "usr/bin", "var/lib"] {
        fs::create_dir_all(root.join(dir))?;
    }
    copy(&find("busybox")?, root, "bin")?;
    for program in PROGRAMS {
        copy(&find(program)?, root, "usr/bin")?;
    }
    for program in programs {
        copy(program, root, "tests")?;
    }
    let version = kernel.file_name().unwrap_or_default().to_string_lossy().replace(KERNEL_PREFIX, "");
    for module in MODULES {
        let from = Path::new("/lib/modules").join(&version).join(module);
        let name = from.file_name().context("a module without a name")?.to_owned();
        fs::copy(&from, root.join("modules").join(name))
            .with_context(|| format!("copy {}", from.display()))?;
    }
    let init = root.join("init");
    fs::write(&init, init_script(filter))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The path of a program that the shell would run.
fn find(program: &str) -> Result<PathBuf> {
    let path = step::output("sh", &["-c", "command -v \"$0\"", program])?;
    Ok(PathBuf::from(path.trim()))
}

/// Copies a program into a directory below `root`, and its libraries to where it will look for them.
fn copy(program: &Path, root: &Path, dir: &str) -> Result<()> {
    let name = program.file_name().context("a program without a name")?;
    fs::copy(program, root.join(dir).join(name)).with_context(|| format!("copy {}", program.display()))?;
    for library in libraries(program)? {
        let to = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a library in /")?)?;
        fs::copy(&library, to).with_context(|| format!("copy {}", library.display()))?;
    }
    Ok(())
}

/// The libraries that the loader would map for a program, the loader itself included.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let program = program.to_str().context("a path that is not UTF-8")?;
    // It fails for a static program, which has none.
    let listing = step::output("ldd", &[program]).unwrap_or_default();
    Ok(listing.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn init_script(filter: &str) -> String {
    format!(
        r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
for module in /modules/*.ko; do insmod "$module"; done
code=0
for program in /tests/*; do
    "$program" --test-threads=1 '{filter}' || code=1
done
echo "{VERDICT} $code"
poweroff -f
"#
    )
}
