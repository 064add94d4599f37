//! A guest that runs as PID 1, on the host's own files.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lazaret_protocol::{Exec, Failure, RequestBody};
use tempfile::TempDir;

use super::client::Output;
use super::{Client, until};

/// The socket goes to descriptor 3 and the git program to 4, and nowhere else, as the host does it.
const START: &str = "exec 3<&0 4<\"$1\" 0</dev/null; exec unshare --pid --fork --kill-child=KILL --mount --mount-proc -- \"$0\"";

/// What takes the place of the git program: anything that can be executed.
const PROGRAM: &str = "/bin/sh";

pub(crate) struct Sandbox {
    unshare: Child,
    socket: PathBuf,
    directory: TempDir,
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests make PID namespaces and need root");
        let directory = TempDir::new().expect("a temporary directory");
        let socket = directory.path().join("guest.sock");
        let listener = UnixListener::bind(&socket).expect("a socket in a fresh directory");
        let unshare = Command::new("sh")
            .args(["-c", START, env!("CARGO_BIN_EXE_lazaret-guest"), PROGRAM])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .expect("a shell");
        Self { unshare, socket, directory }
    }

    /// A directory for this test alone, on the host and in the sandbox alike.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a temporary path in UTF-8").to_owned()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(UnixStream::connect(&self.socket).expect("a guest that listens"))
    }

    pub(crate) fn request(&self, body: RequestBody) -> Client {
        let mut client = self.connect();
        client.request(body);
        client
    }

    /// Starts a program and waits until it runs.
    pub(crate) fn exec(&self, exec: Exec) -> Client {
        let mut client = self.request(RequestBody::Exec(Box::new(exec)));
        client.expect_started();
        client
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, exec: Exec) -> Output {
        self.exec(exec).finish()
    }

    /// Standard output of a shell script, without the newline at the end.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.run(super::sh(script)).stdout.trim_end().to_owned()
    }

    /// The failure of a request.
    pub(crate) fn refused(&self, body: RequestBody) -> Failure {
        self.request(body).expect_failure()
    }

    /// A request that is answered by `Done`.
    pub(crate) fn done(&self, body: RequestBody) {
        self.request(body).expect_done();
    }

    /// Waits until `pid`, a number inside, is no process any more, not even a zombie.
    pub(crate) fn wait_until_gone(&self, pid: u32) {
        until(&format!("process {pid} to be gone"), || {
            (self.sh(&format!("test -e /proc/{pid} || echo gone")) == "gone").then_some(())
        });
    }

    /// The guest's pid on the host.
    pub(crate) fn guest_pid(&self) -> u32 {
        let unshare = self.unshare.id();
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        until("unshare to fork", || {
            std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A guest that died in between has taken everything with it: that is never right.
        let status = self.unshare.try_wait().expect("waiting for a child");
        // With it, the kernel ends the guest, and with PID 1 everything in its namespace.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        if !std::thread::panicking() {
            assert_eq!(status, None, "the guest has died");
        }
    }
}
