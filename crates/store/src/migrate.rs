//! Brings a database to the schema of this build, and refuses one that is ahead of it.
//!
//! `user_version` in the file's header counts the migrations that were applied; each is one transaction together with
//! its count. A migration that has been released is never edited: a later one changes what it made.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;

/// Every migration, oldest first.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_records.sql"),
    include_str!("../migrations/0002_tombstones.sql"),
    include_str!("../migrations/0003_events.sql"),
    include_str!("../migrations/0004_previews.sql"),
    include_str!("../migrations/0005_archive_and_public.sql"),
    include_str!("../migrations/0006_templates.sql"),
    include_str!("../migrations/0007_domain_secrets.sql"),
    include_str!("../migrations/0008_roles.sql"),
    include_str!("../migrations/0009_volumes.sql"),
];

/// Marks the file as ours, in the header field that SQLite keeps for this: "LZRT".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"LZRT");

/// Applies what is missing.
///
/// # Errors
/// [`Error::Foreign`], [`Error::Newer`], or [`Error::Migration`], which leaves the database at the last good version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    apply(connection, path, MIGRATIONS)
}

fn apply(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), Error> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(Error::Foreign { path: path.to_owned(), found: application });
    }
    loop {
        // Asked again under the write lock, because another process may be migrating as well.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied: usize = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let version = applied + 1;
        let sql = match migrations.get(applied) {
            Some(sql) => sql,
            None if applied == migrations.len() => return Ok(()),
            None => {
                return Err(Error::Newer { path: path.to_owned(), found: applied, known: migrations.len() });
            }
        };
        let header = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};");
        transaction
            .execute_batch(sql)
            .and_then(|()| transaction.execute_batch(&header))
            .and_then(|()| transaction.commit())
            .map_err(|source| Error::Migration { version, source })?;
        tracing::info!(version, "the database was migrated");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(connection: &mut Connection, migrations: &[&str]) -> Result<(), String> {
        apply(connection, Path::new("test.db"), migrations).map_err(|error| error.to_string())
    }

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_the_missing_migrations_are_applied() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(check(&mut connection, &["CREATE TABLE a (x)"]), Ok(()));
        // The first would fail if it were applied again.
        assert_eq!(check(&mut connection, &["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"]), Ok(()));
        assert_eq!(version(&connection), 2);
    }

    #[test]
    fn a_failing_migration_leaves_the_version_before_it_and_nothing_of_itself() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"];
        assert_eq!(check(&mut connection, &broken), Err("migration 2 of the database failed".to_owned()));
        assert_eq!(version(&connection), 1);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn a_database_from_a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(check(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]), Ok(()));
        let want = "test.db was written by a newer lazaret: its schema is version 2, this one knows up to 1";
        assert_eq!(check(&mut connection, &["CREATE TABLE a (x)"]), Err(want.to_owned()));
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let want = "test.db is not a lazaret database (its application id is 0x0)";
        assert_eq!(check(&mut connection, &["CREATE TABLE a (x)"]), Err(want.to_owned()));
    }
}
