//! Where things are: the root of the checkout, its build directory, the files git knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the checkout. It is found through this crate's own folder, so `cargo xtask` works from any directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies beneath the root")
}

/// Cargo, at the root, as if it were started by hand: what an outer `cargo run` told this program about itself is left out,
/// because a dependency is compiled anew, with all that needs it, whenever that is there at one time and not at another.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .env_remove("CARGO")
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The build directory of the running xtask, which is where cargo puts everything else too.
///
/// Taken from the program's own path (`<target>/<profile>/xtask`), so `CARGO_TARGET_DIR` is honoured without being read.
pub(crate) fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("find the path of xtask itself")?;
    let target = program.ancestors().nth(2).context("xtask was not started by cargo")?;
    Ok(target.to_owned())
}

/// Every file that git tracks or would track, relative to the root, sorted.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("run git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let names = String::from_utf8(output.stdout).context("a tracked file name is not UTF-8")?;
    let mut files: Vec<PathBuf> =
        names.split_terminator('\0').map(PathBuf::from).filter(|file| root().join(file).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
