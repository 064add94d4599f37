//! Our own figures, all through the HTTP API of a release build, as a client on a kept-alive connection sees them.

mod latency;
mod memory;
mod transfer;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lazaret_tests::{Client, Server};
use serde_json::{Value, json};

use super::rootfs::Rootfs;
use super::samples::Samples;
pub(super) use transfer::Transfer;

/// Longest that one exchange may take; the import of the image is the longest.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(120);

/// The name that the shared rootfs is imported as.
const IMAGE: &str = "bench";

/// Everything that we measure of ourselves.
pub(crate) struct Ours {
    pub(crate) create: Samples,
    pub(crate) exec: Samples,
    pub(crate) python: Samples,
    /// Many creates at once, each to the output of its first command.
    pub(crate) burst: Samples,
    /// What one idle sandbox holds, in bytes, averaged over many.
    pub(crate) idle_pss_bytes: u64,
    /// With that many idle sandboxes, how long an exec takes.
    pub(crate) exec_among_idle: Samples,
    pub(crate) transfer: Transfer,
}

/// Starts the server `binary`, imports the rootfs and measures everything.
///
/// # Errors
/// If anything fails or answers otherwise than it should: a figure of a failure is no figure.
pub(crate) fn measure(binary: &Path, rootfs: &Rootfs) -> Result<Ours> {
    eprintln!("measuring lazaret");
    let server = Server::start_with(binary, &[])?;
    let api = Api { client: Client::with_timeout(&server.url(), Some(lazaret_tests::KEY), EXCHANGE_LIMIT) };
    api.import(&rootfs.archive)?;
    let create = latency::create(&api)?;
    let exec = latency::exec(&api)?;
    let python = latency::python(&api)?;
    let burst = latency::burst(&api)?;
    let (idle_pss_bytes, exec_among_idle) = memory::idle(&api)?;
    let transfer = transfer::measure(&api, server.pid())?;
    Ok(Ours { create, exec, python, burst, idle_pss_bytes, exec_among_idle, transfer })
}

/// The few calls that the measurements make.
#[derive(Clone)]
struct Api {
    client: Client,
}

impl Api {
    fn import(&self, archive: &Path) -> Result<()> {
        let mut archive = std::fs::File::open(archive).context("open the rootfs archive")?;
        let path = format!("/lazaret/v1/images/import?name={IMAGE}&source=rootfs-tar");
        let body = ureq::SendBody::from_reader(&mut archive);
        let answer = self.client.send(ureq::http::Method::POST, &path, &[], body)?;
        anyhow::ensure!(answer.status == 201, "import the rootfs: {answer}");
        Ok(())
    }

    /// Creates a sandbox from the shared rootfs and gives its id. `settings` are further fields of the request.
    fn create(&self, settings: Value) -> Result<String> {
        let mut body = json!({ "image": IMAGE });
        if let (Some(body), Value::Object(settings)) = (body.as_object_mut(), settings) {
            body.extend(settings);
        }
        let answer = self.client.post("/lazaret/v1/sandboxes", &body)?;
        anyhow::ensure!(answer.status == 201, "create: {answer}");
        answer.json()["id"].as_str().map(str::to_owned).context("a sandbox has an id")
    }

    fn delete(&self, id: &str) -> Result<()> {
        let answer = self.client.delete(&format!("/lazaret/v1/sandboxes/{id}"))?;
        anyhow::ensure!(answer.status == 204, "delete: {answer}");
        Ok(())
    }

    /// Runs `true` in the sandbox and insists on its exit code.
    fn exec_true(&self, id: &str) -> Result<()> {
        let body = json!({ "command": ["true"] });
        let answer = self.client.post(&format!("/lazaret/v1/sandboxes/{id}/exec"), &body)?;
        anyhow::ensure!(answer.status == 200 && answer.json()["exit_code"] == 0, "exec: {answer}");
        Ok(())
    }

    /// Runs `print(1)` and insists on its output.
    fn run_python(&self, id: &str) -> Result<()> {
        let body = json!({ "language": "python", "code": "print(1)" });
        let answer = self.client.post(&format!("/lazaret/v1/sandboxes/{id}/run"), &body)?;
        anyhow::ensure!(answer.status == 200 && answer.json()["stdout"] == "1\n", "run: {answer}");
        Ok(())
    }
}
