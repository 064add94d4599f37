//! The programs that run inside sandboxes, built into this one by `build.rs`.

/// PID 1: a static executable for the architecture of the host.
pub(crate) const GUEST: &[u8] = include_bytes!(env!("LAZARET_GUEST"));

/// Git, likewise.
pub(crate) const GIT: &[u8] = include_bytes!(env!("LAZARET_GIT"));

#[cfg(test)]
mod tests {
    use super::{GIT, GUEST};

    /// Every sandbox maps it, so it should stay near a megabyte; most of it is the C library and the unwinder.
    const GUEST_MAX: usize = 1_500_000;

    /// Held in memory once for all sandboxes. Most of it is libgit2, the C library and TLS.
    const GIT_MAX: usize = 6_000_000;

    #[test]
    fn the_programs_are_small() {
        assert!(GUEST.len() <= GUEST_MAX, "the guest has {} bytes", GUEST.len());
        assert!(GIT.len() <= GIT_MAX, "git has {} bytes", GIT.len());
    }

    #[test]
    fn the_programs_are_static_executables() {
        for program in [GUEST, GIT] {
            assert_eq!(program.get(..4), Some(b"\x7fELF".as_slice()));
            let kinds = segments(program);
            const PT_LOAD: u32 = 1;
            // It would name a loader, which an image need not have.
            const PT_INTERP: u32 = 3;
            assert!(kinds.contains(&PT_LOAD), "{kinds:?}");
            assert!(!kinds.contains(&PT_INTERP), "{kinds:?}");
        }
    }

    /// The types of the program headers.
    fn segments(program: &[u8]) -> Vec<u32> {
        let headers_at = usize::try_from(u64::from_le_bytes(program[32..40].try_into().expect("8 bytes")));
        let headers_at = headers_at.expect("an offset in memory");
        let count = usize::from(u16::from_le_bytes(program[56..58].try_into().expect("2 bytes")));
        (0..count)
            .map(|index| headers_at + index * 56)
            .map(|at| u32::from_le_bytes(program[at..at + 4].try_into().expect("4 bytes")))
            .collect()
    }
}
