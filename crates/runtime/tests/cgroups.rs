//! Control groups against the running kernel, in every arrangement that it offers: as mounted, and on a hybrid
//! machine also as if only cgroup v1 were there. Needs root and `sh`; `cargo xtask vm` runs it under cgroup v2.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lazaret_runtime::cgroup::{Cgroups, Controller, CpuLimit, Error, Group, Layout, Limits, Place, Settings};
use rustix::io::Errno;
use rustix::process::Pid;

/// Longest wait for anything: never reached on a healthy kernel, however loaded.
const DEADLINE: Duration = Duration::from_secs(20);

const MIB: u64 = 1024 * 1024;

const ROOMY: Limits = Limits { memory_bytes: 64 * MIB, pids: 64, cpu: None };

#[expect(clippy::disallowed_methods, reason = "the one place of these tests that waits for the kernel")]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A parent group of the test's own, taken down with all that is in it.
struct Fixture {
    cgroups: Cgroups,
    parent: String,
    layout: Layout,
}

impl Fixture {
    fn open(layout: &Layout, place: Place) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let parent = format!("lazaret-test-{}-{serial}", std::process::id());
        let cgroups = Cgroups::open(layout, &Settings { name: parent.clone(), place }).unwrap();
        Self { cgroups, parent, layout: layout.clone() }
    }

    /// The content of the first of these files that a hierarchy has for the group, trimmed.
    fn file(&self, group: &Group, names: &[&str]) -> String {
        self.dirs()
            .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
            .find_map(|path| {
                let mut path = path.into_os_string().into_string().unwrap();
                path = path.replace("GROUP", group.name());
                std::fs::read_to_string(path).ok()
            })
            .unwrap_or_else(|| panic!("{} has none of {names:?}", group.name()))
            .trim()
            .to_owned()
    }

    /// The groups' directory, with a placeholder, in each hierarchy that may be in use.
    fn dirs(&self) -> impl Iterator<Item = PathBuf> {
        let unified = self.layout.unified.iter().map(|mount| &mount.dir);
        let legacy = self.layout.legacy.iter().map(|mount| &mount.dir);
        unified.chain(legacy).map(|dir| dir.join(&self.parent).join("GROUP"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for name in self.cgroups.list().unwrap() {
            let group = self.cgroups.find(&name).unwrap().unwrap();
            group.kill().unwrap();
            group.remove(DEADLINE).unwrap();
        }
        self.cgroups.clone().dismantle().unwrap();
    }
}

/// A shell inside a group, killed and reaped at the end.
struct Inside(Child);

impl Inside {
    /// Runs `script` from its first line on as a member of `group`.
    fn start(group: &Group, script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        group.add(pid(&child)).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        Self(child)
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the shell to end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// Runs `test` on each arrangement of this machine that can hold sandboxes.
fn on_every_layout(test: impl Fn(&Fixture)) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: control groups need root");
        return;
    }
    let mounted = Layout::detect().unwrap();
    let mut layouts = vec![("as mounted", mounted.clone())];
    if mounted.unified.is_some() && !mounted.legacy.is_empty() {
        layouts.push(("cgroup v1 alone", Layout { unified: None, legacy: mounted.legacy }));
    }
    let mut tested = 0;
    for (name, layout) in layouts {
        let fixture = Fixture::open(&layout, Place::Top);
        let missing = fixture.cgroups.missing();
        if missing.is_empty() {
            eprintln!("on the hierarchies {name}");
            test(&fixture);
            tested += 1;
        } else {
            eprintln!("skipped: the hierarchies {name} lack {missing:?}");
        }
    }
    assert!(tested > 0, "no arrangement of this machine can be tested");
}

#[test]
fn a_group_is_made_found_listed_and_removed() {
    on_every_layout(|fixture| {
        let cgroups = &fixture.cgroups;
        assert_eq!(cgroups.list().unwrap(), Vec::<String>::new());
        assert!(cgroups.find("one").unwrap().is_none());
        let one = cgroups.create("one", &ROOMY).unwrap();
        cgroups.create("two", &ROOMY).unwrap();
        assert_eq!(cgroups.list().unwrap(), ["one", "two"]);
        assert!(matches!(cgroups.create("one", &ROOMY), Err(Error::Exists(name)) if name == "one"));
        assert_eq!(cgroups.find("one").unwrap().unwrap().name(), "one");
        assert_eq!(cgroups.clone().dismantle().unwrap_err().errno(), Some(Errno::BUSY));
        one.remove(Duration::ZERO).unwrap();
        one.remove(Duration::ZERO).expect("removing again succeeds");
        assert!(one.is_empty().unwrap());
        assert_eq!(one.pids().unwrap(), []);
        one.kill().expect("killing what is gone succeeds");
        assert_eq!(cgroups.list().unwrap(), ["two"]);
    });
}

#[test]
fn limits_can_be_raised_and_lowered_while_the_group_lives() {
    on_every_layout(|fixture| {
        let group = fixture.cgroups.create("limits", &ROOMY).unwrap();
        let memory = || fixture.file(&group, &["memory.max", "memory.limit_in_bytes"]);
        let with_swap = || fixture.file(&group, &["memory.swap.max", "memory.memsw.limit_in_bytes"]);
        for mib in [64, 32, 512, 16] {
            let cpu = Some(CpuLimit { millis: 1500, weight: 200 });
            group.set_limits(&Limits { memory_bytes: mib * MIB, pids: 20, cpu }).unwrap();
            assert_eq!(memory(), (mib * MIB).to_string());
            assert!([String::from("0"), memory()].contains(&with_swap()), "swap is left at {}", with_swap());
        }
        assert_eq!(fixture.file(&group, &["pids.max"]), "20");
        let quota = fixture.file(&group, &["cpu.max", "cpu.cfs_quota_us"]);
        assert!(["150000 100000", "150000"].contains(&quota.as_str()), "{quota}");
        let weight = fixture.file(&group, &["cpu.weight", "cpu.shares"]);
        assert!(["200", "2048"].contains(&weight.as_str()), "{weight}");
    });
}

#[test]
fn a_memory_hog_dies_inside_and_its_parent_lives_to_see_it() {
    on_every_layout(|fixture| {
        let limits = Limits { memory_bytes: 24 * MIB, ..ROOMY };
        let group = fixture.cgroups.create("hog", &limits).unwrap();
        let status = Inside::start(&group, "tail /dev/zero; exit $?").end();
        assert_eq!(status.code(), Some(128 + 9), "{status}");
        let stats = group.stats().unwrap();
        assert_eq!(stats.oom_kills, 1);
        assert!(stats.memory_peak_bytes.is_none_or(|peak| peak <= limits.memory_bytes), "{stats:?}");
    });
}

#[test]
fn a_fork_bomb_stops_at_the_limit_of_its_group() {
    on_every_layout(|fixture| {
        let group = fixture.cgroups.create("bomb", &Limits { pids: 12, ..ROOMY }).unwrap();
        let mut bomb = Inside::start(&group, "b() { sleep 1000 & b; }; b");
        bomb.end();
        let pids = group.stats().unwrap().pids;
        assert!((6..=12).contains(&pids), "{pids} processes");
        assert_eq!(u64::try_from(group.pids().unwrap().len()).unwrap(), pids);
        assert!(Command::new("true").status().unwrap().success(), "a neighbour can still fork");
    });
}

#[test]
fn a_busy_loop_is_throttled_and_counted() {
    on_every_layout(|fixture| {
        let cpu = Some(CpuLimit { millis: 50, weight: 100 });
        let group = fixture.cgroups.create("busy", &Limits { cpu, ..ROOMY }).unwrap();
        let _busy = Inside::start(&group, "while :; do :; done");
        wait_for("the loop to be throttled", || {
            let dirs =
                fixture.dirs().map(|dir| dir.join("cpu.stat").to_str().unwrap().replace("GROUP", "busy"));
            dirs.filter_map(|path| std::fs::read_to_string(path).ok()).any(|text| {
                text.lines().filter_map(|line| line.strip_prefix("nr_throttled ")).any(|count| count != "0")
            })
        });
        wait_for("its time to be counted", || {
            group.stats().unwrap().cpu_time > Some(Duration::from_millis(4))
        });
    });
}

#[test]
fn a_frozen_group_stands_still_until_it_is_thawed() {
    on_every_layout(|fixture| {
        let group = fixture.cgroups.create("ice", &ROOMY).unwrap();
        let neighbour = fixture.cgroups.create("water", &ROOMY).unwrap();
        let _loops = [&group, &group, &neighbour].map(|group| Inside::start(group, "while :; do :; done"));
        let used = |group: &Group| group.stats().unwrap().cpu_time.unwrap();
        wait_for("the group to run", || used(&group) > Duration::ZERO);

        group.freeze(DEADLINE).unwrap();
        assert!(group.is_frozen().unwrap());
        let frozen_at = used(&group);
        let seen = used(&neighbour);
        wait_for("the neighbour to run on", || used(&neighbour) > seen + Duration::from_millis(50));
        assert_eq!(used(&group), frozen_at);

        group.thaw().unwrap();
        assert!(!group.is_frozen().unwrap());
        wait_for("the group to run again", || used(&group) > frozen_at);
    });
}

#[test]
fn killing_reaches_what_daemonised_ignores_signals_or_is_frozen() {
    on_every_layout(|fixture| {
        for frozen in [false, true] {
            let group = fixture.cgroups.create("doomed", &ROOMY).unwrap();
            let script = "trap '' TERM HUP INT; (setsid sleep 1000 &); (sleep 1000 & sleep 1000); wait";
            let mut shell = Inside::start(&group, script);
            wait_for("all four to run", || group.stats().unwrap().pids >= 4);
            if frozen {
                group.freeze(DEADLINE).unwrap();
            }
            assert!(!group.is_empty().unwrap());
            let refused = group.remove(Duration::ZERO).unwrap_err();
            assert!(matches!(refused, Error::Timeout { awaited: "empty", .. }), "{refused}");
            group.kill().unwrap();
            shell.end();
            group.remove(DEADLINE).unwrap();
        }
    });
}

#[test]
fn one_kill_is_enough_for_processes_that_fork_and_exit_all_the_time() {
    on_every_layout(|fixture| {
        let group = fixture
            .cgroups
            .create("hop", &Limits { memory_bytes: 256 * MIB, pids: 20_000, cpu: None })
            .unwrap();
        // Each process starts its successor and ends.
        let script =
            r#"hop='sh -c "$0" "$0" &'; i=0; while [ $i -lt 16 ]; do sh -c "$hop" "$hop"; i=$((i+1)); done"#;
        let mut shell = Inside::start(&group, script);
        shell.end();
        let mut seen = group.pids().unwrap();
        wait_for("the processes to change", || group.pids().unwrap().iter().all(|pid| !seen.contains(pid)));
        seen = group.pids().unwrap();
        assert!(!seen.is_empty());
        group.kill().unwrap();
        group.remove(DEADLINE).unwrap();
    });
}

#[test]
fn a_creation_that_fails_half_way_leaves_nothing() {
    on_every_layout(|fixture| {
        let dirs = fixture.dirs().map(|dir| PathBuf::from(dir.to_str().unwrap().replace("GROUP", "half")));
        let parents = dirs.filter(|dir| dir.parent().unwrap().is_dir()).collect::<Vec<_>>();
        // In the last hierarchy the name is taken, so everything before it has been made when this is found out.
        std::fs::create_dir(parents.last().unwrap()).unwrap();
        assert!(matches!(fixture.cgroups.create("half", &ROOMY), Err(Error::Exists(_))));
        let left = parents.iter().filter(|dir| dir.exists()).collect::<Vec<_>>();
        assert_eq!(left, [parents.last().unwrap()]);
        fixture.cgroups.find("half").unwrap().unwrap().remove(Duration::ZERO).unwrap();
        fixture.cgroups.create("half", &ROOMY).unwrap();
    });
}

#[test]
fn wrong_names_and_limits_are_refused_by_field() {
    on_every_layout(|fixture| {
        for name in ["", ".", "..", "a/b", "a.b", "tasks", "memory.max", "ä", "line\n", &"x".repeat(65)] {
            let refused = fixture.cgroups.create(name, &ROOMY).unwrap_err();
            assert!(matches!(refused, Error::Name(_)), "{name:?}: {refused}");
        }
        let cpu = |millis, weight| Some(CpuLimit { millis, weight });
        for (limits, wanted) in [
            (Limits { memory_bytes: 0, ..ROOMY }, "memory_bytes"),
            (Limits { memory_bytes: u64::MAX, ..ROOMY }, "memory_bytes"),
            (Limits { pids: 1, ..ROOMY }, "pids"),
            (Limits { cpu: cpu(9, 100), ..ROOMY }, "cpu.millis"),
            (Limits { cpu: cpu(100, 0), ..ROOMY }, "cpu.weight"),
            (Limits { cpu: cpu(100, 10_001), ..ROOMY }, "cpu.weight"),
        ] {
            let refused = fixture.cgroups.create("refused", &limits).unwrap_err();
            assert!(matches!(refused, Error::Limit { field, .. } if field == wanted), "{refused}");
        }
        assert_eq!(fixture.cgroups.list().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_ticket_lets_a_child_in_without_naming_it() {
    on_every_layout(|fixture| {
        let group = fixture.cgroups.create("entry", &ROOMY).unwrap();
        let ticket = group.ticket().unwrap();
        if fixture.layout.legacy.is_empty() {
            assert!(ticket.clone_into().is_some(), "cgroup v2 takes a child at its birth");
            return;
        }
        // In v1 a thread can join alone, and a process that it starts is born where the thread is.
        let mut child = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    ticket.join().unwrap();
                    Command::new("sleep").arg("1000").spawn().unwrap()
                })
                .join()
                .unwrap()
        });
        assert_eq!(group.pids().unwrap(), [pid(&child)]);
        assert_eq!(group.stats().unwrap().pids, 1);
        child.kill().unwrap();
        child.wait().unwrap();
        group.remove(DEADLINE).unwrap();
    });
}

#[test]
fn a_machine_without_a_needed_controller_is_told_so() {
    on_every_layout(|fixture| {
        let mut poor = fixture.layout.clone();
        poor.unified = None;
        poor.legacy.retain(|mount| mount.controllers.iter().any(|name| name == "pids"));
        if poor.legacy.is_empty() {
            eprintln!("skipped: there is no v1 hierarchy to leave out");
            return;
        }
        let poor = Fixture::open(&poor, Place::Top);
        assert!(poor.cgroups.missing().contains(&Controller::Memory));
        let refused = poor.cgroups.create("poor", &ROOMY).unwrap_err();
        assert!(matches!(refused, Error::Missing(Controller::Memory)), "{refused}");
        assert_eq!(poor.cgroups.list().unwrap(), Vec::<String>::new());
    });
    let nothing = Cgroups::open(&Layout::default(), &Settings::default()).unwrap_err();
    assert!(matches!(nothing, Error::NotMounted), "{nothing}");
}

/// The group of a service as systemd would delegate it, with this test's process in it.
struct Service {
    top: PathBuf,
    dir: PathBuf,
}

impl Service {
    /// `leaf` is where the process starts, relative to the delegated group.
    fn start(leaf: &str) -> Option<Self> {
        let mounted = Layout::detect().unwrap();
        let Some(unified) = mounted.unified.filter(|_| mounted.legacy.is_empty()) else {
            eprintln!("skipped: the controllers of this machine are not in cgroup v2");
            return None;
        };
        let service = Self { dir: unified.dir.join("lazaret-test-service"), top: unified.dir };
        std::fs::create_dir_all(service.dir.join(leaf)).unwrap();
        rustix::fs::setxattr(&service.dir, "trusted.delegate", b"1", rustix::fs::XattrFlags::empty())
            .unwrap();
        // A delegated group has controllers; whoever delegates has switched them on above.
        std::fs::write(service.top.join("cgroup.subtree_control"), "+memory +cpu +pids").unwrap();
        move_to(&service.dir.join(leaf));
        Some(service)
    }

    /// Uses the sandboxes' groups as a server in this service would, and says where it left the server.
    fn divide(&self, place: Place) -> String {
        let fixture = Fixture::open(&Layout::detect().unwrap(), place);
        assert_eq!(fixture.cgroups.missing(), []);
        let group = fixture.cgroups.create("inside", &ROOMY).unwrap();
        assert!(self.dir.join(&fixture.parent).join("inside/memory.max").exists());
        assert_eq!(Inside::start(&group, "exit 3").end().code(), Some(3));
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        own.trim().rsplit('/').next().unwrap().replace(&fixture.parent, "NAME")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        move_to(&self.top);
        for leaf in std::fs::read_dir(&self.dir).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
            std::fs::remove_dir(leaf.path()).unwrap();
        }
        std::fs::remove_dir(&self.dir).unwrap();
    }
}

fn move_to(group: &std::path::Path) {
    std::fs::write(group.join("cgroup.procs"), "0").unwrap();
}

#[test]
fn a_delegated_group_is_vacated_before_it_is_divided() {
    for place in [Place::Own, Place::Auto] {
        let Some(service) = Service::start("") else { return };
        assert_eq!(service.divide(place), "NAME-server");
    }
}

#[test]
fn a_server_that_systemd_put_into_a_leaf_stays_there_and_divides_the_group_above() {
    let Some(service) = Service::start("main") else { return };
    assert_eq!(service.divide(Place::Auto), "main");
}
