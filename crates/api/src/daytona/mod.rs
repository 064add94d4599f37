//! Daytona's two APIs: `control`, about sandboxes, and `toolbox`, inside one.
//!
//! ```text
//!   /api/sandbox...                 control     made, listed, started, stopped; answers {statusCode, error, message, ...}
//!   /toolbox/{sandbox id}/...       toolbox     processes, files, git inside; answers {statusCode, code, source, ...}
//! ```
//!
//! Both are here because a client speaks both with one key, and each has its own shape of an error. `/api` is shared with
//! dialects to come, so control owns its own first segments beneath it and nothing else.
//!
//! What is deliberately lenient, since the clients are newer than any server: unknown fields of bodies and unknown keys
//! of query strings are ignored.

pub(crate) mod control;
mod status;
mod time;
pub(crate) mod toolbox;
