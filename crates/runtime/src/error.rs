//! Why making or keeping a sandbox failed: rich for the operator's log, turned into the core's error in one place.
//!
//! ```text
//!   child (in the sandbox) ──▶ SetupError ──▶ spawner ──▶ SetupError ──▶ server: Error ──▶ lazaret_core::Error
//! ```
//!
//! [`SetupError`] is what crosses processes; [`Error`] is what the adapter's own code returns.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lazaret_core::{Kind, Limit, SandboxId, State, Verb, VolumeId};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// One thing that is done on the way to a running sandbox; the order is the order of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The spawner's own mount namespace and its other one-time preparations.
    SpawnerSetup,
    /// The listening socket that the guest inherits.
    Socket,
    /// The disk image: its lock, its loop device, its file system.
    Disk,
    /// The cgroup with its limits.
    Cgroup,
    /// The process in its new namespaces.
    Clone,
    /// The user namespace's id ranges.
    IdRange,
    /// The gateway, and the sandbox's cable to it.
    Network,
    /// The image's trees and the disk, shown with the sandbox's ids.
    Layers,
    /// The record that lets a later server find the sandbox.
    Record,
    /// Leaving the host's users, groups, signals and keyrings.
    Credentials,
    /// Host name and loopback.
    Identity,
    /// The overlays that are the root file system.
    Rootfs,
    /// `/dev`.
    Devices,
    /// `/proc`.
    Proc,
    /// `/sys`.
    Sysfs,
    /// Files of `/etc` that belong to the sandbox and not to the image.
    Etc,
    /// Directories of volumes in the sandbox's tree.
    Volumes,
    /// Moving to the new root and letting the old one go.
    PivotRoot,
    /// Resource limits, capabilities, no_new_privs and the seccomp filter.
    Confine,
    /// Running the guest.
    Execute,
    /// Freezing and thawing.
    Freezer,
    /// Ending processes and removing what they used.
    Removal,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SpawnerSetup => "prepare the spawner",
            Self::Socket => "make the guest's socket",
            Self::Disk => "mount the disk",
            Self::Cgroup => "make the cgroup",
            Self::Clone => "make the namespaces",
            Self::IdRange => "map the ids",
            Self::Network => "set up the network",
            Self::Layers => "prepare the image's trees",
            Self::Record => "write the record",
            Self::Credentials => "leave the host's credentials",
            Self::Identity => "set host name and loopback",
            Self::Rootfs => "make the root file system",
            Self::Devices => "make /dev",
            Self::Proc => "make /proc",
            Self::Sysfs => "make /sys",
            Self::Etc => "write /etc",
            Self::Volumes => "mount the volumes",
            Self::PivotRoot => "change the root",
            Self::Confine => "confine the guest",
            Self::Execute => "run the guest",
            Self::Freezer => "freeze or thaw",
            Self::Removal => "remove the sandbox",
        })
    }
}

/// A step that failed, with what the operator needs to find out why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("cannot {step}: {call} {subject}")]
pub struct SetupError {
    /// What was being done.
    pub step: Step,
    /// The system call, or the operation if it is more than one.
    pub call: String,
    /// The path or thing it was done to, and what the kernel said about it if it said more than a number.
    pub subject: String,
    /// The kernel's answer.
    #[source]
    #[serde(with = "errno_number")]
    pub errno: Errno,
}

