//! The one connection that writes: transactions, how durable each is, and when the log is folded into the database.
//!
//! ```text
//!   Durability::Kill    BEGIN IMMEDIATE … COMMIT    synchronous=NORMAL   write() only
//!   Durability::Power   BEGIN IMMEDIATE … COMMIT    synchronous=FULL     write(), fdatasync() of the log
//! ```
//!
//! A checkpoint flushes both files, so it must not happen inside somebody's commit: every [`CHECKPOINT_PAGES`] the
//! checkpoint thread is nudged, which copies the log while this connection goes on writing. A log that is copied whole
//! starts from the beginning with the next commit. Under writes without a pause it never is, so every
//! [`CHECKPOINT_FORCED_PAGES`] the writer waits until the checkpoint thread has caught up, which bounds the log. When a
//! log starts again, SQLite flushes its new header once; that is the one flush that a `Kill` commit can meet otherwise.

use std::cell::Cell;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Error;
use crate::thread::OwnerThread;

/// Pages (of 4 KiB) of log after which it is folded: SQLite's own default, some 250 creations.
const CHECKPOINT_PAGES: i32 = 1000;
/// Pages of log after which the writer waits: 64 MiB, which a start after a crash reads in well under a second.
const CHECKPOINT_FORCED_PAGES: i32 = 16_000;

/// What a commit must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A kill of the process.
    Kill,
    /// A loss of power.
    Power,
}

thread_local! {
    /// Pages in the log after the last commit on this thread. SQLite's hook takes a plain function, and the connection
    /// never leaves its thread.
    static LOG_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// State of the writer thread.
pub(crate) struct Writer {
    connection: Connection,
    /// What `PRAGMA synchronous` is set for; `None` before it was set.
    durability: Option<Durability>,
    checkpoints: Arc<OwnerThread<Connection>>,
    /// Pages in the log after the commit before.
    log_pages: i32,
}

impl Writer {
    /// Takes over a connection that has been set up.
    pub(crate) fn new(connection: Connection, checkpoints: Arc<OwnerThread<Connection>>) -> Self {
        connection.wal_hook(Some(|_, pages| {
            LOG_PAGES.set(pages);
            Ok(())
        }));
        Self { connection, durability: None, checkpoints, log_pages: 0 }
    }

    /// Runs `work` in a transaction, and commits if it succeeds.
    pub(crate) fn transact<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.set(durability)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        self.fold(LOG_PAGES.get());
        Ok(value)
    }

    fn set(&mut self, durability: Durability) -> Result<(), Error> {
        if self.durability != Some(durability) {
            let level = match durability {
                Durability::Kill => "NORMAL",
                Durability::Power => "FULL",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = Some(durability);
        }
        Ok(())
    }

    /// Has the log folded each time that its length crosses a multiple of a bound, and not at every commit beyond it: as
    /// long as somebody reads the start of the log, it cannot start again.
    fn fold(&mut self, pages: i32) {
        let before = std::mem::replace(&mut self.log_pages, pages);
        let crossed = |bound: i32| pages / bound > before / bound;
        if crossed(CHECKPOINT_FORCED_PAGES) {
            self.checkpoints.wait(|connection| checkpoint(connection, "RESTART"));
        } else if crossed(CHECKPOINT_PAGES) {
            self.checkpoints.nudge(|connection| checkpoint(connection, "PASSIVE"));
        }
    }
}

/// Copies the log into the database. A failure loses nothing: the log keeps what is not copied, and the next one tries
/// again.
fn checkpoint(connection: &mut Connection, mode: &str) {
    let folded = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, bool>("busy")?, row.get::<_, i64>("log")?, row.get::<_, i64>("checkpointed")?))
    });
    match folded {
        Ok((busy, log, checkpointed)) => {
            tracing::debug!(mode, busy, log, checkpointed, "the database log was folded");
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot fold the database log")
        }
    }
}
