//! The `lazaret` program: the server, the checks of the host, and the client commands.
//!
//! Everything but `serve` and `doctor` is `lazaret_cli`, which also builds where the runtime cannot.

#![forbid(unsafe_code)]

mod banner;
mod clock;
mod config;
mod data_dir;
mod descriptors;
mod doctor;
mod http;
mod image_config;
mod logging;
mod role_config;
mod serve;
mod size;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use lazaret_cli::{ClientCommand, Globals};

/// Sandboxed Linux containers in milliseconds, through the APIs that AI tools already speak
#[derive(Debug, Parser)]
#[command(name = "lazaret", version, about, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),

    /// Check what this host offers to sandboxes, and say how to fix what it lacks
    Doctor(doctor::DoctorArgs),

    #[command(flatten)]
    Client(ClientCommand),
}

fn main() -> ExitCode {
    // Before anything else: a spawner must never see a thread, a log or an argument of the server.
    lazaret_runtime::spawner::take_over_if_asked();
    let Arguments { globals, command } = Arguments::parse();
    let result = match command {
        Command::Serve(args) => serve::run(&args, &globals).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(&args, &globals),
        Command::Client(command) => client(command, &globals),
    };
    result.unwrap_or_else(|error| ExitCode::from(lazaret_cli::report(&error)))
}

fn client(command: ClientCommand, globals: &Globals) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
    let result = runtime.block_on(lazaret_cli::run(command, globals, Arguments::command));
    // A reader of our output that does not read must not keep the program.
    runtime.shutdown_background();
    result
}
