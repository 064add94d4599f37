//! What a sandbox may use of the host.

use crate::{Error, Result, limits};

/// Hard bounds of one sandbox, enforced by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Memory, with no swap beyond it.
    pub memory_bytes: u64,
    /// CPU time a second, in thousandths of one core.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
    /// Bytes that it can write to its disk.
    pub disk_bytes: u64,
}

impl Resources {
    /// Checks every bound against [`limits`].
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and its range.
    pub fn check(self) -> Result<Self> {
        fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<()> {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(field, format!("must be from {low} to {high}, not {value}")))
        }
        within("memory_bytes", self.memory_bytes, limits::MEMORY_MIN_BYTES, limits::MEMORY_MAX_BYTES)?;
        within(
            "cpu_millis",
            self.cpu_millis.into(),
            limits::CPU_MIN_MILLIS.into(),
            limits::CPU_MAX_MILLIS.into(),
        )?;
        within("pids", self.pids.into(), limits::PIDS_MIN.into(), limits::PIDS_MAX.into())?;
        within("disk_bytes", self.disk_bytes, limits::DISK_MIN_BYTES, limits::DISK_MAX_BYTES)?;
        Ok(self)
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            memory_bytes: limits::MEMORY_DEFAULT_BYTES,
            cpu_millis: limits::CPU_DEFAULT_MILLIS,
            pids: limits::PIDS_DEFAULT,
            disk_bytes: limits::DISK_DEFAULT_BYTES,
        }
    }
}
