//! One file per command, or per few that belong together. Each holds its options, its help and what it does.

mod account;
mod build;
mod completions;
mod cp;
mod create;
mod events;
mod exec;
mod fork;
mod image;
mod inspect;
mod key;
mod lifecycle;
mod logs;
mod mcp;
mod ps;
mod pull;
mod rm;
mod role;
mod run;
mod stats;
mod template;
mod volume;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;

use crate::client::Client;
use crate::failure::{FAILED, Failure, exec_code, report, say};
use crate::globals::Globals;
use crate::signals::{self, Outcome, until_signal};

/// What the program does as a client of a server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the commands in it")]
    Attached(AttachedCommand),
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the commands in it")]
    Sandbox(SandboxCommand),
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the commands in it")]
    Operator(OperatorCommand),
    #[expect(missing_docs, reason = "its help is that of the options it holds")]
    Completions(completions::Completions),
}

/// Commands that end as a process in a sandbox does: they handle signals and report failures with codes of their own.
#[derive(Debug, Subcommand)]
pub enum AttachedCommand {
    Run(run::Run),
    Exec(exec::Exec),
}

/// Sandboxes and what is in them.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    Create(create::Create),
    Ps(ps::Ps),
    Inspect(inspect::Inspect),
    Logs(logs::Logs),
    Cp(cp::Cp),
    Stats(stats::Stats),
    Start(lifecycle::Start),
    Stop(lifecycle::Stop),
    Fork(fork::Fork),
    Pause(lifecycle::Pause),
    Resume(lifecycle::Resume),
    Archive(lifecycle::Archive),
    Rm(rm::Rm),
    Events(events::Events),
    #[command(subcommand)]
    Template(template::Template),
    #[command(subcommand)]
    Volume(volume::Volume),
    Mcp(mcp::Mcp),
}

/// Images, roles and accounts.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    #[command(subcommand)]
    Image(image::Image),
    #[command(subcommand)]
    Role(role::Role),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Key(key::Key),
}

/// Does what `command` says, as the whole work of a program: failures are reported, and the code is what it ends with.
///
/// `tree` is the program's command line, for completions.
pub fn run_blocking(command: ClientCommand, globals: &Globals, tree: fn() -> clap::Command) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Failure::new("cannot set up the async runtime").source(error);
            return ExitCode::from(report(&error.into()));
        }
    };
    let code =
        runtime.block_on(run(command, globals, tree)).unwrap_or_else(|error| ExitCode::from(report(&error)));
    // A write that still waits for a reader of our output must not keep an interrupted program alive.
    runtime.shutdown_background();
    code
}

/// Does what `command` says; `tree` is the whole program's command line, for completions.
///
/// The code is what the program should end with. `run` and `exec` report their own failures, whose codes are theirs.
///
/// # Errors
/// What [`crate::report`] prints.
pub async fn run(command: ClientCommand, globals: &Globals, tree: fn() -> clap::Command) -> Result<ExitCode> {
    let client = || globals.endpoint().and_then(Client::new);
    let json = globals.json;
    let code = match command {
        ClientCommand::Completions(completions) => completions.run(tree()).map(|()| 0)?,
        ClientCommand::Attached(command) => attached(command, client(), json).await.unwrap_or_else(|error| {
            report(&error);
            exec_code(&error)
        }),
        ClientCommand::Sandbox(command) => interruptible(sandbox(command, &client()?, json)).await?,
        ClientCommand::Operator(command) => interruptible(operator(command, &client()?, json)).await?,
    };
    Ok(ExitCode::from(code))
}

/// Does `work` until a signal comes. Dropping it undoes what is half done, such as a file that is being written.
async fn interruptible(work: impl Future<Output = Result<u8>>) -> Result<u8> {
    let mut signals = signals::collect()?;
    match until_signal(&mut signals, work).await {
        Outcome::Done(code) => code,
        Outcome::Interrupted(number) => Ok(signals::exit_code(number)),
    }
}

