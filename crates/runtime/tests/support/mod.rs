//! A host of our own for one test: data directory, cgroup, id range, runtime; and a look at what was left behind.

#![allow(dead_code, reason = "every test binary uses another part of this")]

mod asking;
pub(crate) mod socket;
pub(crate) mod world;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lazaret_core::ports::{Lower, Rootfs, Runtime as _, RuntimeSpec};
use lazaret_core::{EgressPolicy, MountPath, Resources, SandboxId, Subpath, VolumeId, VolumeMount};
use lazaret_runtime::cgroup::{Cgroups, Layout, Settings};
use lazaret_runtime::spawner::Program;
use lazaret_runtime::{IdSpace, NamespacesRuntime, NetworkConfig, RANGE_IDS, RuntimeConfig};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Pid;

/// Every test's patience with anything: enough for an emulated machine, which is some ten times slower than others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Id ranges that one test may use at the same time.
const RANGES: u32 = 128;

static NEXT: AtomicU32 = AtomicU32::new(1);

pub(crate) struct Host {
    directory: tempfile::TempDir,
    config: RuntimeConfig,
    runtime: Option<NamespacesRuntime>,
    made: Mutex<Vec<SandboxId>>,
    volumes: Mutex<Vec<VolumeId>>,
    _ids_lock: File,
}

impl Host {
    pub(crate) fn new() -> Self {
        let mut host = Self::not_launched();
        host.launch();
        host
    }

    /// With everything but a runtime.
    pub(crate) fn not_launched() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        make_image(&data_dir.join("image"));
        let process = std::process::id();
        let (id_space, ids_lock) = take_ids();
        let config = RuntimeConfig {
            cgroup_name: format!("lazaret-test-{process}-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            id_space,
            spawner: Program::At(PathBuf::from(env!("CARGO_BIN_EXE_lazaret-spawner"))),
            ..RuntimeConfig::new(data_dir)
        };
        Self {
            directory,
            config,
            runtime: None,
            made: Mutex::default(),
            volumes: Mutex::default(),
            _ids_lock: ids_lock,
        }
    }

    pub(crate) fn config(&self) -> &RuntimeConfig {
        &self.config
    }

    /// Leaves the test with so many ranges of ids.
    pub(crate) fn limit_id_ranges(&mut self, ranges: u32) {
        self.config.id_space.ranges = ranges;
    }

    /// Gives the test's sandboxes a network.
    pub(crate) fn set_network(&mut self, network: NetworkConfig) {
        self.config.network = Some(network);
    }

