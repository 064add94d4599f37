//! Two servers on one host, with nothing set but their data directories.

#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use lazaret_tests::{Client, KEY, Native, binary, remove_cgroup_parent, wait};
use serde_json::json;
use tempfile::TempDir;

/// Longest from exec to the first ready answer.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// A server with default settings, killed on drop.
struct Plain {
    child: Child,
    native: Native,
    data: TempDir,
}

impl Plain {
    fn start() -> Result<Plain> {
        let data = tempfile::tempdir()?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(binary())
            .args(["serve", "--listen", &address, "--data-dir"])
            .arg(data.path())
            .env("LAZARET_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let client = Client::new(&format!("http://{address}"), Some(KEY));
        let server = Plain { child, native: Native::new(client), data };
        let ready = || server.native.client().get("/readyz").is_ok_and(|answer| answer.status == 200);
        wait::within(READY_LIMIT, || ready().then_some(())).context("the server is not ready")?;
        Ok(server)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        for id in self.native.list().unwrap_or_default() {
            if let Err(error) = self.native.delete(&id) {
                eprintln!("left in {}: {error:#}", self.data.path().display());
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(folder) = self.data.path().metadata() {
            remove_cgroup_parent(&format!("lazaret-{:x}-{:x}", folder.dev(), folder.ino()));
        }
    }
}

#[test]
fn a_second_server_leaves_the_sandboxes_of_the_first_alone() -> Result<()> {
    let first = Plain::start()?;
    let id = first.native.create(&json!({}))?;
    first.native.shell(&id, "echo here > /tmp/here")?;
    let second = Plain::start()?;
    second.native.create(&json!({}))?;
    assert_eq!(first.native.shell(&id, "cat /tmp/here")?, "here\n");
    assert_eq!(first.native.state(&id)?, "running");
    Ok(())
}
