//! Containers of a `dockerd` of our own, without a bridge and without firewall rules, with runc or runsc beneath.
//!
//! The runtimes are copies, because one of the attempts overwrites what it can.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Ended, Order, Place};
use crate::escape::archive::Archive;
use crate::wait;

/// Longest that the daemon may take to answer, its containerd included.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Longest that the daemon may take to end; it first ends its containers.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Longest that one call of docker's client may take, as timeout(1) wants it: longer than any attempt.
const ANSWER_LIMIT: &str = "60s";

/// The image of a container that has the host's `/usr` bound in.
const IMAGE: &str = "escape";

/// A running `dockerd`, stopped on drop.
pub struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    /// Starts it on a folder of its own, with copies of runc and, if it is there, runsc.
    ///
    /// # Errors
    /// If it is not installed or does not answer.
    pub fn start() -> Result<Daemon> {
        let folder = tempfile::Builder::new().prefix("lazaret-docker-").tempdir()?;
        let log = File::create(folder.path().join("dockerd.log")).context("make the daemon's log")?;
        let mut command = Command::new("dockerd");
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--exec-opt=native.cgroupdriver=cgroupfs",
        ]);
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(folder.path().join(name));
        }
        for (runtime, program) in [("copied-runc", "/usr/sbin/runc"), ("copied-runsc", "/usr/bin/runsc")] {
            let copy = folder.path().join(runtime);
            if fs::copy(program, &copy).is_ok() {
                let copy = if runtime == "copied-runsc" { without_network(&copy)? } else { copy };
                command.arg("--add-runtime").arg(format!("{runtime}={}", copy.display()));
            }
        }
        let host = format!("--host=unix://{}", folder.path().join("socket").display());
        command.arg(host).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut daemon = Daemon { child: command.spawn().context("start dockerd")?, folder };
        let answers = wait::within(START_LIMIT, || {
            let ended = daemon.child.try_wait().is_ok_and(|status| status.is_some());
            let answers = daemon.docker(&["version"]).output().is_ok_and(|output| output.status.success());
            (ended || answers).then_some(answers)
        });
        if answers != Some(true) {
            let log = fs::read_to_string(daemon.folder.path().join("dockerd.log")).unwrap_or_default();
            bail!("dockerd does not answer: {}", log.lines().last().unwrap_or_default());
        }
        let mut archive = Archive::create(&daemon.folder.path().join("image.tar"))?;
        for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
            archive.link(link, target)?;
        }
        archive.link("lib64", "usr/lib64")?;
        for folder in ["usr", "tmp", "root", "etc"] {
            archive.folder(folder)?;
        }
        archive.file("etc/passwd", &fs::read("/etc/passwd")?, 0o644)?;
        archive.file("etc/group", &fs::read("/etc/group")?, 0o644)?;
        let archive = archive.done()?;
        daemon.import(&archive, IMAGE)?;
        Ok(daemon)
    }

    fn import(&self, archive: &Path, name: &str) -> Result<()> {
        self.success(&["import", &archive.to_string_lossy(), name]).map(drop)
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([ANSWER_LIMIT, "docker"])
            .arg(format!("--host=unix://{}", self.folder.path().join("socket").display()));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn success(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.docker(arguments).output().context("run docker")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "docker {}: {}", arguments.join(" "), said.trim());
        Ok(output.stdout)
    }
}

