//! Build chores, run as `cargo xtask <command>`.
//!
//! | Command | What it does |
//! | --- | --- |
//! | `check` | everything a machine can judge without running the product: format, lints, docs, bans, house rules |
//! | `bench` | our promises measured beside every other runtime on PATH |
//! | `test` | every test there is, after installing what the tests need |
//! | `escape` | attempts to get out of a sandbox, in ours, in a control without walls, in docker and in runsc |
//! | `vm` | the tests that depend on the kernel, under Debian's kernel and cgroup v2 in an emulated machine |
//!
//! Each command prints the steps it takes and exits non-zero when one of them fails. No step waits for ever, and none
//! reads standard input, so that continuous integration runs exactly what a person runs.

#![forbid(unsafe_code)]

mod bench;
mod check;
mod escape;
mod needs;
mod step;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build chores of Lazaret", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure what is promised, beside the runtimes found on PATH, and write a report
    Bench(bench::Options),
    /// Check format, lints, documentation, banned dependencies and house rules; runs no test
    Check(check::Options),
    /// Try to get out of a sandbox, of ours and of others, and print what became of it
    Escape(escape::Options),
    /// Run all tests, the client suites included, installing what they need
    Test(test::Options),
    /// Run the tests that depend on the kernel in an emulated machine with cgroup v2
    Vm(vm::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Escape(options) => escape::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Vm(options) => vm::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
