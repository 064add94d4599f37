//! All `unsafe` of the guest: system calls that no safe wrapper offers, one safe function per call.
//!
//! Everything else goes through rustix, whose wrappers are safe and make the raw call, so that a credential changes
//! for one thread and not, as in libc, for all.

pub(crate) mod child;
pub(crate) mod inherited;
pub(crate) mod memory;
pub(crate) mod reap;
pub(crate) mod signals;

use rustix::process::Pid;

/// The process of that number; `None` for anything that names no single process.
///
/// [`Pid::from_raw`] takes negative numbers as well, among them the −1 of a failed call; a signal to "−1" would then
/// reach PID 1.
pub(crate) fn pid(number: impl TryInto<i32>) -> Option<Pid> {
    number.try_into().ok().filter(|number| *number > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::pid;

    #[test]
    fn only_positive_numbers_name_a_process() {
        for number in [0, -1, i64::MIN, i64::from(i32::MAX) + 1] {
            assert_eq!(pid(number), None);
        }
        assert_eq!(pid(7_i64).map(|pid| pid.as_raw_nonzero().get()), Some(7));
    }
}
