//! How the C library's allocator behaves.

/// Allocations of this size and more come from their own mapping and return to the kernel when freed, in bytes.
///
/// Just below the transfer buffers, so that an idle guest does not keep them.
const MMAP_FROM: libc::c_int = 64 * 1024;

/// Makes the allocator small: one arena for all threads, large blocks given back.
///
/// Without, every second thread gets an arena of its own, and an idle guest grows with its busiest moment.
pub(crate) fn keep_small() -> rustix::io::Result<()> {
    // SAFETY: `mallopt` takes two integers and no memory; called while the process has a single thread.
    let arenas = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    // SAFETY: as above.
    let threshold = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_FROM) };
    if arenas == 1 && threshold == 1 { Ok(()) } else { Err(rustix::io::Errno::INVAL) }
}
