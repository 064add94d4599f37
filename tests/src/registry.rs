//! Debian's `docker-registry` on loopback, and images for it that are made here.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{target, wait};

/// How long the registry may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A registry that ends with the value.
pub struct Registry {
    process: Child,
    address: String,
    _directory: TempDir,
}

impl Registry {
    /// Starts one that lets everybody in.
    ///
    /// # Errors
    /// If Debian's `docker-registry` is not installed, or does not listen in time.
    pub fn start() -> Result<Registry> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let config = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            data.display()
        );
        std::fs::write(&config, text)?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start docker-registry")?;
        let registry = Registry { process, address, _directory: directory };
        let listens = || TcpStream::connect(&registry.address).is_ok().then_some(());
        wait::within(START_LIMIT, listens).context("the registry does not listen")?;
        Ok(registry)
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Copies what is in an archive of `docker save`'s form to `repository:tag`.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn push(&self, archive: &Path, name: &str) -> Result<()> {
        let copied = Command::new("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
            .arg(format!("docker-archive:{}", archive.display()))
            .arg(format!("docker://{}/{name}", self.address))
            .output()
            .context("run skopeo")?;
        ensure!(copied.status.success(), "skopeo: {}", String::from_utf8_lossy(&copied.stderr));
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; the test has seen to what matters.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes an archive as `docker save` does, of these layers (uncompressed tars, lowest first), to `path`.
///
/// # Errors
/// If `tar` or `sha256sum` cannot do their part.
pub fn write_docker_archive(path: &Path, layers: &[PathBuf]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut diff_ids = Vec::new();
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        diff_ids.push(format!("\"sha256:{}\"", sha256(layer)?));
        let name = format!("layer{number}.tar");
        // Not a second name: others may be packing the same layer, and tar would find that it changed meanwhile.
        std::os::unix::fs::symlink(std::path::absolute(layer)?, directory.path().join(&name))?;
        names.push(format!("\"{name}\""));
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","config":{{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let config_file = directory.path().join("config.json");
    std::fs::write(&config_file, config)?;
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":null,"Layers":[{}]}}]"#, names.join(","));
    std::fs::write(directory.path().join("manifest.json"), manifest)?;
    let packed =
        Command::new("tar").arg("-hcf").arg(path).arg("-C").arg(directory.path()).arg(".").status()?;
    ensure!(packed.success(), "tar: {packed}");
    Ok(())
}

/// A layer that is BusyBox alone, statically linked: one program and no library; and two users.
///
/// # Errors
/// If Debian's `busybox-static` is not installed.
pub fn busybox_layer(directory: &Path) -> Result<PathBuf> {
    let root = directory.join("busybox");
    std::fs::create_dir_all(root.join("bin"))?;
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).context("copy the host's static busybox")?;
    for name in ["sh", "cat", "ls", "tty", "echo", "stty", "true"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
    }
    for folder in ["dev", "proc", "sys", "tmp", "etc", "var", "var/old"] {
        std::fs::create_dir(root.join(folder))?;
    }
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
    )?;
    std::fs::write(root.join("etc/group"), "root:x:0:\nstaff:x:50:\napp:x:1000:\n")?;
    std::fs::write(root.join("var/old/file"), "old\n")?;
    tar_of(&root, &directory.join("busybox.tar"))
}

/// A layer with one small file, whose name and contents tell its number.
///
/// # Errors
/// If `tar` cannot write it.
pub fn small_layer(directory: &Path, number: usize) -> Result<PathBuf> {
    let root = directory.join(format!("small{number}"));
    std::fs::create_dir_all(root.join("srv"))?;
    std::fs::write(root.join(format!("srv/layer{number}")), format!("{number}\n"))?;
    tar_of(&root, &directory.join(format!("small{number}.tar")))
}

/// A layer that is a minimal Debian with Python, made once for a build directory.
///
/// # Errors
/// What mmdebstrap says: it needs Debian's mirror.
pub fn debian_layer() -> Result<PathBuf> {
    let made = target().join("test-images").join("debian-bookworm-python.tar");
    let directory = made.parent().context("a file in a directory")?;
    std::fs::create_dir_all(directory)?;
    // Several tests may want it at once; the lock goes with the descriptor.
    let lock = File::create(directory.join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    if !made.exists() {
        let half = made.with_extension("half.tar");
        let bootstrap = Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", "--include=python3-minimal", "bookworm"])
            .arg(&half)
            .output()
            .context("run mmdebstrap")?;
        ensure!(bootstrap.status.success(), "mmdebstrap: {}", String::from_utf8_lossy(&bootstrap.stderr));
        std::fs::rename(&half, &made)?;
    }
    Ok(made)
}

fn tar_of(root: &Path, to: &Path) -> Result<PathBuf> {
    let packed = Command::new("tar")
        .args(["--owner=0", "--group=0", "--mtime=@0", "--sort=name", "-cf"])
        .arg(to)
        .arg("-C")
        .arg(root)
        .arg(".")
        .status()?;
    ensure!(packed.success(), "tar: {packed}");
    Ok(to.to_owned())
}

fn sha256(file: &Path) -> Result<String> {
    let summed = Command::new("sha256sum").arg(file).output()?;
    let text = String::from_utf8(summed.stdout)?;
    text.split_whitespace().next().map(str::to_owned).context("sha256sum prints a sum")
}
