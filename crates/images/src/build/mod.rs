//! What the store does for builds: a room with the context, copies into layers, results of earlier steps.
//!
//! ```text
//!   archive ──context──▶ work/<w>/rootfs     the context, as a tree of the builder's own
//!   sources ──select──▶ entries ──copy──▶ a tar ──▶ the next layer, on the tree of the base
//!                          └─digest──▶ what a step's result is cached by
//! ```
//!
//! Sources and destinations may go through symlinks, as Docker's may; `lookup` follows them and never leaves their tree.
//!
//! Not here: what a Dockerfile means (core), and running anything (runtime).

mod add;
mod context;
mod copy;
mod digest;
mod lookup;
mod owner;
mod room;
mod select;
mod steps;

pub use context::{ContextError, ContextProblem};
pub use copy::CopyError;
pub use lookup::LookupError;
pub(crate) use room::begin;
