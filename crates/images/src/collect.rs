//! Images that nobody needs any more.
//!
//! Collected is what can be had again: images that were pulled, those that were made to be kept for as long as they are used,
//! and earlier states of the `host` image. Whatever else somebody imported or made stays until somebody removes it. Of the rest, those go that were not used for too long, and then, least
//! recently used first, as many as bring all images within the budget.
//!
//! An image goes in the order in which a removal by hand does: names, record, blobs, and its tree in one rename. A crash
//! leaves what the next start removes. Files that other trees share stay theirs.

use std::collections::BTreeSet;
use std::time::Duration;

use lazaret_core::{CollectionPolicy, Digest, Timestamp};
use tempfile::TempDir;

use crate::error::ImagesError;
use crate::shared::{Shared, State, lock};

/// What was collected: the images, and trees that are out of their places and still have to be removed.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) images: Vec<Digest>,
    pub(crate) trees: Vec<TempDir>,
}

/// An image as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    image: Digest,
    unused_for: Duration,
    bytes: u64,
    /// An earlier state of the `host` image, which nobody can name.
    superseded: bool,
}

impl Shared {
    /// Takes images out that nobody needs, by the policy. `needed` stay whatever it says.
    ///
    /// # Errors
    /// [`ImagesError::Disk`]; what was taken out before it stays out.
    pub(crate) fn collect(
        &self,
        needed: &BTreeSet<Digest>,
        policy: &CollectionPolicy,
    ) -> Result<Collected, ImagesError> {
        let _changing = lock(&self.changing);
        let chosen = {
            let state = lock(&self.state);
            let total = state.index.records.values().map(|record| record.bytes).sum();
            choose(state.candidates(needed, self.clock.now()), total, policy)
        };
        let mut collected = Collected::default();
        for image in chosen {
            let names = lock(&self.state).index.names_of(&image);
            for name in names {
                self.layout.remove_name(&name)?;
                lock(&self.state).index.names.remove(&name);
            }
            collected.trees.extend(self.take_out(&image)?);
            collected.images.push(image);
            tracing::info!(image.digest = %image, "an unused image is removed");
        }
        Ok(collected)
    }

    /// Forgets an image that no name points at. Its tree, if it is nobody else's, comes back in a directory that has
    /// to be removed. The caller holds `changing`.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn take_out(&self, image: &Digest) -> Result<Option<TempDir>, ImagesError> {
        self.forget_steps(image)?;
        // The record goes first: an image that is half gone must not be found.
        self.layout.remove_file(&self.layout.record(image))?;
        let (tree, blobs) = {
            let mut state = lock(&self.state);
            state.used.remove(image);
            state.index.forget(image)
        };
        for blob in blobs {
            self.layout.remove_file(&self.layout.blob(&blob))?;
        }
        tree.map(|tree| self.layout.take_out_rootfs(&tree)).transpose()
    }
}

impl State {
    fn candidates(&self, needed: &BTreeSet<Digest>, now: Timestamp) -> Vec<Candidate> {
        let candidate = |(image, record): (&Digest, &crate::store::record::Record)| {
            let superseded = record.source.is_none();
            let can_go = (record.replaceable || superseded) && !self.is_current_host(image);
            let used = self.used.get(image).copied().unwrap_or(record.created_at).max(record.created_at);
            (can_go && !needed.contains(image)).then(|| Candidate {
                image: *image,
                unused_for: now.since(used),
                bytes: record.bytes,
                superseded,
            })
        };
        self.index.records.iter().filter_map(candidate).collect()
    }
}

/// The images to take out, least recently used first.
fn choose(mut candidates: Vec<Candidate>, total_bytes: u64, policy: &CollectionPolicy) -> Vec<Digest> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.unused_for));
    let mut left = total_bytes;
    let mut chosen = Vec::new();
    for candidate in candidates {
        let too_old = candidate.superseded || candidate.unused_for > policy.unused_after;
        let too_much = policy.budget_bytes.is_some_and(|budget| left > budget);
        if too_old || (too_much && candidate.bytes > 0) {
            left = left.saturating_sub(candidate.bytes);
            chosen.push(candidate.image);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn candidate(number: u8, hours: u32, bytes: u64) -> Candidate {
        let image = Digest::from_bytes([number; 32]);
        Candidate { image, unused_for: HOUR * hours, bytes, superseded: false }
    }

    fn check(candidates: Vec<Candidate>, total: u64, budget: Option<u64>, want: &[u8]) {
        let policy = CollectionPolicy { unused_after: HOUR * 24, budget_bytes: budget };
        let chosen: Vec<u8> =
            choose(candidates, total, &policy).iter().map(|image| image.as_bytes()[0]).collect();
        assert_eq!(chosen, want);
    }

    #[test]
    fn what_is_unused_for_long_goes_and_then_what_the_budget_does_not_hold() {
        let three = || vec![candidate(1, 3, 10), candidate(2, 30, 10), candidate(3, 7, 10)];
        check(three(), 30, None, &[2]);
        check(three(), 30, Some(100), &[2]);
        // The old one makes room enough; with less room the next oldest goes, and then the last.
        check(three(), 30, Some(20), &[2]);
        check(three(), 30, Some(19), &[2, 3]);
        check(three(), 30, Some(0), &[2, 3, 1]);
        // What is needed counts and stays.
        check(vec![candidate(1, 3, 10)], 1000, Some(5), &[1]);
        check(Vec::new(), 1000, Some(5), &[]);
    }

    #[test]
    fn an_earlier_state_of_the_host_image_goes_at_once() {
        let superseded = Candidate { superseded: true, ..candidate(4, 0, 1) };
        check(vec![superseded, candidate(1, 3, 10)], 11, None, &[4]);
    }
}
