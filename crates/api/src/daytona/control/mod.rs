//! Daytona's control API: sandboxes as a whole.
//!
//! | File | Subject |
//! | --- | --- |
//! | `routes.rs` | every path and its handler |
//! | `error.rs` | one answer for each failure |

mod error;
mod routes;
mod server;

pub(crate) use routes::routes;
