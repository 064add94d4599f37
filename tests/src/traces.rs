//! What the sandboxes of one data directory have left on the host.
//!
//! Only what can be told to belong to that directory is counted, so that suites may run beside each other and beside
//! a server that somebody uses:
//!
//! | Trace | Belongs to the directory if |
//! | --- | --- |
//! | folder | it lies in `<data dir>/sandboxes` |
//! | loop device | its backing file lies (or lay) beneath the directory |
//! | mount | its root or its options name the directory, in any process's mount namespace |
//! | cgroup, live process in it | its path names the id of a sandbox seen in `<data dir>/sandboxes` before |

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Deepest cgroup that is looked at; sandboxes lie at most three levels below their controller.
const CGROUP_DEPTH_MAX: usize = 6;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Traces by kind, each a line that a person can act on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Folders of sandboxes in the data directory.
    pub folders: BTreeSet<String>,
    /// Loop devices with their backing file.
    pub loop_devices: BTreeSet<String>,
    /// Lines of some process's mount table.
    pub mounts: BTreeSet<String>,
    /// Control groups that carry a known sandbox's id.
    pub cgroups: BTreeSet<String>,
    /// Processes in such a control group, `pid name`.
    pub processes: BTreeSet<String>,
}

impl Traces {
    /// Everything that belongs to the sandboxes whose folders lie in `data_dir` now.
    pub fn of(data_dir: &Path) -> Traces {
        let ids: Vec<String> = names_in(&data_dir.join("sandboxes")).collect();
        Traces::of_sandboxes(data_dir, &ids)
    }

    /// Everything that belongs to `data_dir` or to one of the sandboxes `ids`, whether or not they are still known.
    pub fn of_sandboxes(data_dir: &Path, ids: &[String]) -> Traces {
        let mut traces = Traces {
            folders: names_in(&data_dir.join("sandboxes")).collect(),
            loop_devices: loop_devices(data_dir),
            ..Traces::default()
        };
        let names_a_sandbox =
            |text: &str| ids.iter().any(|id| text.contains(id) || text.contains(&plain(id)));
        cgroups(Path::new(CGROUPS), CGROUP_DEPTH_MAX, &names_a_sandbox, &mut traces.cgroups);
        for pid in names_in(Path::new("/proc")).filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        {
            let proc = Path::new("/proc").join(&pid);
            let read = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
            // A dead process whose parent has not asked for its status yet holds nothing but its number.
            let dead = read("status").lines().any(|line| line.starts_with("State:\tZ"));
            if !dead && names_a_sandbox(&read("cgroup")) {
                traces.processes.insert(format!("{pid} {}", read("comm").trim()));
            }
            let data_dir = data_dir.to_string_lossy();
            let mounts = read("mountinfo");
            // The server's own spawner binds the data directory into its private namespace; that is no sandbox's.
            let lines = mounts.lines().filter(|line| line.contains(&format!("{data_dir}/sandboxes/")));
            traces.mounts.extend(lines.map(str::to_owned));
        }
        traces
    }

    /// True if nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Traces::default()
    }
}

impl fmt::Display for Traces {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("folder", &self.folders),
            ("loop device", &self.loop_devices),
            ("mount", &self.mounts),
            ("cgroup", &self.cgroups),
            ("process", &self.processes),
        ];
        for (kind, lines) in kinds {
            for line in lines {
                write!(out, "\n  {kind} {line}")?;
            }
        }
        Ok(())
    }
}

/// Removes the empty control groups of this name from every hierarchy; what is not empty stays and is a trace.
pub fn remove_cgroup_parent(name: &str) {
    let top = Path::new(CGROUPS);
    let hierarchies = names_in(top).map(|hierarchy| top.join(hierarchy));
    for hierarchy in hierarchies.chain([top.to_owned()]) {
        // Most hierarchies hold no such group.
        let _ = fs::remove_dir(hierarchy.join(name));
    }
}

/// An id without its hyphens, as some paths carry it.
fn plain(id: &str) -> String {
    id.replace('-', "")
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn loop_devices(data_dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names_in(Path::new("/sys/block")).filter(|name| name.starts_with("loop")) {
        let backing = PathBuf::from("/sys/block").join(&name).join("loop/backing_file");
        // A device that is taken apart while we look has no backing file any more.
        let Ok(file) = fs::read_to_string(backing) else { continue };
        // The kernel tells the name as the spawner sees it, whose tree has the host beneath a directory of its own.
        if file.contains(&*data_dir.to_string_lossy()) {
            found.insert(format!("{name} {}", file.trim()));
        }
    }
    found
}

fn cgroups(folder: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        if wanted(&entry.file_name().to_string_lossy()) {
            found.insert(path.to_string_lossy().into_owned());
        } else if depth > 1 {
            cgroups(&path, depth - 1, wanted, found);
        }
    }
}
