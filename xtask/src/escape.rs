//! `cargo xtask escape`: every attempt to get out, made in ours, in the control without walls, in docker and in runsc.
//!
//! The tests make the same attempts in the first two and fail on a success; this compares with the others and prints the
//! table of docs/threat-model.md, or puts it there. A runtime that is not installed, or cannot run here, is left out with a
//! notice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lazaret_tests::escape::place::{Daemon, Docker, Ours, Place, Runtime, Weak};
use lazaret_tests::escape::{Attempt, Bait, Family, Outcome, Row, attempts, markdown};
use lazaret_tests::{Native, Server, binary};

use crate::needs::{self, Need};
use crate::{step, workspace};

/// Longest that the build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(25 * 60);

/// The document with the table, and the lines that it stands between.
const DOCUMENT: &str = "docs/threat-model.md";
const BEGIN: &str = "<!-- cargo xtask escape --write: begin -->";
const END: &str = "<!-- cargo xtask escape --write: end -->";

const COLUMNS: [&str; 4] = ["ours", "no walls", "docker", "runsc"];

const NEEDS: &[Need] = &[
    Need { package: "docker.io", probe: ("dockerd", &["--version"]), why: "to compare with" },
    Need { package: "runsc", probe: ("runsc", &["--version"]), why: "to compare with" },
    Need { package: "iproute2", probe: ("ip", &["-V"]), why: "bait on the network" },
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Put the table into docs/threat-model.md
    #[arg(long)]
    write: bool,
    /// Make the attempts whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Makes every attempt everywhere.
///
/// # Errors
/// If one succeeds in ours, if the control does not catch one, or if an attempt cannot be made in these two.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Err(error) = needs::install(NEEDS) {
        eprintln!("NOTICE: {error:#}; what is missing is left out");
    }
    // What `cargo xtask test` builds, because another selection would compile dependencies once more.
    let build = ["build", "--locked", "--workspace", "--all-targets"];
    step::run(workspace::cargo().args(build), BUILD_LIMIT)?;
    let server = Server::start_with(&binary(), &[])?;
    let native = server.native();
    let bait = Bait::lay()?;
    let daemon = Daemon::start().inspect_err(|error| eprintln!("NOTICE: docker is left out: {error:#}")).ok();
    let daemon = daemon.as_ref();

    let wanted = |attempt: &&Attempt| options.filter.as_ref().is_none_or(|text| attempt.name.contains(text));
    let mut rows = Vec::new();
    for attempt in Family::ALL.into_iter().flat_map(attempts).filter(wanted) {
        eprintln!("trying: {}", attempt.name);
        let mut outcomes = vec![
            Some(attempt.make(&ours(&native)?, &bait).map_err(|error| format!("{error:#}"))),
            Some(attempt.make(&Weak::create()?, &bait).map_err(|error| format!("{error:#}"))),
        ];
        for runtime in [Runtime::Runc, Runtime::Runsc] {
            outcomes.push(daemon.map(|daemon| elsewhere(attempt, daemon, runtime, &bait)));
        }
        for (column, outcome) in COLUMNS.iter().zip(&outcomes) {
            match outcome {
                Some(Ok(outcome)) => eprintln!("  {column}: {outcome}"),
                Some(Err(error)) => eprintln!("  {column}: cannot be tried: {error}"),
                None => {}
            }
        }
        rows.push(Row { attempt, outcomes });
    }
    let table = format!("{}\n\n{}", headline(daemon.is_some())?, markdown(&COLUMNS, &rows));
    println!("{table}");
    judge(&rows)?;
    if options.write {
        ensure!(options.filter.is_none(), "--write wants all attempts, so --filter cannot go with it");
        write(&table)?;
    }
    Ok(())
}

fn ours(native: &Native) -> Result<Ours> {
    Ours::create(native)
}

fn elsewhere(
    attempt: &'static Attempt,
    daemon: &Daemon,
    runtime: Runtime,
    bait: &Bait,
) -> Result<Outcome, String> {
    let place = Docker::run(daemon, runtime).map_err(|error| format!("{error:#}"))?;
    attempt.make(&place as &dyn Place, bait).map_err(|error| format!("{error:#}"))
}

/// When and where the table was made.
fn headline(with_docker: bool) -> Result<String> {
    let kernel = step::output("uname", &["-sr"])?;
    let today = step::output("date", &["--utc", "+%Y-%m-%d"])?;
    let groups = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "v2" } else { "v1" };
    let mut others = Vec::new();
    if with_docker {
        others.push(step::output("docker", &["--version"])?);
        others.extend(step::output("runc", &["--version"]).ok());
        others.extend(step::output("runsc", &["--version"]).ok());
    }
    let others: Vec<&str> = others.iter().filter_map(|text| text.lines().next()).collect();
    let place = format!("{}, {}, cgroup {groups}", today.trim(), kernel.trim());
    Ok(if others.is_empty() { place } else { format!("{place}; {}.", others.join("; ")) })
}

fn judge(rows: &[Row]) -> Result<()> {
    let mut wrong = Vec::new();
    for row in rows {
        match row.outcomes.first() {
            Some(Some(Ok(Outcome::Refused(_) | Outcome::Absent(_)))) => {}
            _ => wrong.push(format!("{}: not refused in ours", row.attempt.name)),
        }
        match row.outcomes.get(1) {
            Some(Some(Ok(Outcome::Reached(_) | Outcome::Absent(_)))) => {}
            _ => wrong.push(format!("{}: not caught by the control", row.attempt.name)),
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

fn write(table: &str) -> Result<()> {
    let path = workspace::root().join(DOCUMENT);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{DOCUMENT} lacks {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{DOCUMENT} lacks {END}"))?;
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    println!("wrote {DOCUMENT}");
    Ok(())
}
