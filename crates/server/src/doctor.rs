//! `lazaret doctor`: what this host offers, and how to fix what it lacks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use lazaret_cli::Globals;
use lazaret_runtime::doctor::{Finding, Status, Subject, examine, worst};
use lazaret_runtime::{RANGE_IDS, RuntimeConfig};
use serde::Serialize;

use crate::config::Config;
use crate::serve::runtime_config;

/// Exit code when sandboxes cannot be made here.
const UNFIT: u8 = 1;

/// A finding as `--json` prints it.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    status: &'static str,
    detail: String,
    remedy: Option<String>,
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        let status = word(finding.status);
        Self { name: finding.name, status, detail: finding.detail, remedy: finding.remedy }
    }
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Fail => "fail",
    }
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Configuration file that the server is to run with
    #[arg(long, env = "LAZARET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

fn look(data_dir: PathBuf, runtime: &RuntimeConfig) -> Vec<Finding> {
    let space = runtime.id_space;
    let ids = space.first..space.first.saturating_add(space.ranges.saturating_mul(RANGE_IDS));
    examine(&Subject { data_dir, ids, cpu_limits: runtime.cpu_limits })
}

/// Succeeds if sandboxes can be made here; what merely limits them is logged.
///
/// # Errors
/// Naming everything that is missing, each with its remedy.
pub(crate) fn refuse_unfit_host(data_dir: &Path, runtime: &RuntimeConfig) -> anyhow::Result<()> {
    let mut missing = String::new();
    for Finding { name, status, detail, remedy } in look(data_dir.to_owned(), runtime) {
        let remedy = remedy.unwrap_or_default();
        match status {
            Status::Ok => {}
            Status::Warn => tracing::warn!(probe = name, %remedy, "{detail}"),
            Status::Fail => missing.push_str(&format!("\n  {name}: {detail}\n    fix: {remedy}")),
        }
    }
    if missing.is_empty() { Ok(()) } else { bail!("this host cannot run sandboxes:{missing}") }
}

/// Prints every finding; the exit code tells whether sandboxes can be made.
pub(crate) fn run(args: &DoctorArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let data_dir = config.data_dir_or(globals)?;
    let findings = look(data_dir, &runtime_config(&config)?);
    let verdict = worst(&findings);
    let rows: Vec<Row> = findings.into_iter().map(Row::from).collect();
    let text = if globals.json {
        let mut text = serde_json::to_string_pretty(&rows).context("writing JSON")?;
        text.push('\n');
        text
    } else {
        table(&rows)
    };
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(match verdict {
        Status::Ok | Status::Warn => ExitCode::SUCCESS,
        Status::Fail => ExitCode::from(UNFIT),
    })
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Row { name, status, detail, remedy } in rows {
        text.push_str(&format!("{status:<4}  {name:<width$}  {detail}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("      {:<width$}  fix: {remedy}\n", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_under_its_finding() {
        let row = |name, remedy: Option<&str>| Row {
            name,
            status: "warn",
            detail: "found".to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let text = table(&[row("long name", None), row("x", Some("do this"))]);
        assert_eq!(text, "warn  long name  found\nwarn  x          found\n                 fix: do this\n");
    }
}
