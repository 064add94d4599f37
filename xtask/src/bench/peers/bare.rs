//! What the bare machine does: the floor that no container can be made below, and a process without any container.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{FAST, ROUND_LIMIT, Row, SLOW, Task};
use crate::bench::rootfs::Rootfs;
use crate::bench::samples::Samples;
use crate::{step, workspace};

/// All namespaces, an overlay, pivot_root, exec; see the program's own header.
pub(super) fn floor(rootfs: &Rootfs) -> Result<Vec<Row>> {
    let program = workspace::target()?.join("release/examples/floor");
    let rounds = FAST.rounds.to_string();
    let output = Command::new(program)
        .arg(&rootfs.folder)
        .args([&rounds, "/bin/true"])
        .output()
        .context("run the floor program")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let lines = String::from_utf8(output.stdout).context("read the floor's figures")?;
    let rounds = lines.lines().map(|line| Ok(Duration::from_nanos(line.parse()?)));
    let samples = Samples::new(rounds.collect::<Result<_>>()?)?;
    Ok(vec![Row { task: Task::Create, who: "floor", samples }])
}

/// fork and exec, without isolation.
pub(super) fn host() -> Result<Vec<Row>> {
    let exec = FAST.collect(|| step::measure(&mut Command::new("/bin/true"), ROUND_LIMIT))?;
    let python = SLOW
        .collect(|| step::measure(Command::new("/usr/bin/python3").args(["-c", "print(1)"]), ROUND_LIMIT))?;
    Ok(vec![
        Row { task: Task::Exec, who: "host", samples: exec },
        Row { task: Task::Python, who: "host", samples: python },
    ])
}
