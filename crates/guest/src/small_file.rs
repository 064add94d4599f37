//! Reading a configuration file that the tenant may have replaced with anything.

use std::io::Read;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Most bytes that are read; what follows is as if it were not there. Ten thousand users fit.
const SIZE_MAX: u64 = 1024 * 1024;

/// The contents of a regular file.
///
/// # Errors
/// Those of `open` and `read`; `EINVAL` when it is anything but a regular file.
pub(crate) fn read(path: &str) -> rustix::io::Result<Vec<u8>> {
    // Without NONBLOCK a FIFO of that name would hold this thread for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut contents = Vec::new();
    std::fs::File::from(file)
        .take(SIZE_MAX)
        .read_to_end(&mut contents)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(contents)
}
