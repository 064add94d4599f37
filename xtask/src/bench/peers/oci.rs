//! Low-level OCI runtimes, which share one command line: `runc`, `crun` and `runsc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ROUND_LIMIT, Row, SLOW, Task};
use crate::bench::rootfs::Rootfs;
use crate::step;

/// Measures `runtime run` of `true` in a fresh container each, then `runtime exec` in one that sleeps.
pub(super) fn measure(
    runtime: &'static str,
    flags: &'static [&'static str],
    rootfs: &Rootfs,
    scratch: &Path,
) -> Result<Vec<Row>> {
    ensure!(step::probe(runtime, &["--version"]), "not installed");
    let oci = Oci { runtime, flags, state: scratch.join(format!("{runtime}-state")) };
    let brief = bundle(&scratch.join(format!("{runtime}-true")), rootfs, &["/bin/true"])?;
    let idle = bundle(&scratch.join(format!("{runtime}-idle")), rootfs, &["/bin/sleep", "3600"])?;

    let mut number = 0;
    let create = SLOW.collect(|| {
        number += 1;
        step::measure(
            oci.command(&["run", "--bundle"]).arg(&brief).arg(format!("bench-{number}")),
            ROUND_LIMIT,
        )
    })?;
    step::measure(oci.command(&["run", "--detach", "--bundle"]).arg(&idle).arg("bench-idle"), ROUND_LIMIT)?;
    let exec =
        SLOW.collect(|| step::measure(&mut oci.command(&["exec", "bench-idle", "/bin/true"]), ROUND_LIMIT));
    // The container must go, whatever came of the measurement.
    let deleted = step::measure(&mut oci.command(&["delete", "--force", "bench-idle"]), ROUND_LIMIT);
    let exec = exec?;
    deleted.context("delete the idle container")?;
    Ok(vec![
        Row { task: Task::Create, who: runtime, samples: create },
        Row { task: Task::Exec, who: runtime, samples: exec },
    ])
}

struct Oci {
    runtime: &'static str,
    flags: &'static [&'static str],
    /// Where the runtime keeps its containers, apart from those of anybody else on this machine.
    state: PathBuf,
}

impl Oci {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.runtime);
        command.arg("--root").arg(&self.state).args(self.flags).args(arguments);
        command
    }
}

/// Writes a bundle that runs `command` on the shared rootfs, read-only, with every namespace but a user's.
fn bundle(folder: &Path, rootfs: &Rootfs, command: &[&str]) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mount = |target: &str, kind: &str, options: &[&str]| -> Value {
        json!({ "destination": target, "type": kind, "source": kind, "options": options })
    };
    let namespaces: Vec<Value> =
        ["pid", "network", "ipc", "uts", "mount"].iter().map(|kind| json!({ "type": kind })).collect();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": { "uid": 0, "gid": 0 }, "args": command, "cwd": "/", "noNewPrivileges": true,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "root": { "path": &rootfs.folder, "readonly": true },
        "hostname": "bench",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/tmp", "tmpfs", &["nosuid", "nodev"]),
        ],
        "linux": { "namespaces": namespaces },
    });
    fs::write(folder.join("config.json"), serde_json::to_vec_pretty(&config)?).context("write a bundle")?;
    Ok(folder.to_owned())
}