/// A program that calls `runsc` with the flag that it needs where no interface can be taken over from docker.
fn without_network(runsc: &Path) -> Result<PathBuf> {
    let path = runsc.with_extension("sh");
    fs::write(&path, format!("#!/bin/sh\nexec {} --network=none \"$@\"\n", runsc.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that did not start leaves a container behind, and its shim would outlive the daemon.
        let listed = self.success(&["ps", "--all", "--quiet"]).unwrap_or_default();
        for id in String::from_utf8_lossy(&listed).split_whitespace() {
            if let Err(error) = self.success(&["rm", "--force", id]) {
                eprintln!("could not remove a container: {error:#}");
            }
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A daemon that has ended already is what we want.
            let _ = kill_process(pid, Signal::TERM);
        }
        if wait::within(STOP_LIMIT, || self.child.try_wait().ok().flatten()).is_none() {
            eprintln!("NOTICE: dockerd did not end on SIGTERM and is killed");
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A plain container, removed on drop.
pub struct Docker<'a> {
    daemon: &'a Daemon,
    runtime: Runtime,
    id: String,
    image: String,
}

/// What starts the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Docker's own.
    Runc,
    /// gVisor.
    Runsc,
}

impl Runtime {
    const fn copy(self) -> &'static str {
        match self {
            Runtime::Runc => "copied-runc",
            Runtime::Runsc => "copied-runsc",
        }
    }
}

impl<'a> Docker<'a> {
    /// `docker run` with nothing but a command that waits and the host's `/usr`.
    ///
    /// # Errors
    /// If the container does not start.
    pub fn run(daemon: &'a Daemon, runtime: Runtime) -> Result<Docker<'a>> {
        Docker::of_image(daemon, runtime, IMAGE)
    }

    fn of_image(daemon: &'a Daemon, runtime: Runtime, image: &str) -> Result<Docker<'a>> {
        let runtime_option = format!("--runtime={}", runtime.copy());
        let mut arguments = vec!["run", "--detach", "--network=none", &runtime_option];
        let command: &[&str] = if image == IMAGE {
            arguments.extend(["--volume", "/usr:/usr:ro"]);
            &["/usr/bin/sleep", "3600"]
        } else {
            &["/probe", "wait"]
        };
        arguments.push(image);
        arguments.extend(command);
        let id = String::from_utf8(daemon.success(&arguments)?)?.trim().to_owned();
        Ok(Docker { daemon, runtime, id, image: image.to_owned() })
    }
}

impl Place for Docker<'_> {
    fn name(&self) -> &'static str {
        match self.runtime {
            Runtime::Runc => "docker",
            Runtime::Runsc => "runsc",
        }
    }

    fn entry(&self) -> String {
        "runc runsc".to_owned()
    }

    fn exec(&self, order: &Order) -> Result<Ended> {
        let mut command = self.daemon.docker(&["exec"]);
        for (name, value) in &order.env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        for (flag, value) in [("--user", &order.user), ("--workdir", &order.cwd)] {
            if let Some(value) = value {
                command.arg(flag).arg(value);
            }
        }
        let output = command.arg(&self.id).args(&order.command).output().context("run docker exec")?;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let archive = self.daemon.success(&["cp", &format!("{}:{path}", self.id), "-"])?;
        crate::escape::archive::first_file(&archive)
    }

    fn write_file(&self, path: &str, content: &[u8]) -> Result<()> {
        let file: PathBuf = self.daemon.folder.path().join("to-copy");
        fs::write(&file, content)?;
        self.daemon.success(&["cp", &file.to_string_lossy(), &format!("{}:{path}", self.id)]).map(drop)
    }

    fn with_image<'b>(&'b self, archive: &Path) -> Result<Box<dyn Place + 'b>> {
        let name = archive.file_stem().context("an archive has a name")?.to_string_lossy().into_owned();
        self.daemon.import(archive, &name)?;
        Ok(Box::new(Docker::of_image(self.daemon, self.runtime, &name)?))
    }

    fn twin<'b>(&'b self) -> Result<Box<dyn Place + 'b>> {
        Ok(Box::new(Docker::of_image(self.daemon, self.runtime, &self.image)?))
    }

    fn restart(&self) -> Result<()> {
        self.daemon.success(&["restart", "--time=1", &self.id]).map(drop)
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.daemon.success(&["rm", "--force", &self.id]) {
            eprintln!("could not remove a container: {error:#}");
        }
    }
}
