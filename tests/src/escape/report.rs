//! The table for the threat model: attempt by attempt, what became of it in each place.

use super::attempt::{Attempt, Outcome};

/// One attempt and its outcomes, column by column; `None` where the place is not here.
pub struct Row {
    /// What was tried.
    pub attempt: &'static Attempt,
    /// One outcome per column, in their order.
    pub outcomes: Vec<Option<Result<Outcome, String>>>,
}

/// The rows as Markdown, with `columns` after the attempt and its numbers.
pub fn table(columns: &[&str], rows: &[Row]) -> String {
    let mut text = format!("| attempt | CVE | {} |\n", columns.join(" | "));
    text.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(columns.len())));
    for row in rows {
        let outcomes: Vec<&str> = row.outcomes.iter().map(|outcome| word(outcome.as_ref())).collect();
        text.push_str(&format!(
            "| {} | {} | {} |\n",
            row.attempt.name,
            row.attempt.cves,
            outcomes.join(" | ")
        ));
    }
    text
}

fn word(outcome: Option<&Result<Outcome, String>>) -> &'static str {
    match outcome {
        None => "not here",
        Some(Ok(Outcome::Reached(_))) => "**reached**",
        Some(Ok(Outcome::Refused(_))) => "refused",
        Some(Ok(Outcome::Absent(_))) => "not on this kernel",
        Some(Err(_)) => "cannot be tried",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Family, attempts};
    use super::*;

    #[test]
    fn a_success_stands_out_and_a_place_that_is_not_here_does_not_count_as_a_refusal() {
        let outcomes = vec![Some(Ok(Outcome::Reached("it".to_owned()))), None];
        let rows = [Row { attempt: &attempts(Family::Kernel)[0], outcomes }];
        let text = table(&["ours", "docker"], &rows);
        assert!(text.ends_with("| 2025-52881 | **reached** | not here |\n"), "{text}");
    }
}
