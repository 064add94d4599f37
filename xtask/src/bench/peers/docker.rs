//! `docker`, through a daemon of our own without a bridge and without firewall rules, on a folder of our own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lazaret_tests::wait;
use rustix::process::{Pid, Signal, kill_process};

use super::{ROUND_LIMIT, Row, SLOW, Task};
use crate::bench::rootfs::Rootfs;
use crate::step;

/// Longest that the daemon may take to answer, its containerd included.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Longest that the daemon may take to end; it first ends its containers.
const STOP_LIMIT: Duration = Duration::from_secs(30);

const IMAGE: &str = "bench";

pub(super) fn measure(rootfs: &Rootfs, scratch: &Path) -> Result<Vec<Row>> {
    ensure!(step::probe("dockerd", &["--version"]), "not installed");
    let daemon = Daemon::start(scratch)?;
    let mut import = daemon.docker(&["import"]);
    step::measure(import.arg(&rootfs.archive).arg(IMAGE), ROUND_LIMIT)?;
    let run = ["run", "--network", "none"];
    let create =
        SLOW.collect(|| step::measure(daemon.docker(&run).args(["--rm", IMAGE, "/bin/true"]), ROUND_LIMIT))?;
    let mut idle = daemon.docker(&run);
    step::measure(idle.args(["--detach", "--name", "idle", IMAGE, "/bin/sleep", "3600"]), ROUND_LIMIT)?;
    let exec =
        SLOW.collect(|| step::measure(&mut daemon.docker(&["exec", "idle", "/bin/true"]), ROUND_LIMIT))?;
    let print = ["exec", "idle", "/usr/bin/python3", "-c", "print(1)"];
    let python = SLOW.collect(|| step::measure(&mut daemon.docker(&print), ROUND_LIMIT))?;
    step::measure(&mut daemon.docker(&["rm", "--force", "idle"]), ROUND_LIMIT)?;
    let row = |task, samples| Row { task, who: "docker", samples };
    Ok(vec![row(Task::Create, create), row(Task::Exec, exec), row(Task::Python, python)])
}

/// A running `dockerd`, stopped on drop.
struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    fn start(scratch: &Path) -> Result<Daemon> {
        let folder = scratch.join("docker");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let log = File::create(folder.join("dockerd.log")).context("make the daemon's log")?;
        let mut command = Command::new("dockerd");
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--exec-opt=native.cgroupdriver=cgroupfs",
        ]);
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(folder.join(name));
        }
        let host = format!("--host=unix://{}", folder.join("socket").display());
        command.arg(host).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut daemon = Daemon { child: command.spawn().context("start dockerd")?, folder };
        let answers = wait::within(START_LIMIT, || {
            let ended = daemon.child.try_wait().is_ok_and(|status| status.is_some());
            let answers = step::measure(&mut daemon.docker(&["version"]), ROUND_LIMIT).is_ok();
            (ended || answers).then_some(answers)
        });
        if answers != Some(true) {
            let log = fs::read_to_string(daemon.folder.join("dockerd.log")).unwrap_or_default();
            bail!("dockerd does not answer: {}", log.lines().last().unwrap_or_default());
        }
        Ok(daemon)
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg(format!("--host=unix://{}", self.folder.join("socket").display())).args(arguments);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
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