    /// Puts the data directory on a file system of its own, for as long as the answer lives.
    pub(crate) fn data_on_a_small_disk(&mut self, kind: &str, bytes: u64) -> SmallDisk {
        let path = self.directory.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let mut mount = std::process::Command::new("mount");
        if kind == "tmpfs" {
            mount.args(["-t", kind, "-o", &format!("size={bytes}"), "small"]);
        } else {
            let image = self.directory.path().join("small.img");
            File::create(&image).unwrap().set_len(bytes).unwrap();
            let mkfs = std::process::Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image).status();
            assert!(mkfs.unwrap().success());
            mount.args(["-t", kind, "-o", "loop"]).arg(image);
        }
        assert!(mount.arg(&path).status().unwrap().success());
        self.config.data_dir = path.join("data");
        make_image(&self.image());
        SmallDisk(path)
    }

    /// Leaves so many bytes of the host's disk to the server.
    pub(crate) fn keep_free(&mut self, bytes: u64) {
        self.config.disk_space.reserve_bytes = bytes;
    }

    /// Gives all disks together so many bytes.
    pub(crate) fn limit_disks(&mut self, bytes: u64) {
        self.config.disk_space.total_bytes = Some(bytes);
    }

    /// Bytes that the host's disk has left.
    pub(crate) fn free_bytes(&self) -> u64 {
        let status = rustix::fs::statvfs(&self.config.data_dir).unwrap();
        status.f_bavail * status.f_frsize
    }

    pub(crate) fn launch(&mut self) {
        self.runtime = Some(NamespacesRuntime::launch(self.config.clone()).unwrap());
    }

    /// What a kill of the server does: the spawner sees the end of its channel, and nobody cleans up.
    pub(crate) fn lose_server(&mut self) {
        drop(self.runtime.take());
    }

    pub(crate) fn runtime(&self) -> &NamespacesRuntime {
        self.runtime.as_ref().unwrap()
    }

    /// A directory that is gone with the test, outside of the data directory.
    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.config.data_dir.join("image")
    }

    pub(crate) fn directory_of(&self, id: SandboxId) -> PathBuf {
        self.config.data_dir.join("sandboxes").join(id.to_string())
    }

    pub(crate) fn spec(&self) -> RuntimeSpec {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
        bytes[12..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let id = SandboxId::from_bytes(bytes);
        self.made.lock().unwrap().push(id);
        RuntimeSpec {
            id,
            rootfs: Rootfs {
                lowers: vec![
                    Lower { at: "/".into(), source: self.image() },
                    Lower { at: "/usr".into(), source: "/usr".into() },
                ],
            },
            resources: Resources { disk_bytes: 64 << 20, memory_bytes: 256 << 20, ..Resources::default() },
            hostname: "box".to_owned(),
            network: EgressPolicy::Disabled,
            volumes: Vec::new(),
        }
    }

    pub(crate) async fn running(&self) -> RuntimeSpec {
        self.start(self.spec()).await
    }

    pub(crate) async fn start(&self, spec: RuntimeSpec) -> RuntimeSpec {
        self.runtime().create(&spec).await.unwrap();
        self.runtime().start(&spec).await.unwrap();
        spec
    }

    pub(crate) fn image_of_volume(&self, id: VolumeId) -> PathBuf {
        self.config.data_dir.join("volumes").join(format!("{id}.ext4"))
    }

    /// The loop devices of a volume. The kernel tells the name of an image as the spawner sees it.
    pub(crate) fn devices_of_volume(&self, id: VolumeId) -> Vec<PathBuf> {
        let image = format!("/volumes/{id}.ext4");
        let devices = std::fs::read_dir("/sys/block").unwrap().flatten().map(|device| device.path());
        let is_bound = |device: &PathBuf| {
            let backing = std::fs::read_to_string(device.join("loop/backing_file"));
            backing.is_ok_and(|file| file.trim_end().ends_with(&image))
        };
        devices.filter(is_bound).map(|device| Path::new("/dev").join(device.file_name().unwrap())).collect()
    }

    /// A volume of so many bytes.
    pub(crate) async fn volume(&self, size_bytes: u64) -> VolumeId {
        let id = VolumeId::from_bytes(*self.spec().id.as_bytes());
        self.volumes.lock().unwrap().push(id);
        self.runtime().create_volume(id, size_bytes).await.unwrap();
        id
    }

    /// A sandbox that mounts a volume, or a directory of it.
    pub(crate) fn with_volume(&self, id: VolumeId, path: &str, subpath: Option<&str>) -> RuntimeSpec {
        let mount = VolumeMount {
            volume: id,
            path: MountPath::new(path).unwrap(),
            subpath: subpath.map(|subpath| Subpath::new(subpath).unwrap()),
        };
        RuntimeSpec { volumes: vec![mount], ..self.spec() }
    }

    /// Everything of ours that is on the host now, one line each.
    pub(crate) fn traces(&self) -> Vec<String> {
        let data_dir = self.config.data_dir.to_string_lossy().into_owned();
        let mut traces = Vec::new();
        for device in std::fs::read_dir("/sys/block").unwrap() {
            let backing = device.unwrap().path().join("loop/backing_file");
            if let Ok(file) = std::fs::read_to_string(&backing)
                && file.contains(&data_dir)
            {
                traces.push(format!("loop device of {file}"));
            }
        }
        for id in self.volumes.lock().unwrap().iter() {
            let devices = self.devices_of_volume(*id);
            traces.extend(devices.iter().map(|device| format!("{} of {id}", device.display())));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        traces.extend(
            mounts.lines().filter(|line| line.contains(&data_dir)).map(|line| format!("mount {line}")),
        );
        let groups = self.cgroups().list().unwrap();
        traces.extend(groups.into_iter().map(|name| format!("cgroup {name}")));
        traces.extend(self.processes().iter().map(|process| format!("process {}", process.display())));
        for kept in ["sandboxes", "volumes"] {
            let entries = std::fs::read_dir(self.config.data_dir.join(kept));
            let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
            traces.extend(paths.map(|path| format!("file {}", path.display())));
        }
        traces
    }

    /// The `/proc` directories of every process in a sandbox of this test.
    pub(crate) fn processes(&self) -> Vec<PathBuf> {
        let ours = self.config.id_space.first..self.config.id_space.first + RANGES * RANGE_IDS;
        let is_ours = |process: &Path| {
            let map = std::fs::read_to_string(process.join("uid_map")).unwrap_or_default();
            let first = map.split_whitespace().nth(1).and_then(|first| first.parse::<u32>().ok());
            // One that is dead and has lost its parent is for the host's init to reap, which is not ours to test.
            let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            first.is_some_and(|first| ours.contains(&first)) && !stat.contains(") Z 1 ")
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        all.filter(|process| is_ours(process)).collect()
    }

    /// Open descriptors of this process and of its spawner.
    pub(crate) fn descriptors(&self) -> (usize, usize) {
        let count = |process: String| std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        (count("self".to_owned()), count(spawner().as_raw_nonzero().to_string()))
    }

    fn cgroups(&self) -> Cgroups {
        let settings = Settings { name: self.config.cgroup_name.clone(), ..Settings::default() };
        Cgroups::open(&Layout::detect().unwrap(), &settings).unwrap()
    }

    /// Deletes every sandbox and volume of the test and looks that nothing is left of any.
    pub(crate) async fn finish(&self) {
        let made = self.made.lock().unwrap().clone();
        for id in made {
            self.runtime().delete(id).await.unwrap();
        }
        let volumes = self.volumes.lock().unwrap().clone();
        for id in volumes {
            self.runtime().delete_volume(id).await.unwrap();
        }
        assert_eq!(self.traces(), Vec::<String>::new(), "left behind");
    }
}

/// A mounted file system.
pub(crate) struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.0.display());
        }
    }
}

