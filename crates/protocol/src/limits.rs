//! Bounds of the wire format. Both sides check them, the receiver before it allocates.

/// Largest payload of a frame that carries file or stream bytes, in bytes.
///
/// The size of a default pipe: one `read` of a full pipe fills one frame.
pub const DATA_MAX: usize = 64 * 1024;

/// Largest payload of any control frame but a request, in bytes.
pub const CONTROL_MAX: usize = 64 * 1024;

/// Largest request, in bytes.
///
/// Arguments and environment travel in it, and scripts are often one long argument. The kernel itself
/// takes at most 128 KiB per string (`MAX_ARG_STRLEN`) and a quarter of the stack in all, usually 2 MiB.
pub const REQUEST_MAX: usize = 1024 * 1024;

/// Longest path, in bytes, without the trailing NUL (`PATH_MAX` counts it).
pub const PATH_MAX: usize = 4095;

/// Longest sentence in a [`crate::Failure`], in bytes.
pub const FAILURE_MESSAGE_MAX: usize = 1024;

/// Longest id of a background exec, in bytes.
pub const EXEC_ID_MAX: usize = 64;

/// Longest user specification (`name`, `uid`, `uid:gid`, `name:group`), in bytes.
///
/// Twice the 32 bytes that `useradd` allows, with room for the colon and to spare.
pub const USER_MAX: usize = 128;

/// Longest text or glob that a search looks for, in bytes. A page of code is less.
pub const PATTERN_MAX: usize = 4096;

/// Bytes of a line that a match repeats: a screen full, and then some. The rest is cut.
pub const MATCH_LINE_MAX: usize = 4096;

/// Longest label of a background exec, in bytes: the environment of a terminal fits.
pub const LABEL_MAX: usize = 16 * 1024;

/// Bytes of a background exec's arguments that a listing repeats.
pub const LISTED_ARGV_MAX: usize = 4096;

/// Largest kernel signal number on Linux.
pub const SIGNAL_MAX: u32 = 64;

/// Most rows or columns that a terminal may have: the kernel's own `unsigned short`, less some absurdity.
pub const TTY_SIDE_MAX: u16 = 4096;

// An entry of a listing and a failure always fit into one control frame.
const _: () = assert!(PATH_MAX + FAILURE_MESSAGE_MAX + 512 < CONTROL_MAX);
// So does a match.
const _: () = assert!(PATH_MAX + MATCH_LINE_MAX + 512 < CONTROL_MAX);
const _: () = assert!(LABEL_MAX + EXEC_ID_MAX + 2 * LISTED_ARGV_MAX + 512 < CONTROL_MAX);
const _: () = assert!(CONTROL_MAX <= REQUEST_MAX && DATA_MAX <= REQUEST_MAX);
