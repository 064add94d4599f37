//! The medians as a bar chart in SVG, one group of bars a task.
//!
//! The scale is logarithmic, because a microsecond's work and a tenth of a second's stand side by side; the figure at
//! the end of each bar is the one to quote.

use std::fmt::Write;

use super::ours::Ours;
use super::peers::{Row, Task};
use super::report::{label, own};
use super::samples::{Samples, milliseconds};

/// Pixels.
const WIDTH: f64 = 760.0;
const LABEL_WIDTH: f64 = 90.0;
const FIGURE_WIDTH: f64 = 90.0;
const BAR_HEIGHT: f64 = 18.0;
const GAP: f64 = 6.0;
const TITLE_HEIGHT: f64 = 34.0;

/// The left and right ends of the scale, in milliseconds.
const SCALE_MS: (f64, f64) = (0.1, 1_000.0);

const OWN_COLOUR: &str = "#1f6f8b";
const OTHER_COLOUR: &str = "#b8c4cc";

/// Draws the medians of a run.
pub(crate) fn draw(rows: &[Row], ours: &Ours) -> String {
    let mut body = String::new();
    let mut y = GAP;
    for task in [Task::Create, Task::Exec, Task::Python] {
        y += TITLE_HEIGHT;
        text(&mut body, GAP, y - 10.0, "title", &format!("{}, median in ms (logarithmic)", label(task)));
        let others = rows.iter().filter(|row| row.task == task).map(|row| (row.who, &row.samples));
        let mut bars: Vec<(&str, &Samples)> =
            std::iter::once(("lazaret", own(ours, task))).chain(others).collect();
        bars.sort_by_key(|(_, samples)| samples.p50());
        for (who, samples) in bars {
            bar(&mut body, y, who, milliseconds(samples.p50()));
            y += BAR_HEIGHT + GAP;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\">\n\
         <style>text {{ font: 12px sans-serif; fill: #222 }} .title {{ font-weight: bold }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn bar(body: &mut String, y: f64, who: &str, milliseconds: f64) {
    let width = (WIDTH - LABEL_WIDTH - FIGURE_WIDTH) * position(milliseconds);
    let colour = if who == "lazaret" { OWN_COLOUR } else { OTHER_COLOUR };
    let baseline = y + BAR_HEIGHT - 5.0;
    text(body, GAP, baseline, "who", who);
    writeln!(
        body,
        "<rect x=\"{LABEL_WIDTH}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\"/>"
    )
    .expect("a String takes everything");
    text(body, LABEL_WIDTH + width + GAP, baseline, "figure", &format!("{milliseconds:.2}"));
}

/// `words` come from this program only, so they need no escaping.
fn text(body: &mut String, x: f64, y: f64, class: &str, words: &str) {
    writeln!(body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>")
        .expect("a String takes everything");
}

/// Where a figure lies on the scale, from 0 to 1; figures beyond its ends lie on them.
fn position(milliseconds: f64) -> f64 {
    let (low, high) = SCALE_MS;
    ((milliseconds / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_clamped() {
        for (milliseconds, want) in [(0.01, 0.0), (0.1, 0.0), (10.0, 0.5), (1_000.0, 1.0), (9_999.0, 1.0)] {
            assert!(
                (position(milliseconds) - want).abs() < 1e-9,
                "{milliseconds} lies at {}",
                position(milliseconds)
            );
        }
    }
}