/// A test that failed half-way leaves nothing behind either.
impl Drop for Host {
    fn drop(&mut self) {
        drop(self.runtime.take());
        let cgroups = self.cgroups();
        for name in cgroups.list().unwrap_or_default() {
            if let Ok(Some(group)) = cgroups.find(&name) {
                let ended = group.kill().and_then(|()| group.remove(PATIENCE));
                if let Err(error) = ended {
                    eprintln!("cannot clean up: {error}");
                }
            }
        }
        if let Err(error) = cgroups.dismantle() {
            eprintln!("cannot clean up: {error}");
        }
    }
}

/// Looks at `condition` until it holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut look = tokio::time::interval(LOOK);
    let held = async {
        loop {
            look.tick().await;
            if condition().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, held).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

/// A part of the ids that no other test has, for as long as the file is open: tests run at the same time. From the end of
/// the ids on, because servers of other tests begin at their beginning.
fn take_ids() -> (IdSpace, File) {
    let all = IdSpace::default();
    for part in (0..all.ranges / RANGES).rev() {
        let path = std::env::temp_dir().join(format!("lazaret-test-ids-{part}"));
        let file = File::create(path).unwrap();
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return (IdSpace { first: all.first + part * RANGES * RANGE_IDS, ranges: RANGES }, file);
        }
    }
    panic!("too many tests at once");
}

/// The tree of a small image; its programs come from the host's `/usr`.
fn make_image(image: &Path) {
    for directory in ["etc", "proc", "sys", "dev", "tmp", "usr", "var/tmp", "root"] {
        std::fs::create_dir_all(image.join(directory)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), image.join(link)).unwrap();
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    std::fs::write(image.join("etc/passwd"), users).unwrap();
}

/// The only child of this process that runs the spawner's program; tests run in processes of their own.
pub(crate) fn spawner() -> Pid {
    let me = std::process::id().to_string();
    let is_spawner = |pid: i32| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned));
        command.contains("--lazaret-spawner") && parent.as_deref() == Some(&me)
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pid = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| is_spawner(*pid));
    Pid::from_raw(pid.unwrap()).unwrap()
}
