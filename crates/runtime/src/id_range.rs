//! The ids of the host that a sandbox's ids stand for.
//!
//! Every running sandbox has 65,536 of its own, so that its root is nobody on the host and nobody in the sandbox next
//! door. The disk is shown through an idmapped mount, so the numbers on it are the sandbox's own; a stopped sandbox
//! holds no range, and may get another one at its next start.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Ids in a range: what a Linux user expects to exist, `nobody` at 65,534 included.
pub const RANGE_IDS: u32 = 65_536;

/// A range, by its first id on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdRange {
    first: u32,
}

impl IdRange {
    /// The first id on the host, which is root inside.
    pub fn first(self) -> u32 {
        self.first
    }

    /// The line for `uid_map` and `gid_map`.
    pub(crate) fn map_line(self) -> String {
        format!("0 {} {RANGE_IDS}", self.first)
    }
}

/// The part of the host's ids that sandboxes get theirs from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdSpace {
    /// First id of the first range.
    pub first: u32,
    /// Number of ranges.
    pub ranges: u32,
}

/// What nobody else hands out: above the ids of systemd's containers, which end at 1,879,048,191, and far above those of
/// `/etc/subuid`, which end at 600,100,000 (SUB_UID_MAX of login.defs); below systemd's foreign range, which begins at
/// 2,147,352,576, and below 2^31, where programs that keep ids in signed numbers break.
impl Default for IdSpace {
    fn default() -> Self {
        Self { first: 1_879_048_192, ranges: 4_094 }
    }
}

/// Which ranges are in use.
#[derive(Debug)]
pub(crate) struct IdRanges {
    space: IdSpace,
    used: BTreeSet<IdRange>,
    /// Where to look first: after the range given last, so that a range rests before it is used again.
    next: u32,
}

impl IdRanges {
    pub(crate) fn new(space: IdSpace) -> Self {
        Self { space, used: BTreeSet::new(), next: 0 }
    }

    /// A range that nobody uses.
    ///
    /// # Errors
    /// [`Error::NoIdRange`] if there is none.
    pub(crate) fn take(&mut self) -> Result<IdRange, Error> {
        for step in 0..self.space.ranges {
            let index = (self.next + step) % self.space.ranges;
            let range = IdRange { first: self.space.first + index * RANGE_IDS };
            if self.used.insert(range) {
                self.next = (index + 1) % self.space.ranges;
                return Ok(range);
            }
        }
        Err(Error::NoIdRange)
    }

    /// Marks a range that a sandbox of an earlier server uses.
    pub(crate) fn mark(&mut self, range: IdRange) {
        self.used.insert(range);
    }

    /// Gives a range back.
    pub(crate) fn free(&mut self, range: IdRange) {
        self.used.remove(&range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap_and_run_out_with_a_word() {
        let mut ranges = IdRanges::new(IdSpace { first: 1_000_000, ranges: 3 });
        let taken: Vec<u32> = (0..3).map(|_| ranges.take().unwrap().first()).collect();
        assert_eq!(taken, [1_000_000, 1_065_536, 1_131_072]);
        assert!(matches!(ranges.take(), Err(Error::NoIdRange)));
        ranges.free(IdRange { first: 1_065_536 });
        assert_eq!(ranges.take().unwrap().first(), 1_065_536);
    }

    #[test]
    fn a_range_that_was_given_back_rests_before_it_is_given_again() {
        let mut ranges = IdRanges::new(IdSpace { first: 0, ranges: 3 });
        let first = ranges.take().unwrap();
        ranges.free(first);
        assert_ne!(ranges.take().unwrap(), first);
    }

    #[test]
    fn the_default_space_stays_clear_of_subuid_systemd_and_signed_ids() {
        let space = IdSpace::default();
        let end = u64::from(space.first) + u64::from(space.ranges) * u64::from(RANGE_IDS);
        assert!(space.first > 1_879_048_191);
        assert!(end <= 2_147_352_576);
        assert_eq!(space.first % RANGE_IDS, 0);
    }
}