impl SetupError {
    /// What the operator can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match (self.step, self.errno) {
            (_, Errno::NOSPC) if self.step == Step::Clone => {
                "raise the namespace limits in /proc/sys/user/max_*_namespaces"
            }
            (_, Errno::NOSPC | Errno::DQUOT) => "free space on the disk that holds the data directory",
            (Step::SpawnerSetup, Errno::WOULDBLOCK) => {
                "another server uses this data directory; stop it first"
            }
            (Step::SpawnerSetup, Errno::PERM | Errno::ACCESS) => "run the server as root",
            (Step::Clone, Errno::PERM) => {
                "allow user namespaces (sysctl user.max_user_namespaces) and run as root"
            }
            (Step::Clone, Errno::AGAIN) => "raise kernel.pid_max or the process limit of the service",
            (Step::Disk, Errno::NOENT | Errno::NODEV) => "load the kernel modules loop and ext4",
            (Step::Disk, Errno::BUSY) => "the disk is still mounted from an earlier run; try again",
            (Step::Layers | Step::Rootfs, Errno::INVAL | Errno::OPNOTSUPP) => {
                "overlayfs on idmapped mounts needs Linux 5.19 and a data directory on ext4, xfs or btrfs"
            }
            (Step::Proc | Step::Sysfs, Errno::PERM) => {
                "the server runs where /proc or /sys is masked, as in an unprivileged container; run it on the host"
            }
            _ => return None,
        })
    }
}

/// Adds step, call and subject to the kernel's answer.
pub(crate) trait At<T> {
    /// The result with its context.
    fn at(self, step: Step, call: &str, subject: impl AsRef<Path>) -> Result<T, SetupError>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, step: Step, call: &str, subject: impl AsRef<Path>) -> Result<T, SetupError> {
        self.map_err(|errno| SetupError {
            step,
            call: call.to_owned(),
            subject: subject.as_ref().display().to_string(),
            errno,
        })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step, call: &str, subject: impl AsRef<Path>) -> Result<T, SetupError> {
        self.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)).at(step, call, subject)
    }
}

/// Why the adapter could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step failed in the spawner; what was done before it has been undone.
    #[error("a step of the sandbox failed{}", remedy(.failure))]
    Setup {
        /// The step.
        #[source]
        failure: SetupError,
        /// Undoing failed as well, here.
        undo: Vec<SetupError>,
    },

    /// A file operation of the server failed.
    #[error("cannot {call} {path}")]
    File {
        /// What was done.
        call: &'static str,
        /// To what.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },

    /// The data directory's disk is too full to start anything on it.
    #[error("{path} has {free_bytes} bytes free and {needed_bytes} are needed")]
    HostDiskFull {
        /// The data directory.
        path: PathBuf,
        /// What is there.
        free_bytes: u64,
        /// What is asked for.
        needed_bytes: u64,
    },

    /// Every id range is in use by a running sandbox.
    #[error("all id ranges are in use")]
    NoIdRange,

    /// Every address of the range is in use by a running sandbox.
    #[error("all addresses of the network's range are in use")]
    NoAddress,

    /// A program of the host that the runtime needs failed or is missing.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it wrote, or why it did not start.
        output: String,
        /// Its exit status, if it ran and ended by itself.
        status: Option<i32>,
    },

    /// A record in the data directory cannot be read.
    #[error("{path} is not a sandbox record: {reason}")]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// The spawner is gone or broke off; the next call starts another one.
    #[error("the spawner is gone: {0}")]
    SpawnerGone(String),

    /// The spawner did not answer in time.
    #[error("the spawner did not answer within {0:?}")]
    SpawnerSilent(Duration),

    /// The host lacks something without which no sandbox can be made.
    #[error("this host cannot run sandboxes: {0}")]
    HostUnfit(String),

    /// No such sandbox here.
    #[error("sandbox {0} is not here")]
    NotFound(SandboxId),

    /// No such volume here.
    #[error("volume {0} is not here")]
    NoVolume(VolumeId),

    /// A volume is mounted by a sandbox that runs, or is only about to be unmounted.
    #[error("volume {0} is mounted")]
    VolumeMounted(VolumeId),

    /// The sandbox has no live guest.
    #[error("sandbox {0} is not running")]
    NotRunning(SandboxId),

    /// A sandbox did not die of SIGKILL in time.
    #[error("sandbox {id} did not end within {waited:?}")]
    WillNotDie {
        /// Which.
        id: SandboxId,
        /// How long it was waited for.
        waited: Duration,
    },

    /// This runtime does not do that.
    #[error("{0}")]
    Unsupported(String),
}