async fn attached(command: AttachedCommand, client: Result<Client>, json: bool) -> Result<u8> {
    match command {
        AttachedCommand::Run(run) => run.run(&client?, json).await,
        AttachedCommand::Exec(exec) => exec.run(&client?, json).await,
    }
}

async fn sandbox(command: SandboxCommand, client: &Client, json: bool) -> Result<u8> {
    match command {
        SandboxCommand::Create(create) => create.run(client, json).await?,
        SandboxCommand::Ps(ps) => ps.run(client, json).await?,
        SandboxCommand::Inspect(inspect) => return inspect.run(client).await,
        SandboxCommand::Logs(logs) => logs.run(client, json).await?,
        SandboxCommand::Fork(fork) => fork.run(client, json).await?,
        SandboxCommand::Cp(cp) => cp.run(client).await?,
        SandboxCommand::Stats(stats) => stats.run(client, json).await?,
        SandboxCommand::Start(start) => return start.run(client, json).await,
        SandboxCommand::Stop(stop) => return stop.run(client, json).await,
        SandboxCommand::Pause(pause) => return pause.run(client, json).await,
        SandboxCommand::Resume(resume) => return resume.run(client, json).await,
        SandboxCommand::Archive(archive) => return archive.run(client, json).await,
        SandboxCommand::Rm(rm) => return rm.run(client).await,
        SandboxCommand::Events(events) => events.run(client, json).await?,
        SandboxCommand::Template(template) => return template.run(client, json).await,
        SandboxCommand::Volume(volume) => return volume.run(client, json).await,
        SandboxCommand::Mcp(mcp) => mcp.run(client).await?,
    }
    Ok(0)
}

async fn operator(command: OperatorCommand, client: &Client, json: bool) -> Result<u8> {
    match command {
        OperatorCommand::Image(image) => image.run(client, json).await,
        OperatorCommand::Role(role) => role.run(client, json).await,
        OperatorCommand::Account(account) => account.run(client, json).await,
        OperatorCommand::Key(key) => key.run(client, json).await,
    }
}

/// Prints `document` on standard output, indented.
fn print_json(document: &impl Serialize) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(document)?)?;
    Ok(())
}

/// Prints `document` on standard output as one line, for streams of them.
fn print_json_line(document: &impl Serialize) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string(document)?)?;
    Ok(())
}

/// Does something to each of several things, reporting each failure and going on; the code tells if there was one.
async fn each(names: &[String], mut act: impl AsyncFnMut(&str) -> Result<()>) -> Result<u8> {
    let mut code = 0;
    for name in names {
        if let Err(error) = act(name).await {
            if error.is::<io::Error>() {
                return Err(error);
            }
            report(&error);
            code = FAILED;
        }
    }
    Ok(code)
}

/// Says on standard error that a listing is empty, so that a bare table head is not taken for a failure.
fn say_if_empty<T>(rows: &[T], advice: &str) {
    if rows.is_empty() {
        say(advice);
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        globals: Globals,
        #[command(subcommand)]
        command: ClientCommand,
    }

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Line::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_the_program_is_the_programs_own() {
        for before in
            [&["x", "exec", "-i", "box"][..], &["x", "exec", "-i", "box", "--"], &["x", "run", "--rm"]]
        {
            let line = Line::try_parse_from([before, &["ls", "-la", "--json", "--", "-i"]].concat()).unwrap();
            assert!(!line.globals.json);
            let shown = format!("{:?}", line.command);
            assert!(shown.contains(r#"command: ["ls", "-la", "--json", "--", "-i"]"#), "{shown}");
        }
    }

    #[test]
    fn every_command_explains_itself_in_lines_that_begin_with_a_capital_and_do_not_end_with_a_stop() {
        fn check(command: &clap::Command) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(
                about.starts_with(char::is_uppercase) && !about.ends_with('.'),
                "{}: {about}",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        Line::command().get_subcommands().for_each(check);
    }
}
