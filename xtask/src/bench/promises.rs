//! The promises of docs/promises.md that are figures, judged by one run.

use std::time::Duration;

use super::ours::{Ours, Transfer};
use super::peers::{Row, Task};
use super::samples::milliseconds;

/// How a promise came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// What it compares with was not there.
    NotMeasured,
}

/// Whether a miss fails `--check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A ratio within this run, or a size: holds on every machine.
    Firm,
    /// A time or a speed, promised for the build machine when it is idle.
    Absolute,
}

pub(crate) struct Promise {
    pub(crate) what: &'static str,
    pub(crate) target: String,
    pub(crate) measured: String,
    pub(crate) kind: Kind,
    pub(crate) verdict: Verdict,
}

/// Largest growth of the server's memory that counts as flat.
const FLAT_BYTES: u64 = 64 << 20;

/// What the `daytona` package may make of a request: it has work of its own to do, and nothing of ours should add to that, such
/// as a request more or a connection that does not stay open.
const PACKAGE_RATIO: f64 = 2.0;

/// Largest idle sandbox.
const IDLE_PSS_BYTES: u64 = 2 << 20;

/// Judges every promise by the figures of one run.
pub(crate) fn judge(ours: &Ours, rows: &[Row]) -> Vec<Promise> {
    let against =
        |task, who| rows.iter().find(|row| row.task == task && row.who == who).map(|row| row.samples.p50());
    let transfer = &ours.transfer;
    let growth = transfer.rss_peak_bytes.saturating_sub(transfer.rss_before_bytes);
    vec![
        time("create to first output over HTTP, p50", ours.create.p50(), 10),
        ratio(
            "create to first output, against runc run",
            ours.create.p50(),
            against(Task::Create, "runc"),
            0.5,
        ),
        difference(
            "create to first output, what a network adds, p50",
            ours.networked.as_ref().map(|both| (both.with.p50(), both.without.p50())),
            2,
        ),
        ratio(
            "create from an image of 60 layers, against one layer, by turns",
            ours.layered.with.p50(),
            Some(ours.layered.without.p50()),
            1.2,
        ),
        time("exec of true over HTTP, p50", ours.exec.p50(), 3),
        ratio("exec of true, against docker exec", ours.exec.p50(), against(Task::Exec, "docker"), 0.05),
        time("print(1) in warm Python over HTTP, p50", ours.python.p50(), 4),
        ratio(
            "print(1) in warm Python, against docker exec",
            ours.python.p50(),
            against(Task::Python, "docker"),
            0.1,
        ),
        time("print(1) through code-run over HTTP, p50", ours.processes.code_run.p50(), 5),
        ratio(
            "print(1) through code-run, against docker exec",
            ours.processes.code_run.p50(),
            against(Task::Python, "docker"),
            0.1,
        ),
        ratio(
            "exec of true through the daytona package, against a bare request from Python",
            ours.package.as_ref().map_or(Duration::ZERO, |both| both.package.p50()),
            ours.package.as_ref().map(|both| both.bare.p50()),
            PACKAGE_RATIO,
        ),
        time("a key typed into a PTY and its echo, p50", ours.processes.echo.p50(), 2),
        size(
            "server memory while a log of 100 MB is followed, growth",
            ours.processes.log_growth_bytes,
            FLAT_BYTES,
        ),
        time("100 creates at once to first output, p99", ours.burst.p99(), 400),
        size("idle sandbox, PSS", ours.idle_pss_bytes, IDLE_PSS_BYTES),
        ratio(
            "exec p99 among 100 idle, against alone",
            ours.exec_among_idle.p99(),
            Some(ours.exec.p99()),
            2.0,
        ),
        size("server memory while 1 GiB goes up and down, growth", growth, FLAT_BYTES),
        speed("upload of 1 GiB", transfer.upload),
        speed("download of 1 GiB", transfer.download),
    ]
}

