//! One run as a table for people and as JSON for machines.

use std::fs;

use anyhow::Result;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::ours::{Ours, Transfer};
use super::peers::{Row, Task};
use super::promises::{Kind, Promise, Verdict};
use super::samples::{Samples, milliseconds};

pub(crate) struct Report<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) ours: &'a Ours,
    pub(crate) promises: &'a [Promise],
}

impl Report<'_> {
    /// The figures with their ratios to us and to the floor, then the promises.
    pub(crate) fn table(&self) -> String {
        format!("{}\n\n{}", self.figures(), self.promises())
    }

    fn figures(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["task", "who", "p50 ms", "p99 ms", "rounds", "× lazaret", "× floor"]);
        let floor = self.find(Task::Create, "floor");
        for task in [Task::Create, Task::Exec, Task::Python] {
            let own = own(self.ours, task);
            let mut line = |who: &str, samples: &Samples| {
                let over = |base: &Samples| format!("{:.2}", ratio(samples, base));
                table.add_row([
                    label(task).to_owned(),
                    who.to_owned(),
                    format!("{:.2}", milliseconds(samples.p50())),
                    format!("{:.2}", milliseconds(samples.p99())),
                    samples.count().to_string(),
                    over(own),
                    floor.filter(|_| task == Task::Create).map(over).unwrap_or_default(),
                ]);
            };
            line("lazaret", own);
            for row in self.rows.iter().filter(|row| row.task == task) {
                line(row.who, &row.samples);
            }
        }
        for column in 2..7 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn promises(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(["promise", "target", "measured", "verdict"]);
        for promise in self.promises {
            table.add_row([promise.what, &promise.target, &promise.measured, word(promise.verdict)]);
        }
        table
    }

    fn find(&self, task: Task, who: &str) -> Option<&Samples> {
        self.rows.iter().find(|row| row.task == task && row.who == who).map(|row| &row.samples)
    }

    /// Everything measured, with the kernel and the processors it was measured on.
    pub(crate) fn json(&self) -> Result<String> {
        let transfer = &self.ours.transfer;
        let peers: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({ "task": label(row.task), "who": row.who, "ms": figures(&row.samples) }))
            .collect();
        let promises: Vec<Value> = self
            .promises
            .iter()
            .map(|promise| {
                json!({
                    "what": promise.what, "target": promise.target, "measured": promise.measured,
                    "firm": promise.kind == Kind::Firm, "verdict": word(promise.verdict),
                })
            })
            .collect();
        let document = json!({
            "machine": {
                "kernel": fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
                "processors": std::thread::available_parallelism()?.get(),
            },
            "lazaret": {
                "create_ms": figures(&self.ours.create),
                "create_by_turns_ms": self.ours.networked.as_ref().map(|both| json!({
                    "without_network": figures(&both.without), "with_network": figures(&both.with),
                })),
                "create_layers_by_turns_ms": {
                    "one": figures(&self.ours.layered.without), "sixty": figures(&self.ours.layered.with),
                },
                "exec_ms": figures(&self.ours.exec),
                "python_ms": figures(&self.ours.python),
                "burst_ms": figures(&self.ours.burst),
                "exec_from_python_ms": self.ours.package.as_ref().map(|both| json!({
                    "daytona_package": figures(&both.package), "bare_request": figures(&both.bare),
                })),
                "code_run_ms": figures(&self.ours.processes.code_run),
                "pty_echo_ms": figures(&self.ours.processes.echo),
                "session_log_s": self.ours.processes.log.as_secs_f64(),
                "session_log_growth_bytes": self.ours.processes.log_growth_bytes,
                "exec_among_idle_ms": figures(&self.ours.exec_among_idle),
                "idle_pss_bytes": self.ours.idle_pss_bytes,
                "transfer": {
                    "upload_mb_per_s": Transfer::megabytes_per_second(transfer.upload),
                    "download_mb_per_s": Transfer::megabytes_per_second(transfer.download),
                    "rss_before_bytes": transfer.rss_before_bytes,
                    "rss_peak_bytes": transfer.rss_peak_bytes,
                    "rss_after_bytes": transfer.rss_after_bytes,
                },
            },
            "contenders": peers,
            "promises": promises,
        });
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }
}

/// The figures of ours that stand beside the contenders' for `task`.
pub(super) fn own(ours: &Ours, task: Task) -> &Samples {
    match task {
        Task::Create => &ours.create,
        Task::Exec => &ours.exec,
        Task::Python => &ours.python,
    }
}

pub(super) fn label(task: Task) -> &'static str {
    match task {
        Task::Create => "create → first output",
        Task::Exec => "exec of true",
        Task::Python => "print(1) in Python",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::NotMeasured => "not measured",
    }
}

fn ratio(samples: &Samples, base: &Samples) -> f64 {
    samples.p50().as_secs_f64() / base.p50().as_secs_f64()
}

fn figures(samples: &Samples) -> Value {
    json!({
        "p50": milliseconds(samples.p50()), "p90": milliseconds(samples.percentile(90)),
        "p99": milliseconds(samples.p99()), "rounds": samples.count(),
    })
}
