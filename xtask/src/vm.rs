//! `cargo xtask vm`, or `cargo xtask test --vm`: the runtime's tests and the attempts to get out once more, under another
//! kernel than this machine's and with cgroup v2.
//!
//! ```text
//!   mmdebstrap (once) ─▶ a Debian folder ─┐
//!   cargo test --no-run ─▶ test programs ─┴─▶ disk image ─▶ qemu (Debian's cloud kernel) ─▶ console ─▶ verdict
//! ```
//!
//! The machine is emulated, so no KVM is needed; it has no network, and boots in seconds. Its init is a shell script that
//! runs the test programs one after the other and ends with a line that only it writes. What they leave on the disk is
//! thrown away with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::needs::{self, Need};
use crate::{step, workspace};

/// Longest that one run of the machine may take: emulation is some ten times slower than the machine itself.
const MACHINE_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Longest that building the tests, or downloading a Debian, may take.
const BUILD_LIMIT: Duration = Duration::from_secs(25 * 60);

/// Memory of the machine.
const MEMORY_MIB: &str = "3072";

/// Size of the machine's disk, a sparse file: the Debian, the tests, and the disks of their sandboxes.
const DISK_SIZE: &str = "6G";

/// What the tests use beyond a minimal Debian, inside sandboxes and out.
const PACKAGES: &str = "--include=python3,procps,kmod,iproute2,nftables";

/// The attempts to get out of a sandbox. Those in the machine are the ones that need no compiler.
const ESCAPES: &str = "escape";
const ESCAPES_FILTER: &str = "no_attempt";

/// The start of the last line of a run; the exit code of the tests follows.
const VERDICT: &str = "xtask-vm-verdict";

/// Where Debian puts kernels, and how the one with nothing but virtual hardware is called.
const KERNEL_DIR: &str = "/boot";
const KERNEL_PREFIX: &str = "vmlinuz-";
const KERNEL_SUFFIX: &str = "-cloud-amd64";

/// Modules that the tests use, Debian does not build in, and nobody loads by asking for what they do. All others load
/// themselves.
const MODULES: &str = "overlay loop af_alg veth nf_tables";

const NEEDS: &[Need] = &[
    Need { package: "e2fsprogs", probe: ("mkfs.ext4", &["-V"]), why: "making the machine's disk" },
    Need { package: "mmdebstrap", probe: ("mmdebstrap", &["--version"]), why: "filling the machine's disk" },
    Need { package: "qemu-system-x86", probe: ("qemu-system-x86_64", &["--version"]), why: "the machine" },
    Need {
        package: "linux-image-cloud-amd64",
        probe: ("sh", &["-c", "test -e /boot/vmlinuz-*-cloud-amd64"]),
        why: "its kernel",
    },
    Need { package: "busybox-static", probe: ("busybox", &["true"]), why: "its init" },
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

/// Runs the tests of `lazaret-runtime`, and the attempts to get out, inside the machine.
///
/// # Errors
/// If one of them fails, if the machine does not finish in time, or if something is missing to build it.
pub(crate) fn run(options: &Options) -> Result<()> {
    needs::install(NEEDS)?;
    let kernel = kernel()?;
    let root = debian(&workspace::target()?.join("vm"))?;
    let programs = build()?;
    populate(&root, &kernel, &programs, options.filter.as_deref().unwrap_or(""))?;

    let work = tempfile::tempdir().context("make a directory for the machine")?;
    let disk = work.path().join("disk");
    step::run(Command::new("mkfs.ext4").arg("-qd").arg(&root).arg(&disk).arg(DISK_SIZE), BUILD_LIMIT)?;

    let console = work.path().join("console");
    let booted = step::run(&mut machine(&kernel, &disk, &console), MACHINE_LIMIT);
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

fn machine(kernel: &Path, disk: &Path, console: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-cpu", "max", "-smp", "2", "-m", MEMORY_MIB, "-no-reboot"]);
    command.args(["-display", "none", "-nodefaults", "-monitor", "none"]);
    command.arg("-serial").arg(format!("file:{}", console.display()));
    // The cloud kernel has this kind of disk built in, so there is no need for an initramfs.
    command.arg("-drive").arg(format!("file={},if=none,id=disk,format=raw,cache=unsafe", disk.display()));
    command.args(["-device", "nvme,serial=disk,drive=disk"]);
    command.arg("-kernel").arg(kernel);
    let arguments =
        "root=/dev/nvme0n1 rw init=/tests/init console=ttyS0 loglevel=2 panic=-1 cgroup_no_v1=all";
    command.args(["-append", arguments]);
    command
}

/// A folder with a small Debian of this machine's own release, whose libraries the test programs are linked to.
fn debian(vm: &Path) -> Result<PathBuf> {
    let (root, made_with) = (vm.join("root"), vm.join("root.packages"));
    if root.is_dir() && fs::read_to_string(&made_with).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(root);
    }
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release has no VERSION_CODENAME: this needs Debian")?;
    fs::create_dir_all(vm)?;
    let partial = vm.join("root.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).context("remove a half-made root")?;
    }
    let mut make = Command::new("mmdebstrap");
    make.args(["--variant=minbase", PACKAGES, "--quiet", "--format=directory", codename]).arg(&partial);
    step::run(&mut make, BUILD_LIMIT)?;
    if root.exists() {
        fs::remove_dir_all(&root).context("remove a root with other packages")?;
    }
    fs::rename(&partial, &root).context("put the machine's root in place")?;
    fs::write(&made_with, PACKAGES).context("note its packages")?;
    Ok(root)
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

/// Builds the test programs and the programs that they start, and gives their paths.
fn build() -> Result<Vec<PathBuf>> {
    // What `cargo xtask test` builds, because another selection would compile dependencies once more.
    let arguments = ["build", "--locked", "--workspace", "--all-targets"];
    step::run(workspace::cargo().args(arguments), BUILD_LIMIT)?;
    // Everything is built now, so this only lists.
    let output = workspace::cargo()
        .args(arguments)
        .arg("--message-format=json")
        .output()
        .context("ask cargo for the test programs")?;
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let programs: Vec<PathBuf> = messages
        .lines()
        .filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let program = message["executable"].as_str().map(PathBuf::from)?;
            let package = message["package_id"].as_str()?;
            let (name, kind) = (&message["target"]["name"], &message["target"]["kind"][0]);
            let is_test = message["profile"]["test"] == true;
            let goes_along = if package.contains("/crates/runtime#") {
                kind != "bench" && kind != "example"
            } else if package.contains("/tests#") {
                name == ESCAPES
            } else {
                package.contains("/crates/server#") && kind == "bin" && !is_test
            };
            goes_along.then_some(program)
        })
        .collect();
    ensure!(programs.len() > 2, "cargo built too few programs: {programs:?}");
    Ok(programs)
}

