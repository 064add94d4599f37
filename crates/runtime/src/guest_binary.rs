//! The guest's program, built into this one by `build.rs`.

/// A static executable for the architecture of the host.
pub(crate) const GUEST: &[u8] = include_bytes!(env!("LAZARET_GUEST"));

#[cfg(test)]
mod tests {
    use super::GUEST;

    /// Every sandbox maps it, so it should stay near a megabyte; most of it is the C library and the unwinder.
    const SIZE_MAX: usize = 1_500_000;

    #[test]
    fn the_guest_is_small() {
        assert!(GUEST.len() <= SIZE_MAX, "the guest has {} bytes", GUEST.len());
    }

    #[test]
    fn the_guest_is_a_static_executable() {
        assert_eq!(GUEST.get(..4), Some(b"\x7fELF".as_slice()));
        // A program header of type PT_INTERP would name a loader, which an image need not have.
        let headers_at = usize::try_from(u64::from_le_bytes(GUEST[32..40].try_into().expect("8 bytes")));
        let headers_at = headers_at.expect("an offset in memory");
        let count = usize::from(u16::from_le_bytes(GUEST[56..58].try_into().expect("2 bytes")));
        let kinds: Vec<u32> = (0..count)
            .map(|index| headers_at + index * 56)
            .map(|at| u32::from_le_bytes(GUEST[at..at + 4].try_into().expect("4 bytes")))
            .collect();
        const PT_LOAD: u32 = 1;
        const PT_INTERP: u32 = 3;
        assert!(kinds.contains(&PT_LOAD), "{kinds:?}");
        assert!(!kinds.contains(&PT_INTERP), "{kinds:?}");
    }
}
