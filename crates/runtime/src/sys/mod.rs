//! System calls that no crate wraps safely: the only unsafe code of this crate, one call per block.

pub(crate) mod seccomp;
