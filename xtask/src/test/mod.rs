//! `cargo xtask test`: every test there is, after installing what the tests need.
//!
//! ```text
//!   needs (Debian packages, nextest) ─▶ clients (SDKs under target/clients) ─▶ build ─▶ nextest ─▶ doc tests
//! ```
//!
//! The client suites are ordinary tests of the package `lazaret-tests` that run a script with a real SDK against a
//! real server, so there is one runner and one closing line.

pub(crate) mod clients;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{needs, step, vm, workspace};

/// Longest the build or the whole test run may take. A single test is bounded in `.config/nextest.toml`.
const STEP_LIMIT: Duration = Duration::from_secs(25 * 60);

/// The test binary with the client suites.
const CLIENT_SUITES: &str = "binary(clients)";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run one half of the tests only
    #[arg(long, value_enum)]
    only: Option<Half>,
    /// Run the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Then run those that depend on the kernel once more, in an emulated machine with cgroup v2
    #[arg(long)]
    vm: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Half {
    /// Unit, property and black-box tests
    Rust,
    /// Real SDKs against a real server
    Clients,
}

/// Runs the tests and fails if one fails or if nothing was run.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the sandbox tests mount, clone and write cgroups: run `cargo xtask test` as root");
    }
    needs::install(needs::OF_TESTS)?;
    if options.only != Some(Half::Rust) {
        clients::prepare(&workspace::target()?)?;
    }
    // The black-box suites start `lazaret`; cargo would not build it for another package's tests. All targets at once,
    // because the features of shared dependencies differ between selections, and each selection compiles them again.
    cargo(&["build", "--locked", "--workspace", "--all-targets"])?;
    if needs::have_nextest()? {
        nextest(options)?;
    } else {
        eprintln!(
            "NOTICE: cargo-nextest could not be installed; `cargo test` runs instead, without its time limits"
        );
        cargo_test(options)?;
    }
    if options.only.is_none() && options.filter.is_none() {
        cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"])?;
    }
    if options.vm {
        vm::run(&vm::Options { filter: None })?;
    }
    println!("test: all passed");
    Ok(())
}

fn nextest(options: &Options) -> Result<()> {
    let mut arguments = vec!["nextest", "run", "--locked", "--workspace", "--no-fail-fast"];
    let inverse = format!("not {CLIENT_SUITES}");
    match options.only {
        Some(Half::Rust) => arguments.extend(["--filterset", &inverse]),
        Some(Half::Clients) => arguments.extend(["--filterset", CLIENT_SUITES]),
        None => {}
    }
    arguments.extend(options.filter.as_deref());
    cargo(&arguments)
}

fn cargo_test(options: &Options) -> Result<()> {
    let mut arguments = vec!["test", "--locked", "--no-fail-fast"];
    match options.only {
        Some(Half::Clients) => arguments.extend(["--package", "lazaret-tests", "--test", "clients"]),
        Some(Half::Rust) => arguments.extend(["--workspace", "--lib", "--bins"]),
        None => arguments.extend(["--workspace", "--lib", "--bins", "--tests"]),
    }
    arguments.extend(options.filter.as_deref());
    // One at a time: the whole-system tests count processes and mounts.
    arguments.extend(["--", "--test-threads", "1"]);
    cargo(&arguments)
}

fn cargo(arguments: &[&str]) -> Result<()> {
    step::run(workspace::cargo().args(arguments), STEP_LIMIT)
}
