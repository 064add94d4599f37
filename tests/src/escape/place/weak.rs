//! A sandbox without walls: a change of root in the host's own namespaces, as root with every capability.
//!
//! ```text
//!   <scratch>/root     a folder with links into the host's /usr, which is bound in; /proc, /sys, /dev are the host's
//!   <scratch>/enter    a copy of `chroot`: the program of the "host" that enters it, and that an attempt may overwrite
//!   holder             a process whose mount namespace has those mounts; killed on drop, and they go with it
//!   agent              a process inside that listens on a port, which the "host" dials
//! ```
//!
//! Everything that the host does for it, it does the naive way: it joins path strings, follows links, mounts by path, and
//! leaves a descriptor of its own root open. That is the point: each attempt must work here.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::{Ended, Order, Place};

/// Links of a merged `/usr`.
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// Mounts what the holder is for, says so, and waits until its input ends.
const HOLD: &str = r#"
set -e
cd "$1"
test -d usr && mount --rbind /usr usr && mount -o remount,bind,ro usr
test -L proc || mkdir -p proc
mount -t proc proc proc
test ! -d sys || mount --rbind /sys sys
if test -f dev/wants-devices; then mount --rbind /dev dev; else
  rm -f dev/ptmx; ln -s pts/ptmx dev/ptmx
  test ! -e dev/null || mount --bind dev/null proc/keys
  test ! -e dev/console || mount --bind /dev/null dev/console
fi
mkdir -p mnt/data 2>/dev/null; echo nameserver 127.0.0.1 > etc/resolv.conf
echo ready
cat > /dev/null
"#;

/// A folder as a root, and the process that holds its mounts.
pub struct Weak {
    scratch: TempDir,
    holder: std::sync::Mutex<Child>,
    agent: Option<(Child, u32, u16)>,
}

