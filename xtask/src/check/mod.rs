//! `cargo xtask check`: what a machine can judge without running the product.
//!
//! All steps run even when an early one fails, so that one run shows everything there is to mend.

mod arrows;
mod tidy;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{step, workspace};

/// Longest any one step may take: a clean clone compiles every dependency in clippy's first run.
const STEP_LIMIT: Duration = Duration::from_secs(20 * 60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compile and install cargo-deny if it is missing (several minutes), instead of leaving that step out
    #[arg(long)]
    install_deny: bool,
}

/// Runs every check and fails with the names of those that did not pass.
pub(crate) fn run(options: &Options) -> Result<()> {
    let steps: [(&str, &dyn Fn() -> Result<()>); 6] = [
        ("fmt", &|| cargo(&["fmt", "--all", "--check"])),
        ("tidy", &tidy::run),
        ("arrows", &arrows::run),
        ("deny", &|| deny(options)),
        ("clippy", &|| {
            cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        }),
        ("doc", &doc),
    ];
    let mut failed = Vec::new();
    for (name, check) in steps {
        if let Err(error) = check() {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("not passed: {}", failed.join(", "));
    }
    println!("check: {} steps passed", steps.len());
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    step::run(workspace::cargo().args(arguments), STEP_LIMIT)
}

fn doc() -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    step::run(&mut command, STEP_LIMIT)
}

/// Bans, licences and sources by `deny.toml`. Advisories are left out because their database is a git repository
/// that a build machine need not reach; `cargo deny check advisories` does them by hand.
fn deny(options: &Options) -> Result<()> {
    if !step::probe("cargo", &["deny", "--version"]) {
        if !options.install_deny {
            eprintln!(
                "NOTICE: cargo-deny is not installed, so deny.toml was NOT checked; \
                 run `cargo install --locked cargo-deny` or `cargo xtask check --install-deny`"
            );
            return Ok(());
        }
        cargo(&["install", "--locked", "cargo-deny"])?;
    }
    cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"])
}
