//! `lazaret-client`: the client commands alone, for machines that cannot run sandboxes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use lazaret_cli::{ClientCommand, Globals};

/// Run commands in sandboxes of a lazaret server
#[derive(Debug, Parser)]
#[command(name = "lazaret-client", version)]
struct Line {
    #[command(flatten)]
    globals: Globals,

    #[command(subcommand)]
    command: ClientCommand,
}

fn main() -> ExitCode {
    let line = Line::parse();
    lazaret_cli::run_blocking(line.command, &line.globals, Line::command)
}
