//! `lazaret doctor`: what this host offers, and how to fix what it lacks.

use std::process::ExitCode;

use anyhow::Context;
use lazaret_cli::Globals;
use lazaret_runtime::doctor::{Finding, Status, Subject, examine, worst};
use lazaret_runtime::{IdSpace, RANGE_IDS};
use serde::Serialize;

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

/// Prints every finding; the exit code tells whether sandboxes can be made.
pub(crate) fn run(globals: &Globals) -> anyhow::Result<ExitCode> {
    let space = IdSpace::default();
    let ids = space.first..space.first.saturating_add(space.ranges.saturating_mul(RANGE_IDS));
    let findings = examine(&Subject { data_dir: globals.data_dir()?, ids });
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
