//! One `lazaret serve` on a free port and a data directory of its own.
//!
//! The server is killed, stopped and started again by its process id; the sandboxes it leaves are found and deleted
//! through its API. Dropping a [`Server`] deletes every sandbox and fails the test if a trace of one is left on the host.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::{Client, Native, Traces, traces, wait};

/// The admin key of every server in the suites. It holds spaces because the SDK's own suite sends such a key.
pub const KEY: &str = "My API Key";

/// Longest from exec to the first ready answer, adoption of sandboxes included, on a machine busy with other tests.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Longest that a graceful stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Longest that the kernel may need to take apart what a deleted sandbox held.
const CLEAN_LIMIT: Duration = Duration::from_secs(10);

/// The settings of each server, in its data directory.
const CONFIG: &str = "test-lazaret.toml";

/// How much of the server's log is shown when a test fails, in lines.
const LOG_TAIL: usize = 60;

/// The build directory of the running test or tool: the parent of its profile's folder.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let profile = program.ancestors().find(|folder| folder.join("deps").is_dir());
    profile.and_then(Path::parent).expect("started by cargo, beneath a profile's folder").to_owned()
}

/// The `lazaret` binary that was built with the profile of the running test.
///
/// # Panics
/// If it has not been built, saying how to.
pub fn binary() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let profile = program.ancestors().find(|folder| folder.join("deps").is_dir()).expect("started by cargo");
    let binary = profile.join("lazaret");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build -p lazaret-server`, or all of `cargo xtask test`",
        binary.display()
    );
    binary
}

/// A running server and its data directory.
pub struct Server {
    binary: PathBuf,
    data: TempDir,
    /// The control group that holds its sandboxes': a server removes what is in its own and is not its own.
    cgroup_parent: String,
    arguments: Vec<String>,
    address: String,
    child: Option<Child>,
    /// It has been ready once, so there may be something to clean up.
    was_ready: bool,
}

impl Server {
    /// Starts the binary of this build.
    #[track_caller]
    pub fn start() -> Server {
        Server::start_with(&binary(), &[]).expect("start a server")
    }

    /// Starts `binary` with further arguments to `serve`, and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started, ends early, or is not ready in time; the message holds the end of its log.
    pub fn start_with(binary: &Path, arguments: &[&str]) -> Result<Server> {
        Server::launch(binary, arguments, &std::env::temp_dir(), "")
    }

    /// Starts the binary of this build with its data directory in `folder`, and with these lines under `[runtime]`.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub fn start_in(folder: &Path, runtime_settings: &str) -> Result<Server> {
        Server::launch(&binary(), &[], folder, runtime_settings)
    }

    /// Starts `binary` with further arguments to `serve` and more settings, in the form of the configuration file.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub fn start_configured(binary: &Path, arguments: &[&str], settings: &str) -> Result<Server> {
        Server::launch(binary, arguments, &std::env::temp_dir(), settings)
    }

    fn launch(binary: &Path, arguments: &[&str], folder: &Path, runtime_settings: &str) -> Result<Server> {
        let data = tempfile::Builder::new()
            .prefix("lazaret-test-")
            .tempdir_in(folder)
            .context("make a data directory")?;
        // The port is free again when the listener is dropped; nothing else on a test machine takes it at once.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let cgroup_parent = data.path().file_name().context("a data directory has a name")?;
        let cgroup_parent = cgroup_parent.to_string_lossy().into_owned();
        let config = format!("[runtime]\ncgroup_parent = \"{cgroup_parent}\"\n{runtime_settings}\n");
        std::fs::write(data.path().join(CONFIG), config).context("write the server's settings")?;
        let binary = binary.to_owned();
        let mut server =
            Server { binary, data, cgroup_parent, arguments, address, child: None, was_ready: false };
        server.spawn()?;
        Ok(server)
    }

    /// The base URL, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// The process id of the running server.
    ///
    /// # Panics
    /// If it was killed or stopped.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is running").id()
    }

    /// A client with the admin key.
    pub fn client(&self) -> Client {
        Client::new(&self.url(), Some(KEY))
    }

    /// The native API with the admin key.
    pub fn native(&self) -> Native {
        Native::new(self.client())
    }

    /// A key of a new account of this name, with the scopes that keys have when nobody names any.
    ///
    /// # Errors
    /// A refused call.
    pub fn key_of_new_account(&self, name: &str) -> Result<String> {
        let account = self.client().post("/lazaret/v1/accounts", &json!({ "name": name }))?.expect(201);
        let path = format!("/lazaret/v1/accounts/{}/keys", account["id"].as_str().context("an id")?);
        let key = self.client().post(&path, &json!({ "name": "key" }))?.expect(201);
        Ok(key["secret"].as_str().context("a secret")?.to_owned())
    }

    /// A `lazaret` command line of the same build that talks to this server.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("LAZARET_URL", self.url()).env("LAZARET_API_KEY", KEY).stdin(Stdio::null());
        command
    }

    /// Ends the server as a crash does, with SIGKILL and nothing else.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server is running");
        child.kill().expect("kill the server");
        child.wait().expect("reap the server");
    }

    /// Ends the server as an operator does, with SIGTERM, and returns whether it ended with exit code 0.
    ///
    /// # Panics
    /// If it has not ended in time.
    #[track_caller]
    pub fn stop(&mut self) -> bool {
        let mut child = self.child.take().expect("the server is running");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("signal the server");
        let ended = wait::within(STOP_LIMIT, || child.try_wait().expect("ask for the server's end"));
        let Some(status) = ended else {
            child.kill().expect("kill the server");
            panic!("the server did not end within {} s of SIGTERM", STOP_LIMIT.as_secs());
        };
        status.success()
    }

    /// Starts the server again on the same address and data directory, and waits until it is ready.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.spawn().expect("start the server again");
    }

    /// What is left on the host of any sandbox of this data directory.
    pub fn traces(&self) -> Traces {
        Traces::of(self.data_dir())
    }

    /// What the server has printed and logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.data.path().join("test-server.log")
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("open the server's log")?;
        let child = Command::new(&self.binary)
            .args(["serve", "--listen", &self.address, "--data-dir"])
            .arg(self.data.path())
            .arg("--config")
            .arg(self.data.path().join(CONFIG))
            .args(&self.arguments)
            .env("LAZARET_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        let child = self.child.insert(child);
        let client = Client::with_timeout(&format!("http://{}", self.address), None, READY_LIMIT);
        let mut ended = None;
        let ready = wait::within(READY_LIMIT, || {
            ended = child.try_wait().expect("ask for the server's end");
            let ready = client.get("/readyz").is_ok_and(|answer| answer.status == 200);
            (ready || ended.is_some()).then_some(())
        });
        self.was_ready |= ready.is_some() && ended.is_none();
        ensure!(ended.is_none(), "the server ended: {}\n{}", ended.unwrap_or_default(), self.log_tail());
        ensure!(
            ready.is_some(),
            "the server is not ready after {} s\n{}",
            READY_LIMIT.as_secs(),
            self.log_tail()
        );
        Ok(())
    }

    /// Deletes every sandbox, starting the server again for that if it is gone.
    fn delete_all(&mut self) -> Result<()> {
        if self.child.is_none() {
            self.spawn()?;
        }
        let client = self.client();
        loop {
            let page = client.get("/lazaret/v1/sandboxes?limit=1000")?.json();
            let sandboxes = page["sandboxes"].as_array().context("a list of sandboxes")?;
            for sandbox in sandboxes {
                let id = sandbox["id"].as_str().context("an id")?;
                let answer = client.delete(&format!("/lazaret/v1/sandboxes/{id}"))?;
                ensure!([204, 404].contains(&answer.status), "delete {id}: {answer}");
            }
            if page["has_more"] != true {
                return Ok(());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if failing {
            eprintln!("the end of the server's log:\n{}", self.log_tail());
        }
        let deleted = if self.was_ready { self.delete_all() } else { Ok(()) };
        let clean = wait::within(CLEAN_LIMIT, || self.traces().is_empty().then_some(()));
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        traces::remove_cgroup_parent(&self.cgroup_parent);
        if failing {
            return;
        }
        if let Err(error) = deleted {
            panic!("delete what the test made: {error:#}\n{}", self.log_tail());
        }
        assert!(clean.is_some(), "left on the host: {}\n{}", self.traces(), self.log_tail());
    }
}
