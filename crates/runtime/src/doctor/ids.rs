//! Whether somebody else on this machine was promised the ids that sandboxes get.

use std::ops::Range;

use super::Finding;

const NAME: &str = "ids";

/// The files in which distributions promise id ranges to users (subuid(5)).
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

pub(super) fn conflicts(ids: &Range<u32>) -> Finding {
    let mut problems = Vec::new();
    for path in FILES {
        // Machines without rootless containers have no such file, and promise nothing.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        problems.extend(overlaps(&text, ids).into_iter().map(|owner| format!("{owner} in {path}")));
    }
    judge(ids, &problems)
}

fn judge(ids: &Range<u32>, problems: &[String]) -> Finding {
    let (first, last) = (ids.start, ids.end.saturating_sub(1));
    if problems.is_empty() {
        return Finding::ok(NAME, format!("ids {first} to {last} are for sandboxes and promised to no user"));
    }
    Finding::fail(
        NAME,
        format!("the ids of sandboxes, {first} to {last}, overlap those of {}", problems.join(" and ")),
        "move one of the two: a process of that user could reach into sandboxes, and the other way round",
    )
}

/// The owners of the ranges that share an id with ours. Lines read `owner:first:count`; others are passed over, as
/// the programs that use the file do.
fn overlaps(text: &str, ids: &Range<u32>) -> Vec<String> {
    let ours = u64::from(ids.start)..u64::from(ids.end);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let first: u64 = fields.next()?.parse().ok()?;
            let count: u64 = fields.next()?.parse().ok()?;
            let theirs = first..first.saturating_add(count);
            let shared = theirs.start < ours.end && ours.start < theirs.end && !theirs.is_empty();
            shared.then(|| owner.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn only_ranges_that_share_an_id_count() {
        let ours = 1000..2000;
        for (line, shared) in [
            ("user:100000:65536", false),
            ("below:0:1000", false),
            ("above:2000:1", false),
            ("first:0:1001", true),
            ("last:1999:1", true),
            ("inside:1500:10", true),
            ("around:0:4000000000", true),
            ("huge:18446744073709551615:18446744073709551615", false),
            ("empty:1500:0", false),
            ("# comment:1500:10:", true),
            ("broken:1500", false),
            ("broken:x:10", false),
            ("", false),
        ] {
            assert_eq!(overlaps(line, &ours).len(), usize::from(shared), "{line}");
        }
    }

    #[test]
    fn a_conflict_names_who_and_where() {
        let finding = judge(&(1000..2000), &["ann in /etc/subuid".to_owned()]);
        assert_eq!(finding.status, Status::Fail);
        assert!(
            finding.detail.contains("1000 to 1999") && finding.detail.contains("ann in /etc/subuid"),
            "{finding:?}"
        );
        assert_eq!(judge(&(1000..2000), &[]).status, Status::Ok);
    }
}
