//! A host of our own for one test: data directory, runtime, and the means to look for what is left behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lazaret_core::ports::{Lower, Rootfs, Runtime as _, RuntimeSpec};
use lazaret_core::{EgressPolicy, Resources, SandboxId};
use lazaret_runtime::spawner::Program;
use lazaret_runtime::{IdSpace, NamespacesRuntime, RuntimeConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Every test's patience with anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(1);

pub struct Host {
    pub directory: tempfile::TempDir,
    pub cgroup_name: String,
    pub runtime: Option<NamespacesRuntime>,
}

impl Host {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let cgroup_name = format!("lazaret-test-{}-{number}", std::process::id());
        make_skeleton(&directory.path().join("image"));
        let mut host = Self { directory, cgroup_name, runtime: None };
        host.launch();
        host
    }

    pub fn config(&self) -> RuntimeConfig {
        // Tests run at the same time, in processes of their own; each takes another part of the ids.
        let first = IdSpace::default().first + (std::process::id() % 60) * 64 * 65_536;
        RuntimeConfig {
            cgroup_name: self.cgroup_name.clone(),
            id_space: IdSpace { first, ranges: 64 },
            spawner: Program::At(PathBuf::from(env!("CARGO_BIN_EXE_lazaret-spawner"))),
            ..RuntimeConfig::new(self.directory.path().join("data"))
        }
    }

    pub fn launch(&mut self) {
        self.runtime = Some(NamespacesRuntime::launch(self.config()).unwrap());
    }

    pub fn runtime(&self) -> &NamespacesRuntime {
        self.runtime.as_ref().unwrap()
    }

    pub fn sandbox_directory(&self, id: SandboxId) -> PathBuf {
        self.directory.path().join("data/sandboxes").join(id.to_string())
    }

    pub fn spec(&self) -> RuntimeSpec {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
        bytes[12..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        RuntimeSpec {
            id: SandboxId::from_bytes(bytes),
            rootfs: Rootfs {
                lowers: vec![
                    Lower { at: "/".into(), source: self.directory.path().join("data/image") },
                    Lower { at: "/usr".into(), source: "/usr".into() },
                ],
            },
            resources: Resources { disk_bytes: 64 << 20, memory_bytes: 256 << 20, ..Resources::default() },
            hostname: "box".to_owned(),
            network: EgressPolicy::Disabled,
        }
    }

    pub async fn running(&self) -> RuntimeSpec {
        let spec = self.spec();
        self.runtime().create(&spec).await.unwrap();
        self.runtime().start(&spec).await.unwrap();
        spec
    }

    pub async fn ping(&self, id: SandboxId) {
        assert_eq!(self.shell(id, "ping").await, "pong");
    }

    /// Runs a shell command inside and returns what it wrote, to either stream.
    pub async fn shell(&self, id: SandboxId, command: &str) -> String {
        let mut stream = self.runtime().connect(id).await.unwrap();
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut output = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut output)).await.unwrap().unwrap();
        String::from_utf8_lossy(&output).into_owned()
    }
}

fn make_skeleton(image: &Path) {
    let image = image.parent().unwrap().join("data/image");
    for directory in ["etc", "proc", "sys", "dev", "tmp", "usr", "var/tmp", "root"] {
        std::fs::create_dir_all(image.join(directory)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), image.join(link)).unwrap();
    }
    std::fs::write(
        image.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    )
    .unwrap();
}
