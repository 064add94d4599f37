//! `bwrap`: namespaces and bind mounts for one command, no overlay, no limits, nothing to exec into.

use std::process::Command;

use anyhow::Result;

use super::{FAST, ROUND_LIMIT, Row, Task};
use crate::bench::rootfs::Rootfs;
use crate::step;

pub(super) fn measure(rootfs: &Rootfs) -> Result<Vec<Row>> {
    let run = |command: &[&str]| {
        let mut bwrap = Command::new("bwrap");
        bwrap.arg("--unshare-all").arg("--ro-bind").arg(&rootfs.folder).args(["/", "--proc", "/proc"]);
        bwrap.args(["--dev", "/dev", "--tmpfs", "/tmp"]).args(command);
        step::measure(&mut bwrap, ROUND_LIMIT)
    };
    let samples = FAST.collect(|| run(&["/bin/true"]))?;
    Ok(vec![Row { task: Task::Create, who: "bwrap", samples }])
}
