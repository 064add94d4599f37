//! How much of the host each disk may still take: arithmetic, without a look at the host.
//!
//! ```text
//!   free on the host ├── reserve ──┼── promised ──┼────────── budget ──────────┤
//!                     the server's   in the disks   plenty: any disk may take it
//!                     own writes     and not yet    scarce: each disk a share of it
//!                                    on the host
//! ```
//!
//! Promised is what disks have handed out to their programs and the host has not given yet: data that still waits in
//! memory, and space that was set aside by `fallocate` inside. No later decision takes it back.

/// Budget from which on it is shared out. Until a pass has noticed that so little is left, every disk may take what the
/// last pass saw; so this is more than all of them together write between two passes.
pub(crate) const SCARCE_BYTES: u64 = 4 << 30;

/// A share that is smaller is none: the last blocks are not worth a thousandth of themselves each.
const SHARE_MIN_BYTES: u64 = 1 << 20;

/// Promises for which a sandbox is stopped if the host cannot keep them. Smaller ones are within what the reserve covers.
const OVERDRAFT_MIN_BYTES: u64 = 64 << 20;

/// One disk's figures, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Its size.
    pub(crate) size_bytes: u64,
    /// What its image takes of the host.
    pub(crate) allocated_bytes: u64,
    /// What its files take inside, those that wait in memory included.
    pub(crate) used_bytes: u64,
    /// What its files do not take, granted or not.
    pub(crate) free_bytes: u64,
    /// What waits in memory and has no place on the disk yet.
    pub(crate) delayed_bytes: u64,
}

impl Holding {
    /// What the host will have to give without being asked again.
    pub(crate) fn promised_bytes(&self) -> u64 {
        let unwritten = self.used_bytes.saturating_sub(self.allocated_bytes);
        unwritten.max(self.delayed_bytes).min(self.size_bytes.saturating_sub(self.allocated_bytes))
    }

    /// What the image takes of the host for files that are there no more.
    pub(crate) fn slack_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.used_bytes)
    }
}

/// What all disks together may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Beyond the reserve and beyond everything that is promised.
    pub(crate) left_bytes: u64,
    /// What is promised beyond what the host has.
    pub(crate) overdraft_bytes: u64,
}

impl Budget {
    /// `available_bytes` is what the host has beyond the reserve.
    pub(crate) fn of<'a>(available_bytes: u64, holdings: impl Iterator<Item = &'a Holding>) -> Self {
        let promised: u64 = holdings.map(Holding::promised_bytes).sum();
        Self {
            left_bytes: available_bytes.saturating_sub(promised),
            overdraft_bytes: promised.saturating_sub(available_bytes),
        }
    }

    /// Whether each disk gets a share of its own.
    pub(crate) fn is_scarce(self) -> bool {
        self.left_bytes < SCARCE_BYTES
    }

    /// What each of `disks` disks may take until the next look.
    pub(crate) fn grant_bytes(self, disks: usize) -> u64 {
        if self.is_scarce() { self.share_bytes(disks) } else { self.left_bytes }
    }

    /// An equal part for each of `disks` disks.
    pub(crate) fn share_bytes(self, disks: usize) -> u64 {
        let share = self.left_bytes / u64::try_from(disks.max(1)).unwrap_or(u64::MAX);
        if share < SHARE_MIN_BYTES { 0 } else { share }
    }

    /// Positions of the disks whose sandboxes cannot go on, the largest promise first: without theirs, the host can keep
    /// those of the others.
    pub(crate) fn overdrawn(self, holdings: &[Holding]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..holdings.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(holdings[*index].promised_bytes()));
        let mut overdraft = self.overdraft_bytes;
        order
            .into_iter()
            .take_while(|index| {
                let promised = holdings[*index].promised_bytes();
                let stops = overdraft > 0 && promised >= OVERDRAFT_MIN_BYTES;
                overdraft = overdraft.saturating_sub(promised);
                stops
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    /// A disk of 10 GiB with so much of it allocated, used, and waiting in memory.
    fn disk(allocated: u64, used: u64, delayed: u64) -> Holding {
        Holding {
            size_bytes: 10 * GIB,
            allocated_bytes: allocated,
            used_bytes: used,
            free_bytes: 10 * GIB - used,
            delayed_bytes: delayed,
        }
    }

    #[test]
    fn what_is_in_memory_or_set_aside_is_promised_and_what_was_deleted_is_not() {
        for (holding, promised) in [
            (disk(GIB, GIB, 0), 0),
            (disk(GIB, 3 * GIB, 0), 2 * GIB),
            // Deleted files hide new ones in the difference; those in memory are counted by themselves.
            (disk(5 * GIB, GIB, 512 * MIB), 512 * MIB),
            // No disk outgrows its own size.
            (disk(9 * GIB, 10 * GIB, 3 * GIB), GIB),
        ] {
            assert_eq!(holding.promised_bytes(), promised, "{holding:?}");
        }
    }

    #[test]
    fn with_plenty_a_disk_may_take_everything_and_when_it_is_scarce_its_share() {
        let disks = [disk(GIB, 2 * GIB, 0), disk(GIB, GIB, 0)];
        let of = |available| Budget::of(available, disks.iter());
        assert_eq!(of(21 * GIB).grant_bytes(2), 20 * GIB);
        assert_eq!(of(3 * GIB).grant_bytes(2), GIB);
        assert_eq!(of(GIB + MIB).grant_bytes(2), 0, "too little to share");
        assert_eq!(of(0).grant_bytes(2), 0);
        assert_eq!(Budget::of(GIB, [].iter()).grant_bytes(0), GIB, "nobody to share with");
    }

    #[test]
    fn shares_never_add_up_to_more_than_there_is() {
        for available in [0, MIB, 100 * MIB, 3 * GIB, 4 * GIB + 1] {
            for disks in 1..50 {
                let budget = Budget { left_bytes: available, overdraft_bytes: 0 };
                assert!(budget.share_bytes(disks) * disks as u64 <= available, "{available} for {disks}");
            }
        }
    }

    #[test]
    fn only_promises_that_the_host_cannot_keep_stop_a_sandbox_and_the_largest_goes_first() {
        let disks = [disk(GIB, 2 * GIB, 0), disk(0, 6 * GIB, 0), disk(GIB, GIB + 32 * MIB, 0)];
        let overdrawn = |available| Budget::of(available, disks.iter()).overdrawn(&disks);
        assert_eq!(overdrawn(8 * GIB), Vec::<usize>::new());
        assert_eq!(overdrawn(2 * GIB), [1]);
        assert_eq!(overdrawn(512 * MIB), [1, 0]);
        // Small promises stop nobody, whatever the host has: the reserve covers them.
        assert_eq!(overdrawn(0), [1, 0]);
    }
}
