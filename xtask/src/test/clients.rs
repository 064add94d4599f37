//! The SDKs that the client suites run, installed once under `<target>/clients` and kept until their pins change.
//!
//! ```text
//!   target/clients/python/    a virtual environment with tests/clients/requirements.txt
//!   target/clients/litellm/   another, because litellm pins an `openai` of its own
//!   target/clients/mcp/       another, for the client of the Model Context Protocol
//!   target/clients/schemathesis/  another, for requests made from our own documents
//!   target/clients/daytona/   another, because the `daytona` package pins much of its own
//!   target/clients/sdk/       the source archive of `openai`, because only that holds the SDK's own tests
//!   target/clients/node/      tests/clients/package.json and its node_modules
//!   …/.pins                   the pins it was made from; written last, so a half-made folder is made again
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{step, workspace};

/// Longest one installer may take; the largest download is some 40 MB.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

const STAMP: &str = ".pins";

/// Makes the folders, or leaves alone those that hold what is pinned.
pub(super) fn prepare(target: &Path) -> Result<()> {
    let clients = workspace::root().join("tests/clients");
    let folder = target.join("clients");
    install(&folder.join("python"), &clients.join("requirements.txt"), python)?;
    install(&folder.join("litellm"), &clients.join("requirements-litellm.txt"), python)?;
    install(&folder.join("mcp"), &clients.join("requirements-mcp.txt"), python)?;
    install(&folder.join("schemathesis"), &clients.join("requirements-schemathesis.txt"), python)?;
    daytona(target)?;
    install(&folder.join("sdk"), &clients.join("requirements-sdk.txt"), sdk)?;
    install(&folder.join("node"), &clients.join("package.json"), node)
}

/// Makes the folder of the `daytona` package, or leaves it alone, and gives the path of its Python.
///
/// # Errors
/// If it cannot be made, because no package registry is reachable for one.
pub(crate) fn daytona(target: &Path) -> Result<PathBuf> {
    let folder = target.join("clients/daytona");
    install(&folder, &workspace::root().join("tests/clients/requirements-daytona.txt"), python)?;
    Ok(folder.join("bin/python"))
}

/// Makes `folder` afresh with `make` unless its stamp equals the text of `pins`.
fn install(folder: &Path, pins: &Path, make: fn(&Path, &Path) -> Result<()>) -> Result<()> {
    let wanted = fs::read_to_string(pins).with_context(|| format!("read {}", pins.display()))?;
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    make(folder, pins)?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

fn python(folder: &Path, pins: &Path) -> Result<()> {
    step::run(Command::new("python3").args(["-m", "venv"]).arg(folder), INSTALL_LIMIT)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(pins);
    step::run(&mut pip, INSTALL_LIMIT)
}

/// Downloads the source archive and unpacks it into `source/`.
fn sdk(folder: &Path, pins: &Path) -> Result<()> {
    let mut pip = Command::new(folder.with_file_name("python").join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-binary",
        ":all:",
    ]);
    step::run(pip.arg("--dest").arg(folder).arg("--requirement").arg(pins), INSTALL_LIMIT)?;
    let mut archives = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = archives.find(|path| path.extension().is_some_and(|end| end == "gz"));
    let archive = archive.context("pip brought no source archive")?;
    let source = folder.join("source");
    fs::create_dir(&source)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--directory"]).arg(source).arg("--file").arg(archive);
    step::run(&mut tar, INSTALL_LIMIT)
}

fn node(folder: &Path, pins: &Path) -> Result<()> {
    fs::copy(pins, folder.join("package.json")).context("copy package.json")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder);
    step::run(&mut npm, INSTALL_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_made_again_only_when_its_pins_change_or_it_was_left_half_made() {
        fn mark(folder: &Path, _: &Path) -> Result<()> {
            Ok(fs::write(folder.join("made"), "")?)
        }
        let scratch = std::env::temp_dir().join(format!("xtask-clients-{}", std::process::id()));
        let (folder, pins) = (scratch.join("python"), scratch.join("pins"));
        fs::create_dir_all(&scratch).unwrap();
        let made_again = |pinned: &str| {
            fs::write(&pins, pinned).unwrap();
            let _ = fs::remove_file(folder.join("made"));
            install(&folder, &pins, mark).unwrap();
            folder.join("made").exists()
        };
        let seen = [made_again("a==1"), made_again("a==1"), made_again("a==2"), {
            fs::remove_file(folder.join(STAMP)).unwrap();
            made_again("a==2")
        }];
        fs::remove_dir_all(&scratch).unwrap();
        assert_eq!(seen, [true, false, true, true]);
    }
}
