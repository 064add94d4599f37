//! What this machine offers to sandboxes, probe by probe: for `lazaret doctor`, and for the server's start.
//!
//! A probe tries the real thing where that leaves no trace (a detached mount, a filtered thread, a namespace that
//! ends with its only process) and reads the kernel's own word where it would. It returns data; printing is the
//! caller's, and so is the decision to go on: a server refuses to start over a [`Status::Fail`].
//!
//! Not here: anything about images or the store, which their own crates know better.

mod cgroups;
mod host;
mod ids;
mod kernel;
mod mounts;
mod network;

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::cgroup::CpuLimits;

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Sandboxes run, but something is lost or runs out soon.
    Warn,
    /// Sandboxes cannot be made, or not safely.
    Fail,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in one or two words: stable, for scripts.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found, as a phrase.
    pub detail: String,
    /// What a person can do about it, where something should be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), remedy: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

/// What the probes are about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The server's data directory, which need not exist yet.
    pub data_dir: PathBuf,
    /// The host's user and group ids that sandboxes get theirs from.
    pub ids: Range<u32>,
    /// Whether sandboxes are to have a CPU limit.
    pub cpu_limits: CpuLimits,
}

impl Subject {
    /// The data directory, or the nearest directory above it that exists.
    fn existing_dir(&self) -> &Path {
        self.data_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
    }
}

/// Runs every probe, in the order in which a person should fix what they find.
pub fn examine(subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![host::root(), kernel::version()];
    findings.extend(kernel::namespaces());
    findings.extend([kernel::seccomp(), kernel::pidfd()]);
    findings.extend(cgroups::examine(subject.cpu_limits));
    findings.extend([mounts::mount_api(), mounts::overlay(), mounts::ext4(), mounts::idmap(subject)]);
    findings.extend([mounts::loop_devices(), mounts::mkfs()]);
    findings.push(ids::conflicts(&subject.ids));
    findings.extend(network::examine());
    findings.extend([host::disk(subject), host::memory(), host::descriptors()]);
    findings
}

/// The worst status among the findings; [`Status::Ok`] if there are none.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_has_a_name_of_its_own_a_detail_and_a_remedy_where_it_complains() {
        let subject = Subject {
            data_dir: "/var/lib/lazaret".into(),
            ids: 1_879_048_192..2_147_000_000,
            cpu_limits: CpuLimits::Required,
        };
        let findings = examine(&subject);
        let mut names = findings.iter().map(|finding| finding.name).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), findings.len(), "{names:?}");
        for finding in &findings {
            assert!(!finding.detail.is_empty(), "{finding:?}");
            assert_eq!(finding.remedy.is_some(), finding.status != Status::Ok, "{finding:?}");
            for text in [Some(&finding.detail), finding.remedy.as_ref()].into_iter().flatten() {
                assert!(!text.ends_with('.') && !text.contains('\n'), "{finding:?}");
            }
        }
    }

    #[test]
    fn the_worst_status_decides() {
        let finding = |status| Finding { name: "x", status, detail: String::new(), remedy: None };
        assert_eq!(worst(&[]), Status::Ok);
        assert_eq!(worst(&[finding(Status::Ok), finding(Status::Warn)]), Status::Warn);
        assert_eq!(worst(&[finding(Status::Fail), finding(Status::Ok)]), Status::Fail);
    }

    #[test]
    fn a_missing_data_directory_is_judged_by_what_is_above_it() {
        let subject =
            Subject { data_dir: "/usr/no/such/lazaret".into(), ids: 0..1, cpu_limits: CpuLimits::Required };
        assert_eq!(subject.existing_dir(), Path::new("/usr"));
    }
}
