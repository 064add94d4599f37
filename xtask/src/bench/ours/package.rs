//! What Daytona's package for Python adds to the requests that it makes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::KEY;
use serde_json::Value;

use super::Api;
use crate::bench::samples::Samples;
use crate::workspace;

/// Rounds, each with one call through the package and one without.
const ROUNDS: usize = 200;

/// Rounds before these, which fill caches.
const UNMEASURED: usize = 2;

/// `true` in a running sandbox, as a program in Python sees it.
pub(crate) struct Package {
    /// Through `process.exec`.
    pub(crate) package: Samples,
    /// The same request over a plain connection.
    pub(crate) bare: Samples,
}

/// Measures the server at `base` from the interpreter `python`, which has the package.
pub(super) fn measure(api: &Api, base: &str, python: &Path) -> Result<Package> {
    let id = api.create()?;
    let script = workspace::root().join("tests/clients/daytona/exec_times.py");
    let output = Command::new(python)
        .arg(script)
        .arg(&id)
        .arg((ROUNDS + UNMEASURED).to_string())
        .env("DAYTONA_API_URL", format!("{base}/api"))
        .env("DAYTONA_API_KEY", KEY)
        .output()
        .context("start the package's python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    api.delete(&id)?;
    let times: Value = serde_json::from_slice(&output.stdout).context("read what the script measured")?;
    Ok(Package { package: samples(&times["package"])?, bare: samples(&times["bare"])? })
}

fn samples(seconds: &Value) -> Result<Samples> {
    let seconds = seconds.as_array().context("a list of times")?.iter().skip(UNMEASURED);
    let durations = seconds.map(|one| one.as_f64().map(Duration::from_secs_f64).context("a time"));
    Samples::new(durations.collect::<Result<_>>()?)
}
