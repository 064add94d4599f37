//! The record of a sandbox on disk: what a later server needs to find it and to know that it is the same.
//!
//! ```text
//!   {"version":1,"started_before":true,
//!    "run":{"boot_id":"...","pid":4711,"start_ticks":123456,"id_range":1879048192,"loop_device":3,
//!           "volumes":[{"id":"...","loop_device":4}],"network":{"slot":3,"reach":"Public"}}}
//! ```
//!
//! `run` is there from just before the guest is let go until the server has seen its death. A record is replaced by
//! rename, so a reader sees the old one or the new one. It is not flushed to the disk: what it tells about a run is
//! void after a reboot, and `boot_id` says so.
//!
//! Not here: the sandbox's specification, which the store keeps.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id_range::IdRange;
use crate::layout::RECORD;
use crate::network::{Reach, Slot};

/// The format that this build writes. It reads this one and every earlier one.
const VERSION: u32 = 1;

/// Longest record that is read; ours have some 200 bytes.
const RECORD_MAX_BYTES: u64 = 64 * 1024;

/// What is known about a sandbox outside of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The files that belong to the sandbox (`/etc/hostname` and such) were written into its disk.
    pub(crate) started_before: bool,
    /// Its last run, unless that is known to be over.
    pub(crate) run: Option<Run>,
}

/// A run: from the start of a guest to its death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The kernel's `boot_id` of then: pids and start times repeat after a reboot.
    pub(crate) boot_id: String,
    /// The guest, on the host.
    pub(crate) pid: i32,
    /// Its start time in clock ticks since boot, from `/proc/<pid>/stat`; a pid alone may be somebody else's by now.
    pub(crate) start_ticks: u64,
    /// The ids it runs with.
    pub(crate) id_range: IdRange,
    /// Number of the loop device that its disk is on; records of earlier builds do not tell.
    #[serde(default)]
    pub(crate) loop_device: Option<u32>,
    /// Its volumes; none in records of before there were any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<VolumeRun>,
    /// Its cable; `None` for one without, and in records of before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<NetworkRun>,
}

/// A volume of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRun {
    /// Its id's text.
    pub(crate) id: String,
    /// Number of the loop device that it is on.
    pub(crate) loop_device: u32,
}

/// The network of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRun {
    /// From which name and addresses follow.
    pub(crate) slot: Slot,
    /// What its packets may reach.
    pub(crate) reach: Reach,
}

impl Record {
    /// Of a sandbox that was never started.
    pub(crate) fn new() -> Self {
        Self { version: VERSION, started_before: false, run: None }
    }

    /// The record of the same sandbox after its run.
    pub(crate) fn ended(self) -> Self {
        Self { run: None, ..self }
    }

    /// Of a sandbox that runs.
    pub(crate) fn of(run: Run) -> Self {
        Self { version: VERSION, started_before: true, run: Some(run) }
    }

    /// The record in a sandbox's directory, to put back when a start fails; a new one if there is none to read.
    pub(crate) fn read_or_new(directory: &Path) -> Self {
        Self::read(directory).ok().flatten().unwrap_or_else(Self::new)
    }

    /// The record in a sandbox's directory; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::BadRecord`] if it cannot be understood, [`Error::File`] if it cannot be read.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(RECORD);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        let bad = |reason: String| Error::BadRecord { path: path.clone(), reason };
        let record: Self = serde_json::from_reader(std::io::Read::take(file, RECORD_MAX_BYTES))
            .map_err(|error| bad(error.to_string()))?;
        if record.version > VERSION {
            return Err(bad(format!("version {} is newer than this build", record.version)));
        }
        Ok(Some(record))
    }

    /// Puts the record into a sandbox's directory, in place of the one that is there.
    ///
    /// # Errors
    /// Those of writing and renaming a file.
    pub(crate) fn write(&self, directory: &Path) -> std::io::Result<()> {
        let temporary = directory.join("record.json.new");
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        std::fs::rename(temporary, directory.join(RECORD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_version_reads_as_it_was_meant() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join(RECORD),
            br#"{"version":1,"started_before":true,
                "run":{"boot_id":"b","pid":4711,"start_ticks":99,"id_range":1879048192}}"#,
        )
        .unwrap();
        let record = Record::read(directory.path()).unwrap().unwrap();
        let run = record.run.clone().unwrap();
        assert_eq!((run.pid, run.start_ticks, run.id_range.first()), (4711, 99, 1_879_048_192));
        assert_eq!((run.loop_device, &run.volumes), (None, &Vec::new()));
        record.write(directory.path()).unwrap();
        assert_eq!(Record::read(directory.path()).unwrap(), Some(record));
    }

    #[test]
    fn a_record_that_is_torn_or_from_the_future_is_named_and_not_guessed_at() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(directory.path()).unwrap(), None);
        for text in ["", "{\"version\":1,", "{\"version\":2,\"started_before\":false,\"run\":null}"] {
            std::fs::write(directory.path().join(RECORD), text).unwrap();
            let error = Record::read(directory.path()).unwrap_err();
            assert!(matches!(&error, Error::BadRecord { path, .. } if path.ends_with(RECORD)), "{error}");
        }
    }
}
