//! Entries of a listing, sent in frames that are neither tiny nor too long.

use lazaret_protocol::guest_message::ListEnd;
use lazaret_protocol::limits::CONTROL_MAX;
use lazaret_protocol::{Entry, GuestMessage};

use crate::connection::{Connection, Lost};

/// Bytes that an entry needs besides its names: nine fields of at most nine bytes, with their numbers and lengths.
const ENTRY_OVERHEAD: usize = 128;

/// Entries on their way.
pub(super) struct Batch<'a> {
    connection: &'a mut Connection,
    entries: Vec<Entry>,
    bytes: usize,
    left: u32,
}

impl<'a> Batch<'a> {
    /// At most `limit` entries.
    pub(super) fn new(connection: &'a mut Connection, limit: u32) -> Self {
        Self { connection, entries: Vec::new(), bytes: 0, left: limit }
    }

    /// Adds an entry; `false` when it is one too many.
    pub(super) fn push(&mut self, entry: Entry) -> Result<bool, Lost> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        let link = entry.metadata.link_target.as_ref().map_or(0, |target| target.len());
        let bytes = ENTRY_OVERHEAD + entry.path.len() + link;
        if self.bytes + bytes > CONTROL_MAX {
            self.flush()?;
        }
        self.left = left;
        self.bytes += bytes;
        self.entries.push(entry);
        Ok(true)
    }

    /// Sends what is left, and the end.
    pub(super) fn finish(mut self, truncated: bool) -> Result<(), Lost> {
        if !self.entries.is_empty() {
            self.flush()?;
        }
        self.connection.send(&GuestMessage::ListEnd(ListEnd { truncated }))
    }

    fn flush(&mut self) -> Result<(), Lost> {
        self.bytes = 0;
        self.connection.send(&GuestMessage::Entries(std::mem::take(&mut self.entries)))
    }
}
