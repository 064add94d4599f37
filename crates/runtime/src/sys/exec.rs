//! The last calls before another program takes over.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::{Errno, Result};

use super::check;

/// Marks every descriptor from `first` on close-on-exec, whatever opened it.
///
/// # Errors
/// Those of close_range(2); `EINVAL` before Linux 5.11.
pub(crate) fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: the call closes nothing now, so no descriptor that Rust owns becomes invalid.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(result).map(drop)
}

/// Replaces this program by the one in `program`, with one argument (its name) and an empty environment.
///
/// Returns only if that failed, and then the errno of execveat(2).
pub(crate) fn execute(program: BorrowedFd<'_>, name: &CStr) -> Errno {
    let arguments = [name.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: the empty path with AT_EMPTY_PATH means the descriptor, which is open while it is borrowed; both arrays
    // hold pointers to C strings that outlive the call and end in a null pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(result).err().unwrap_or(Errno::NOEXEC)
}