fn remedy(failure: &SetupError) -> String {
    failure.remedy().map_or_else(String::new, |hint| format!("; {hint}"))
}

impl Error {
    pub(crate) fn file(call: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { call, path, source }
    }
}

/// The one place where the runtime's failures become the core's.
impl From<Error> for lazaret_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::HostDiskFull { .. } => Self::LimitReached(Limit::HostDisk),
            Error::NoIdRange => Self::LimitReached(Limit::IdRanges),
            Error::NoAddress => Self::LimitReached(Limit::Addresses),
            Error::NotFound(id) => Self::not_found(Kind::Sandbox, id),
            Error::NoVolume(id) => Self::not_found(Kind::Volume, id),
            Error::NotRunning(_) => {
                Self::Refused { kind: Kind::Sandbox, state: State::Stopped, verb: Verb::Use }
            }
            Error::Unsupported(what) => Self::Unsupported { what },
            Error::Setup { ref failure, .. } => match (failure.step, failure.errno) {
                // What is in the way is in the volume or in the sandbox's own tree, so it is the caller's.
                (
                    Step::Volumes,
                    Errno::LOOP | Errno::NOTDIR | Errno::NOSPC | Errno::NAMETOOLONG | Errno::ACCESS,
                ) => Self::invalid("volumes", format!("{failure}: {}", failure.errno)),
                (Step::Clone, _) | (_, Errno::NOMEM | Errno::AGAIN | Errno::BUSY) => {
                    Self::Unavailable { retry_after: None, source: error.into() }
                }
                (_, Errno::NOSPC | Errno::DQUOT) => Self::LimitReached(Limit::HostDisk),
                _ => Self::Internal(error.into()),
            },
            Error::File { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Self::LimitReached(Limit::HostDisk)
            }
            Error::SpawnerGone(_)
            | Error::SpawnerSilent(_)
            | Error::WillNotDie { .. }
            | Error::VolumeMounted(_) => Self::Unavailable { retry_after: None, source: error.into() },
            Error::File { .. } | Error::Program { .. } | Error::BadRecord { .. } | Error::HostUnfit(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

mod errno_number {
    use rustix::io::Errno;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(errno: &Errno, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(errno.raw_os_error())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Errno, D::Error> {
        i32::deserialize(deserializer).map(Errno::from_raw_os_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_error_keeps_everything_across_the_wire_and_names_its_remedy() {
        let error = Err::<(), _>(Errno::PERM).at(Step::Proc, "fsmount", "proc").unwrap_err();
        let bytes = serde_json::to_vec(&error).unwrap();
        assert_eq!(serde_json::from_slice::<SetupError>(&bytes).unwrap(), error);
        assert_eq!(error.to_string(), "cannot make /proc: fsmount proc");
        let text = Error::Setup { failure: error, undo: Vec::new() }.to_string();
        assert!(text.contains("run it on the host"), "{text}");
    }

    #[test]
    fn a_full_host_disk_is_a_limit_and_a_full_process_table_is_for_later() {
        let setup = |step, errno| {
            let failure = Err::<(), _>(errno).at(step, "call", "thing").unwrap_err();
            lazaret_core::Error::from(Error::Setup { failure, undo: Vec::new() })
        };
        assert!(matches!(
            setup(Step::Record, Errno::NOSPC),
            lazaret_core::Error::LimitReached(Limit::HostDisk)
        ));
        assert!(matches!(
            setup(Step::Volumes, Errno::NOSPC),
            lazaret_core::Error::Invalid { field: "volumes", .. }
        ));
        assert!(matches!(setup(Step::Clone, Errno::AGAIN), lazaret_core::Error::Unavailable { .. }));
        assert!(matches!(setup(Step::Rootfs, Errno::INVAL), lazaret_core::Error::Internal(_)));
    }
}
