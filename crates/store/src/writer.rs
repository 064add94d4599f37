//! The one connection that writes: transactions, how durable each is, and when the log is folded into the database.
//!
//! ```text
//!   Durability::Kill    BEGIN IMMEDIATE … COMMIT    synchronous=NORMAL   write() only
//!   Durability::Power   BEGIN IMMEDIATE … COMMIT    synchronous=FULL     write(), fdatasync() of the log
//! ```
//!
//! A checkpoint flushes both files, so it must not happen inside somebody's commit: every [`CHECKPOINT_PAGES`] the
//! checkpoint thread is nudged, which copies the log while this connection goes on writing. Only if that thread cannot
//! keep up does the writer do it itself, which bounds the log. When a folded log starts from the beginning, SQLite
//! flushes its new header once; that is the one flush that a `Kill` commit can meet.

use std::cell::Cell;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Error;
use crate::thread::OwnerThread;

/// Pages (of 4 KiB) of log after which it is folded: SQLite's own default, some 250 creations.
const CHECKPOINT_PAGES: i32 = 1000;
/// Pages of log after which the writer folds it itself: 64 MiB, which is still read back in well under a second.
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
    /// Length of the log, in [`CHECKPOINT_PAGES`], at the last nudge.
    nudged_at: i32,
}

impl Writer {
    /// Takes over a connection that has been set up.
    pub(crate) fn new(connection: Connection, checkpoints: Arc<OwnerThread<Connection>>) -> Self {
        connection.wal_hook(Some(|_, pages| {
            LOG_PAGES.set(pages);
            Ok(())
        }));
        Self { connection, durability: None, checkpoints, nudged_at: 0 }
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

    fn fold(&mut self, pages: i32) {
        if pages >= CHECKPOINT_FORCED_PAGES {
            checkpoint(&mut self.connection, "RESTART");
        }
        let length = pages / CHECKPOINT_PAGES;
        if length > self.nudged_at {
            self.checkpoints.nudge(|connection| checkpoint(connection, "PASSIVE"));
        }
        self.nudged_at = length;
    }
}

/// Copies the log into the database. A failure loses nothing: the log keeps what is not copied, and the next one tries
/// again.
fn checkpoint(connection: &mut Connection, mode: &str) {
    let folded = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, i64>("log")?, row.get::<_, i64>("checkpointed")?))
    });
    match folded {
        Ok((log, checkpointed)) => tracing::debug!(log, checkpointed, "the database log was folded"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot fold the database log")
        }
    }
}