/// Puts the tests, what starts them, and the modules they need into the machine's root.
fn populate(root: &Path, kernel: &Path, programs: &[PathBuf], filter: &str) -> Result<()> {
    let tests = root.join("tests");
    let built = root.join(workspace::target()?.strip_prefix("/")?);
    for earlier in [&tests, &built] {
        if earlier.exists() {
            fs::remove_dir_all(earlier).context("remove the tests of an earlier run")?;
        }
    }
    fs::create_dir(&tests)?;
    let busybox = step::output("sh", &["-c", "command -v busybox"])?;
    fs::copy(busybox.trim(), tests.join("busybox")).context("copy busybox")?;
    let mut names = String::new();
    for program in programs {
        // Tests find the programs that cargo built beside them by absolute path, so all keep theirs.
        let to = root.join(program.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a program in /")?)?;
        fs::copy(program, to).with_context(|| format!("copy {}", program.display()))?;
        names.push_str(&format!("{}\n", program.display()));
    }
    fs::write(tests.join("programs"), names)?;
    let version = kernel.file_name().unwrap_or_default().to_string_lossy().replace(KERNEL_PREFIX, "");
    let modules = root.join("usr/lib/modules");
    if modules.exists() {
        fs::remove_dir_all(&modules).context("remove the modules of an earlier run")?;
    }
    fs::create_dir(&modules)?;
    let from = Path::new("/lib/modules").join(&version);
    step::run(Command::new("cp").arg("-a").arg(&from).arg(&modules), BUILD_LIMIT)?;
    let init = tests.join("init");
    fs::write(&init, init_script(filter))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn init_script(filter: &str) -> String {
    format!(
        r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs none /dev/shm
mount -t devpts none /dev/pts
mount -t cgroup2 none /sys/fs/cgroup
/tests/busybox ip link set lo up
modprobe --all {MODULES}
code=0
for program in $(cat /tests/programs); do
    case "$program" in
        */deps/{ESCAPES}-*) "$program" --color=never --test-threads=1 '{ESCAPES_FILTER}' || code=1 ;;
        */deps/*) "$program" --color=never --test-threads=1 '{filter}' || code=1 ;;
    esac
done
echo "{VERDICT} $code"
/tests/busybox poweroff -f
"#
    )
}
