//! Attempts to get out of a sandbox, made in ours and in controls.
//!
//! ```text
//!   Bait ──what there is to steal──▶ Attempt ──runs in──▶ Place: ours | weak | docker | runsc
//!                                        │
//!                                        └─▶ Outcome: reached <proof> | refused <why> | absent <why>
//! ```
//!
//! The weak place has no wall worth the name, so every attempt must succeed there: one that does not is broken and
//! proves nothing elsewhere. `docker` and `runsc` are there to compare with and decide nothing.
//!
//! The programs that run inside are in `tests/escape`. Not here: attempts through the API as a stranger, which need no
//! sandbox (`tests/hostile_*.rs`), and what only wastes resources (`tests/abuse.rs`).

mod archive;
mod attempt;
mod bait;
pub mod place;
mod report;
mod steps;
mod table;

pub use attempt::{Attempt, Outcome, Proof};
pub use bait::Bait;
pub use report::{Row, table as markdown};
pub use table::{Family, attempts};
