//! Reading and writing columns. Whatever a row holds, reading it answers a value or names the row and column at fault.

use std::error::Error as StdError;

use lazaret_core::{Digest, Timestamp};
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A row of a table, whose errors name it.
pub(crate) struct Record<'a, 'stmt> {
    /// The table.
    pub(crate) table: &'static str,
    /// The column that identifies the row.
    pub(crate) key: &'static str,
    /// The row.
    pub(crate) row: &'a Row<'stmt>,
}

impl Record<'_, '_> {
    /// A column of a type that SQLite stores as it is.
    pub(crate) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, Error> {
        self.row.get(column).map_err(|error| self.corrupt(column, error))
    }

    /// An id of 16 bytes; pass the constructor.
    pub(crate) fn id<T>(
        &self,
        column: &'static str,
        from_bytes: impl FnOnce([u8; 16]) -> T,
    ) -> Result<T, Error> {
        self.get(column).map(from_bytes)
    }

    /// A SHA-256 digest.
    pub(crate) fn digest(&self, column: &'static str) -> Result<Digest, Error> {
        self.get(column).map(Digest::from_bytes)
    }

    /// A size, count or place.
    pub(crate) fn unsigned(&self, column: &'static str) -> Result<u64, Error> {
        let value: i64 = self.get(column)?;
        u64::try_from(value).map_err(|error| self.corrupt(column, error))
    }

    /// A moment.
    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.get(column).map(Timestamp::from_unix_micros)
    }

    /// A moment that may be absent.
    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, Error> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_unix_micros))
    }

    /// A JSON column, converted from its row type.
    pub(crate) fn json<R, T>(&self, column: &'static str) -> Result<T, Error>
    where
        R: DeserializeOwned,
        T: TryFrom<R>,
        T::Error: StdError + Send + Sync + 'static,
    {
        let text: String = self.get(column)?;
        let row: R = serde_json::from_str(&text).map_err(|error| self.corrupt(column, error))?;
        T::try_from(row).map_err(|error| self.corrupt(column, error))
    }

    /// A JSON column that may be absent.
    pub(crate) fn optional_json<R, T>(&self, column: &'static str) -> Result<Option<T>, Error>
    where
        R: DeserializeOwned,
        T: TryFrom<R>,
        T::Error: StdError + Send + Sync + 'static,
    {
        match self.get::<Option<String>>(column)? {
            None => Ok(None),
            Some(_) => self.json::<R, T>(column).map(Some),
        }
    }

    /// The failure to read `column` of this row.
    pub(crate) fn corrupt(
        &self,
        column: &'static str,
        source: impl StdError + Send + Sync + 'static,
    ) -> Error {
        let id = match self.row.get_ref(self.key) {
            Ok(ValueRef::Blob(bytes)) => hex::encode(bytes),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_)) | Err(_) => "?".to_owned(),
        };
        Error::Corrupt { table: self.table, id, column, source: Box::new(source) }
    }
}

/// A JSON column's text.
pub(crate) fn to_json<T: Serialize>(column: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unstorable { column, source: Box::new(error) })
}

/// A size, count or place as SQLite's integer.
pub(crate) fn to_integer(column: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|error| Error::Unstorable { column, source: Box::new(error) })
}

/// A bound or cursor as SQLite's integer; beyond its range all of them mean the same.
pub(crate) fn to_bound(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A place that SQLite has just given.
pub(crate) fn to_sequence(column: &'static str, rowid: i64) -> Result<u64, Error> {
    u64::try_from(rowid).map_err(|error| Error::Unstorable { column, source: Box::new(error) })
}
