//! `cargo xtask bench`: our promises as measurements, beside every contender on PATH, in one run on one rootfs.
//!
//! ```text
//!   rootfs (mmdebstrap, cached) ─▶ peers: floor, host, bwrap, crun, runc, runsc, docker ─▶ rows ─┐
//!                              └─▶ ours, over HTTP: create, exec, python, burst, idle, transfer ─┴▶ promises
//!                                            target/bench/report.json · report.svg · a table on stdout ◀─┘
//! ```
//!
//! Absolute figures drift with the machine and its load, so `--check` judges ratios between figures of the same run
//! and sizes, never milliseconds alone; those are printed with their target for a person to judge.

mod chart;
mod ours;
mod peers;
mod promises;
mod report;
mod rootfs;
mod samples;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{needs, step, workspace};

/// Longest that building the server in release mode may take.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install the contenders' Debian packages that are missing
    #[arg(long)]
    install_peers: bool,
    /// Leave the contenders out; promises that compare with them count as not measured
    #[arg(long, conflicts_with = "install_peers")]
    no_peers: bool,
    /// Fail if a promised ratio or size is missed
    #[arg(long)]
    check: bool,
}

/// Measures, prints and writes the report.
///
/// # Errors
/// If something of ours cannot be measured, and with `--check` if a promise is missed.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("containers are made by root: run `cargo xtask bench` as root");
    }
    let target = workspace::target()?;
    let folder = target.join("bench");
    let rootfs = rootfs::make(&folder)?;
    if options.install_peers {
        needs::install(peers::PACKAGES)?;
    }
    let mut build = workspace::cargo();
    // Both in one selection, or their shared dependencies would be compiled for each of them.
    build.args(["build", "--locked", "--release", "--package", "lazaret-server", "--bin", "lazaret"]);
    build.args(["--package", "lazaret-runtime", "--example", "floor"]);
    step::run(&mut build, BUILD_LIMIT)?;

    // Short paths, because a Unix socket's has at most 107 bytes.
    let scratch = tempfile::tempdir().context("make a scratch folder")?;
    let rows = if options.no_peers { Vec::new() } else { peers::measure(&rootfs, scratch.path()) };
    let ours = ours::measure(&target, &rootfs)?;
    let promises = promises::judge(&ours, &rows);

    let report = report::Report { rows: &rows, ours: &ours, promises: &promises };
    println!("{}", report.table());
    for (name, text) in [("report.json", report.json()?), ("report.svg", chart::draw(&rows, &ours))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    let missed = promises::missed(&promises);
    if options.check && !missed.is_empty() {
        bail!("missed: {}", missed.join("; "));
    }
    Ok(())
}
