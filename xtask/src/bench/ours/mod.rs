//! Our own figures, all through the HTTP API of a release build, as a client on a kept-alive connection sees them.

mod latency;
mod memory;
mod package;
mod processes;
mod transfer;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Client, KEY, Native, Server};
use serde_json::json;

use super::rootfs::Rootfs;
use super::samples::Samples;
use crate::test::clients;
pub(super) use package::Package;
pub(super) use processes::Processes;
pub(super) use transfer::Transfer;

/// Longest that one exchange may take; the import of the image is the longest.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(120);

/// The name that the shared rootfs is imported as.
const IMAGE: &str = "bench";

/// The name of the one with the same files in many layers.
const LAYERED_IMAGE: &str = "bench-layers";

/// Everything that we measure of ourselves.
pub(crate) struct Ours {
    pub(crate) create: Samples,
    /// What a network adds to that; `None` on a host that cannot give one.
    pub(crate) networked: Option<ByTurns>,
    /// What the layers of an image cost, of which the shared rootfs has one.
    pub(crate) layered: ByTurns,
    pub(crate) exec: Samples,
    pub(crate) python: Samples,
    /// Many creates at once, each to the output of its first command.
    pub(crate) burst: Samples,
    /// What one idle sandbox holds, in bytes, averaged over many.
    pub(crate) idle_pss_bytes: u64,
    /// With that many idle sandboxes, how long an exec takes.
    pub(crate) exec_among_idle: Samples,
    pub(crate) transfer: Transfer,
    pub(crate) processes: Processes,
    /// `None` where the `daytona` package cannot be installed.
    pub(crate) package: Option<Package>,
}

/// Creates to first output, without something and with it, made by turns.
pub(crate) struct ByTurns {
    pub(crate) without: Samples,
    pub(crate) with: Samples,
}

/// Starts the server of the release build beneath `target`, imports the rootfs and measures everything.
///
/// # Errors
/// If anything fails or answers otherwise than it should: a figure of a failure is no figure.
pub(crate) fn measure(target: &Path, rootfs: &Rootfs) -> Result<Ours> {
    eprintln!("measuring lazaret");
    let server = Server::start_with(&target.join("release/lazaret"), &[])?;
    let client = Client::with_timeout(&server.url(), Some(KEY), EXCHANGE_LIMIT);
    let api = Api { native: Native::new(client) };
    api.native.import_rootfs(IMAGE, File::open(&rootfs.archive).context("open the rootfs archive")?)?;
    let create = latency::create(&api)?;
    let networked = match latency::create_networked(&api) {
        Ok(networked) => Some(networked),
        Err(error) => {
            eprintln!("NOTICE: sandboxes with a network are not measured: {error:#}");
            None
        }
    };
    let layers = tempfile::tempdir().context("make a folder for layers")?;
    let layered = rootfs.in_many_layers(layers.path())?;
    api.native.import_docker_archive(LAYERED_IMAGE, File::open(&layered)?)?;
    layers.close().context("remove the layers")?;
    let layered = latency::create_layered(&api)?;
    let exec = latency::exec(&api)?;
    let python = latency::python(&api)?;
    let burst = latency::burst(&api)?;
    let (idle_pss_bytes, exec_among_idle) = memory::idle(&api)?;
    let transfer = transfer::measure(&api, server.pid())?;
    let processes = processes::measure(&api, &server.url(), server.pid())?;
    let package = match clients::daytona(target) {
        Ok(python) => Some(package::measure(&api, &server.url(), &python)?),
        Err(error) => {
            eprintln!("NOTICE: the `daytona` package is not measured: {error:#}");
            None
        }
    };
    Ok(Ours {
        create,
        networked,
        layered,
        exec,
        python,
        burst,
        idle_pss_bytes,
        exec_among_idle,
        transfer,
        processes,
        package,
    })
}

/// What the measurements ask for, always on the shared rootfs.
#[derive(Clone)]
struct Api {
    native: Native,
}

impl Api {
    /// Creates a sandbox from the shared rootfs.
    fn create(&self) -> Result<String> {
        self.native.create(&json!({ "image": IMAGE }))
    }

    /// The same with a network, by an allow-list.
    fn create_networked(&self) -> Result<String> {
        let network = json!({ "type": "allowlist", "domains": ["example.com"] });
        self.native.create(&json!({ "image": IMAGE, "network": network }))
    }

    /// The same files, from an image of many layers.
    fn create_layered(&self) -> Result<String> {
        self.native.create(&json!({ "image": LAYERED_IMAGE }))
    }

    fn delete(&self, id: &str) -> Result<()> {
        self.native.delete(id)
    }

    /// Runs `true` in the sandbox and insists on its exit code.
    fn exec_true(&self, id: &str) -> Result<()> {
        self.native.exec(id, &["true"]).map(drop)
    }

    /// Runs `print(1)` and insists on its output.
    fn run_python(&self, id: &str) -> Result<()> {
        let done = self.native.run(id, "python", "print(1)")?;
        ensure!(done["stdout"] == "1\n", "run: {done}");
        Ok(())
    }
}
