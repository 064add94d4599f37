//! Which cgroup hierarchies are mounted where, read from `/proc/self/mountinfo` and `/proc/self/cgroup`.

use std::path::{Path, PathBuf};

use super::Error;

/// The cgroup file systems of this machine, as seen from this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// The cgroup v2 tree, which hybrid machines mount without or with few controllers.
    pub unified: Option<UnifiedMount>,
    /// The cgroup v1 trees, each with one or more controllers.
    pub legacy: Vec<LegacyMount>,
}

/// Where cgroup v2 is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnifiedMount {
    /// The topmost directory that this process sees of the tree.
    pub dir: PathBuf,
    /// This process's own group, relative to `dir`; empty at the top or when it lies outside of what is mounted.
    pub own: PathBuf,
}

/// Where some controllers of cgroup v1 are mounted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyMount {
    /// The topmost directory that this process sees of the tree.
    pub dir: PathBuf,
    /// This process's own group, relative to `dir`; empty at the top or when it lies outside of what is mounted.
    pub own: PathBuf,
    /// The kernel's names of the controllers.
    pub controllers: Vec<String>,
}

impl Layout {
    /// The layout of the running machine.
    ///
    /// # Errors
    /// [`Error::Io`] when `/proc` cannot be read. A machine without cgroups is an empty layout, not an error.
    pub fn detect() -> Result<Self, Error> {
        let read = |path: &str| {
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                Error::Io {
                    action: "read",
                    path: path.into(),
                    source: rustix::io::Errno::from_raw_os_error(errno),
                }
            })
        };
        Ok(Self::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?))
    }

    /// The layout that the text of the two files describes. Lines that are not about cgroups, or not understood,
    /// are passed over; of two mounts of one hierarchy the first counts.
    pub fn parse(mountinfo: &str, own_groups: &str) -> Self {
        let mut layout = Self::default();
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            match mount.kind {
                "cgroup2" if layout.unified.is_none() => {
                    let own = mount.relative(own_group(own_groups, |controllers| controllers.is_empty()));
                    layout.unified = Some(UnifiedMount { dir: mount.dir, own });
                }
                "cgroup" => {
                    let controllers = mount.controllers();
                    let known =
                        |name: &String| layout.legacy.iter().any(|other| other.controllers.contains(name));
                    if controllers.is_empty() || controllers.iter().any(known) {
                        continue;
                    }
                    let own =
                        own_group(own_groups, |names| names.split(',').any(|name| name == controllers[0]));
                    layout.legacy.push(LegacyMount { own: mount.relative(own), dir: mount.dir, controllers });
                }
                _ => {}
            }
        }
        layout
    }
}

/// The path of this process's group in the hierarchy whose controller list satisfies `is_wanted`; lines read
/// `id:controllers:path`.
fn own_group(own_groups: &str, is_wanted: impl Fn(&str) -> bool) -> Option<&str> {
    own_groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        is_wanted(controllers).then_some(path)
    })
}

/// The fields of a mountinfo line (proc_pid_mountinfo(5)) that matter here.
struct Mount<'a> {
    /// The directory of the file system that is visible at `dir`: not `/` inside a container.
    root: PathBuf,
    dir: PathBuf,
    kind: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let root = mount.nth(3)?;
        let dir = mount.next()?;
        let mut file_system = file_system.split(' ');
        let kind = file_system.next()?;
        let super_options = file_system.nth(1)?;
        Some(Self { root: unescape(root), dir: unescape(dir), kind, super_options })
    }

    /// Names among the options that are controllers: what is left without flags and without a named hierarchy.
    fn controllers(&self) -> Vec<String> {
        const FLAGS: [&str; 8] = [
            "rw",
            "ro",
            "noprefix",
            "xattr",
            "clone_children",
            "cpuset_v2_mode",
            "favordynmods",
            "nofavordynmods",
        ];
        let is_controller = |option: &&str| !option.contains('=') && !FLAGS.contains(option);
        self.super_options.split(',').filter(is_controller).map(str::to_owned).collect()
    }

    /// A group's path relative to this mount's directory; the top when it cannot be seen from here.
    fn relative(&self, group: Option<&str>) -> PathBuf {
        let group = Path::new(group.unwrap_or("/"));
        let below = group.strip_prefix(&self.root).unwrap_or(Path::new(""));
        // A process outside of its cgroup namespace's root has a path that climbs up.
        if below.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
            below.to_owned()
        } else {
            PathBuf::new()
        }
    }
}

/// Reverses the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> PathBuf {
    let plain =
        field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (unified dir and own group, then each legacy dir, own group and controllers), as short text.
    fn check(mountinfo: &str, own: &str, want: &[&str]) {
        let layout = Layout::parse(mountinfo, own);
        let unified =
            layout.unified.iter().map(|mount| format!("{}|{}", mount.dir.display(), mount.own.display()));
        let legacy = layout.legacy.iter().map(|mount| {
            format!("{}|{}|{}", mount.dir.display(), mount.own.display(), mount.controllers.join("+"))
        });
        assert_eq!(unified.chain(legacy).collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_systemd_machine_has_one_unified_tree() {
        check(
            "24 30 0:22 / /sys rw - sysfs sysfs rw\n\
             31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
            "0::/system.slice/lazaret.service\n",
            &["/sys/fs/cgroup|system.slice/lazaret.service"],
        );
    }

    #[test]
    fn a_hybrid_machine_has_both_kinds_and_named_trees_carry_no_controller() {
        check(
            "32 31 0:29 / /cg/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n\
             40 31 0:37 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n",
            "4:memory:/jobs/7\n1:cpu,cpuacct:/\n9:name=systemd:/init.scope\n0::/\n",
            &["/cg/unified|", "/cg/cpu,cpuacct||cpu+cpuacct", "/cg/memory|jobs/7|memory"],
        );
    }

    #[test]
    fn inside_a_container_paths_are_relative_to_what_is_mounted() {
        check(
            "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             36 31 0:33 /docker/ab /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n",
            "4:memory:/docker/ab\n5:pids:/docker/ab/server\n",
            &["/sys/fs/cgroup/memory||memory", "/sys/fs/cgroup/pids|server|pids"],
        );
    }

    #[test]
    fn a_group_outside_the_namespace_counts_as_the_top() {
        check("31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n", "0::/../other\n", &["/cg|"]);
        check("31 24 0:27 /a /cg rw - cgroup2 cgroup2 rw\n", "0::/b\n", &["/cg|"]);
    }

    #[test]
    fn escaped_paths_second_mounts_and_foreign_lines_do_not_confuse() {
        check(
            "no mount\n\
             31 24 0:27 / /mnt/my\\040groups rw - cgroup2 none rw\n\
             32 24 0:27 / /elsewhere rw - cgroup2 none rw\n\
             33 24 0:28 / /cg/pids rw - cgroup none rw,pids\n\
             34 24 0:28 / /cg/pids-again rw - cgroup none rw,pids\n",
            "0::/\ngarbage\n",
            &["/mnt/my groups|", "/cg/pids||pids"],
        );
    }
}
