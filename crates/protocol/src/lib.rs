//! Host and guest messages and framing: bytes in, bytes out, no I/O.
