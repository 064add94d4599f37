//! The guest as a real PID 1 in a PID namespace of its own, spoken to over its socket.
//!
//! Needs root and `unshare`; without them the tests say so and pass nothing on.

mod background;
mod dial;
mod exec;
mod exec_ends;
mod file_changes;
mod file_reads;
mod file_searches;
mod file_writes;
mod hostile;
mod program;
mod support;
mod terminal;