impl Weak {
    /// A fresh one with the host's `/usr`.
    ///
    /// # Errors
    /// If its folder or its mounts cannot be made.
    pub fn create() -> Result<Weak> {
        let scratch = scratch()?;
        let root = scratch.path().join("root");
        for folder in ["usr", "proc", "sys", "dev", "tmp", "etc", "root", "run", "mnt"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        for (link, target) in LINKS {
            symlink(target, root.join(link))?;
        }
        fs::write(root.join("dev/wants-devices"), "")?;
        for file in ["passwd", "group", "nsswitch.conf"] {
            fs::copy(Path::new("/etc").join(file), root.join("etc").join(file))?;
        }
        let mut weak = Weak::hold(scratch)?;
        let mut agent =
            weak.enter(&Order::new(&["/usr/bin/python3", "-c", include_str!("../../../escape/agent.py")]));
        let mut agent =
            agent.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start an agent")?;
        let mut line = String::new();
        BufReader::new(agent.stdout.take().context("its output")?).read_line(&mut line)?;
        let mut numbers = line.split_whitespace();
        let pid = numbers.next().context("the agent's pid")?.parse()?;
        let port = numbers.next().context("the agent's port")?.parse()?;
        weak.agent = Some((agent, pid, port));
        Ok(weak)
    }

    fn hold(scratch: TempDir) -> Result<Weak> {
        let holder = std::sync::Mutex::new(hold(&scratch.path().join("root"))?);
        Ok(Weak { scratch, holder, agent: None })
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    /// The path on the host by simply joining strings.
    fn naively(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    fn enter(&self, order: &Order) -> Command {
        let holder = self.holder.lock().map_or(0, |holder| holder.id());
        // Descriptor 7 is the host's root, forgotten open.
        let script = r#"target=$1 enter=$2 root=$3; shift 3; exec 7</
            exec nsenter --mount --target "$target" "$enter" "$root" "$@""#;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "weak"]).arg(holder.to_string());
        command.arg(self.scratch.path().join("enter")).arg(self.root());
        // The user that was asked for is not looked at.
        if let Some(cwd) = &order.cwd {
            command.args(["/bin/sh", "-c", r#"cd "$0" && exec "$@""#, cwd]);
        }
        command.args(&order.command);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(order.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn scratch() -> Result<TempDir> {
    let scratch = tempfile::Builder::new().prefix("lazaret-weak-").tempdir().context("make a folder")?;
    fs::create_dir(scratch.path().join("root"))?;
    fs::copy("/usr/sbin/chroot", scratch.path().join("enter")).context("copy chroot")?;
    Ok(scratch)
}

fn hold(root: &Path) -> Result<Child> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", HOLD, "hold"]).arg(root);
    let mut holder =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a holder")?;
    let mut line = String::new();
    BufReader::new(holder.stdout.take().context("its output")?).read_line(&mut line)?;
    if line.trim() != "ready" {
        let _ = holder.kill();
        let _ = holder.wait();
        anyhow::bail!("the mounts of a weak sandbox in {} could not be made", root.display());
    }
    Ok(holder)
}

impl Place for Weak {
    fn name(&self) -> &'static str {
        "weak"
    }

    fn entry(&self) -> String {
        // Processes of the whole host are seen, so the path has to be its own.
        self.scratch.path().join("enter").to_string_lossy().into_owned()
    }

    fn exec(&self, order: &Order) -> Result<Ended> {
        let output = self.enter(order).stdin(Stdio::null()).output().context("enter a weak sandbox")?;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        // A dynamically linked helper that runs inside with the host's rights, as some copy tools have.
        let mut helper = self.enter(&Order::new(&["/usr/bin/true"]));
        helper.stdin(Stdio::null()).status().context("run a helper inside")?;
        Ok(fs::read(self.naively(path))?)
    }

    fn write_file(&self, path: &str, content: &[u8]) -> Result<()> {
        Ok(fs::File::create(self.naively(path))?.write_all(content)?)
    }

    fn with_image<'a>(&'a self, archive: &Path) -> Result<Box<dyn Place + 'a>> {
        let scratch = scratch()?;
        let unpack = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", unpack]).arg(archive).arg(scratch.path().join("root"));
        ensure!(command.status()?.success(), "unpack an archive naively");
        Ok(Box::new(Weak::hold(scratch)?))
    }

    fn twin<'a>(&'a self) -> Result<Box<dyn Place + 'a>> {
        Ok(Box::new(Shared(self)))
    }

    fn restart(&self) -> Result<()> {
        let mut holder = self.holder.lock().map_err(|_| anyhow::anyhow!("a panic while it was held"))?;
        let _ = holder.kill();
        holder.wait()?;
        *holder = hold(&self.root())?;
        Ok(())
    }

    fn agent(&self) -> u32 {
        self.agent.as_ref().map_or(1, |(_, pid, _)| *pid)
    }

    fn dials(&self) -> Option<u16> {
        self.agent.as_ref().map(|(_, _, port)| *port)
    }
}

impl Drop for Weak {
    fn drop(&mut self) {
        if let Some((mut agent, _, _)) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if let Ok(mut holder) = self.holder.lock() {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// A second sandbox of the same image: here, the same folder.
struct Shared<'a>(&'a Weak);

impl Place for Shared<'_> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn entry(&self) -> String {
        self.0.entry()
    }
    fn exec(&self, order: &Order) -> Result<Ended> {
        self.0.exec(order)
    }
    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.0.read_file(path)
    }
    fn write_file(&self, path: &str, content: &[u8]) -> Result<()> {
        self.0.write_file(path, content)
    }
    fn with_image<'a>(&'a self, archive: &Path) -> Result<Box<dyn Place + 'a>> {
        self.0.with_image(archive)
    }
    fn twin<'a>(&'a self) -> Result<Box<dyn Place + 'a>> {
        self.0.twin()
    }
    fn restart(&self) -> Result<()> {
        self.0.restart()
    }
}
