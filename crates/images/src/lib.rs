//! The Images port: content store, digest checks, layer unpacking, the host image.