/// The firm promises that were missed, for a message.
pub(crate) fn missed(promises: &[Promise]) -> Vec<String> {
    let missed =
        promises.iter().filter(|promise| promise.kind == Kind::Firm && promise.verdict == Verdict::Missed);
    missed
        .map(|promise| format!("{}: {} (target {})", promise.what, promise.measured, promise.target))
        .collect()
}

fn verdict(met: bool) -> Verdict {
    if met { Verdict::Met } else { Verdict::Missed }
}

fn time(what: &'static str, measured: Duration, target_ms: u64) -> Promise {
    Promise {
        what,
        target: format!("≤ {target_ms} ms"),
        measured: format!("{:.2} ms", milliseconds(measured)),
        kind: Kind::Absolute,
        verdict: verdict(measured <= Duration::from_millis(target_ms)),
    }
}

fn ratio(what: &'static str, ours: Duration, theirs: Option<Duration>, target: f64) -> Promise {
    let measured = theirs.map(|theirs| ours.as_secs_f64() / theirs.as_secs_f64());
    Promise {
        what,
        target: format!("≤ {target} ×"),
        measured: measured.map_or("not measured".to_owned(), |ratio| format!("{ratio:.3} ×")),
        kind: Kind::Firm,
        verdict: measured.map_or(Verdict::NotMeasured, |ratio| verdict(ratio <= target)),
    }
}

/// How much longer the first takes than the second, both measured by turns.
fn difference(what: &'static str, both: Option<(Duration, Duration)>, target_ms: u64) -> Promise {
    let measured = both.map(|(with, without)| with.saturating_sub(without));
    Promise {
        what,
        target: format!("≤ {target_ms} ms"),
        measured: measured.map_or("not measured".to_owned(), |span| format!("{:.2} ms", milliseconds(span))),
        kind: Kind::Absolute,
        verdict: measured
            .map_or(Verdict::NotMeasured, |span| verdict(span <= Duration::from_millis(target_ms))),
    }
}

fn size(what: &'static str, bytes: u64, target: u64) -> Promise {
    Promise {
        what,
        target: format!("≤ {}", mebibytes(target)),
        measured: mebibytes(bytes),
        kind: Kind::Firm,
        verdict: verdict(bytes <= target),
    }
}

fn speed(what: &'static str, took: Duration) -> Promise {
    let speed = Transfer::megabytes_per_second(took);
    Promise {
        what,
        target: "≥ 500 MB/s".to_owned(),
        measured: format!("{speed:.0} MB/s"),
        kind: Kind::Absolute,
        verdict: verdict(speed >= 500.0),
    }
}

/// Bytes as mebibytes with two decimals, without going through a float that could round a count.
pub(crate) fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes.saturating_mul(100) >> 20;
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_without_its_contender_is_neither_met_nor_missed() {
        let ms = Duration::from_millis;
        for (theirs, want) in
            [(None, Verdict::NotMeasured), (Some(ms(20)), Verdict::Met), (Some(ms(19)), Verdict::Missed)]
        {
            assert_eq!(ratio("a", ms(10), theirs, 0.5).verdict, want);
        }
    }

    #[test]
    fn a_difference_is_met_by_what_is_faster_and_missed_by_what_is_slower_by_more() {
        let ms = Duration::from_millis;
        for (both, want) in [
            (None, Verdict::NotMeasured),
            (Some((ms(9), ms(10))), Verdict::Met),
            (Some((ms(12), ms(10))), Verdict::Met),
            (Some((ms(13), ms(10))), Verdict::Missed),
        ] {
            assert_eq!(difference("a", both, 2).verdict, want);
        }
    }

    #[test]
    fn only_firm_promises_fail_a_check() {
        let slow = time("slow", Duration::from_secs(1), 1);
        assert_eq!(slow.verdict, Verdict::Missed);
        let large = size("large", 3 << 20, 2 << 20);
        assert_eq!(missed(&[slow, large]), ["large: 3.00 MiB (target ≤ 2.00 MiB)"]);
    }
}
