//! The contenders: other runtimes that are found on PATH, and what the bare machine does.
//!
//! Each measures the same loads on the same rootfs. One that is not installed, or does not run on this machine, is
//! left out with a notice; the promises that compare with it then count as not measured.

mod bare;
mod bubblewrap;
mod docker;
mod oci;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::rootfs::Rootfs;
use super::samples::{Load, Samples};

/// Longest that any single round of a contender may take.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Rounds of what takes tens of milliseconds, and the time that all of them may take.
const SLOW: Load = Load { rounds: 30, budget: Duration::from_secs(12) };

/// Rounds of what takes a few milliseconds.
const FAST: Load = Load { rounds: 200, budget: Duration::from_secs(6) };

/// What is measured; every contender does those that it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// From nothing to the end of `true` in a new container.
    Create,
    /// From the request to the end of `true` in a container that runs already.
    Exec,
    /// From the request to the output of `print(1)` where an interpreter may be warm.
    Python,
}

/// One contender's figures for one task.
pub(crate) struct Row {
    pub(crate) task: Task,
    pub(crate) who: &'static str,
    pub(crate) samples: Samples,
}

/// Measures one contender; an error leaves it out.
type Measure<'a> = &'a dyn Fn() -> Result<Vec<Row>>;

/// Packages of Debian that hold the contenders.
pub(crate) const PACKAGES: &[crate::needs::Need] = &[
    need("runc", "runc"),
    need("crun", "crun"),
    need("bubblewrap", "bwrap"),
    need("docker.io", "dockerd"),
    need("runsc", "runsc"),
];

const fn need(package: &'static str, program: &'static str) -> crate::needs::Need {
    let probe: &'static [&'static str] = &["--version"];
    crate::needs::Need { package, probe: (program, probe), why: "a contender" }
}

/// Measures every contender that can run here, with `scratch` for what they need on disk.
pub(crate) fn measure(rootfs: &Rootfs, scratch: &Path) -> Vec<Row> {
    let contenders: [(&str, Measure); 7] = [
        ("floor", &|| bare::floor(rootfs)),
        ("host", &bare::host),
        ("bwrap", &|| bubblewrap::measure(rootfs)),
        ("crun", &|| oci::measure("crun", &[], rootfs, scratch)),
        ("runc", &|| oci::measure("runc", &[], rootfs, scratch)),
        ("runsc", &|| oci::measure("runsc", &["--network=none"], rootfs, scratch)),
        ("docker", &|| docker::measure(rootfs, scratch)),
    ];
    let mut rows = Vec::new();
    for (name, contender) in contenders {
        eprintln!("measuring {name}");
        match contender() {
            Ok(measured) => rows.extend(measured),
            Err(error) => eprintln!("NOTICE: {name} is left out: {error:#}"),
        }
    }
    rows
}
