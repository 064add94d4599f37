//! What idle sandboxes hold, and what they cost the busy one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lazaret_tests::Traces;

use super::{Api, latency};
use crate::bench::samples::Samples;

/// Idle sandboxes that are measured together. Enough that shared pages count as shared.
const IDLE: usize = 100;

/// The proportional set size of one idle sandbox in bytes, and exec among that many.
pub(super) fn idle(api: &Api) -> Result<(u64, Samples)> {
    let ids: Vec<String> = (0..IDLE).map(|_| api.create()).collect::<Result<_>>()?;
    // One command each, so that what the guest makes on first use is counted.
    for id in &ids {
        api.exec_true(id)?;
    }
    let processes = Traces::of_sandboxes(Path::new("/nonexistent"), &ids).processes;
    ensure!(processes.len() >= IDLE, "only {} processes of {IDLE} sandboxes were found", processes.len());
    let mut total = 0;
    for process in &processes {
        let pid = process.split(' ').next().unwrap_or_default();
        total += pss_bytes(pid).with_context(|| format!("measure process {process}"))?;
    }
    let exec = latency::exec_in(api, &ids[0])?;
    for id in &ids {
        api.delete(id)?;
    }
    Ok((total / u64::try_from(IDLE)?, exec))
}

fn pss_bytes(pid: &str) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss line")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
