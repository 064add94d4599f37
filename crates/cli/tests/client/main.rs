//! The program against a server that speaks the native API and holds no sandboxes.
//!
//! What it answers is scripted, so that it can be what a real one must not be: slow, hostile or broken.

#![expect(clippy::tests_outside_test_module, reason = "this whole crate is a test")]

mod copying;
mod fake;
mod program;
mod refusals;
mod running;
mod terminal;
