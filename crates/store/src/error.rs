//! Why the store failed, with what an operator needs to find the cause; turned into the core's error at the port.

use std::io;
use std::path::{Path, PathBuf};

use lazaret_core::{BoxError, Limit};
use rusqlite::ErrorCode;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The answer is for the caller: a name that is taken, a quota that is spent.
    #[error(transparent)]
    Refused(#[from] lazaret_core::Error),

    /// A system call on a file of the data directory failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// The file is an SQLite database of another program.
    #[error("{} is not a lazaret database (its application id is {found:#x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id in its header.
        found: i32,
    },

    /// The database was written by a later release, whose tables this one does not know.
    #[error(
        "{} was written by a newer lazaret: its schema is version {found}, this one knows up to {known}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of the file's schema.
        found: usize,
        /// Latest version that this build knows.
        known: usize,
    },

    /// A migration could not be applied; the database is as it was before it.
    #[error("migration {version} of the database failed")]
    Migration {
        /// Version that the migration would have led to.
        version: usize,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// A statement failed.
    #[error("a database statement failed")]
    Sqlite(#[from] rusqlite::Error),

    /// A stored row cannot be read as what it should be.
    #[error("{table} {id}: column {column} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's id, in hexadecimal for ids of objects.
        id: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },

    /// A value of the domain has no place in its column.
    #[error("column {column} cannot hold the value")]
    Unstorable {
        /// The column.
        column: &'static str,
        /// Why not.
        source: BoxError,
    },

    /// The thread that should do it is gone; only a shutdown ends it.
    #[error("the thread that should do it has ended")]
    Stopped,

    /// The job died on its thread; what it had begun was undone, and the thread goes on.
    #[error("the job panicked on its thread")]
    Panicked,
}

/// The step of the port in which a failure happened, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
struct Failed {
    operation: &'static str,
    source: Error,
}

impl Error {
    /// An [`Error::Io`], for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// The core's error for a failure of `operation`.
    pub(crate) fn into_core(self, operation: &'static str) -> lazaret_core::Error {
        if let Self::Refused(error) = self {
            return error;
        }
        if self.is_full() {
            return lazaret_core::Error::LimitReached(Limit::HostDisk);
        }
        let busy = self.is_busy();
        let source = Box::new(Failed { operation, source: self });
        if busy {
            return lazaret_core::Error::Unavailable { retry_after: None, source };
        }
        lazaret_core::Error::Internal(source)
    }

    /// The host's disk, or the server's share of it, is full.
    fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Another process holds the database beyond the busy timeout.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)))
    }
}

/// Whether `error` says that a UNIQUE constraint on `columns` (as in `accounts.name`) is violated.
pub(crate) fn violates_unique(error: &rusqlite::Error, columns: &str) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => {
            let unique = matches!(
                code.extended_code,
                rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            );
            // SQLite names the columns and has no structured way to ask for them.
            unique && message.strip_prefix("UNIQUE constraint failed: ") == Some(columns)
        }
        _ => false,
    }
}

/// Whether `error` says that a row refers to one that is not there, or would leave others referring to nothing.
pub(crate) fn violates_foreign_key(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(code, _)
        if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}
