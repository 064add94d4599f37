//! The root file system that every contender runs on, made once under `<target>/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use lazaret_tests::registry::{small_layer, write_docker_archive};

use crate::needs::{self, Need};
use crate::step;

/// Longest that the packages of a minimal Debian may take to download and unpack.
const MAKE_LIMIT: Duration = Duration::from_secs(10 * 60);

const MMDEBSTRAP: Need = Need {
    package: "mmdebstrap",
    probe: ("mmdebstrap", &["--version"]),
    why: "makes the rootfs that all contenders run on",
};

/// Layers of the image of many.
const LAYERS: usize = 60;

/// A minimal Debian with Python, as a folder and as the archive that it was unpacked from.
pub(crate) struct Rootfs {
    pub(crate) folder: PathBuf,
    pub(crate) archive: PathBuf,
}

impl Rootfs {
    /// Writes an image of [`LAYERS`] layers into `folder`, the rootfs and a small file in each above it, as `docker save`
    /// would.
    ///
    /// # Errors
    /// If `tar` or `sha256sum` cannot do their part.
    pub(crate) fn in_many_layers(&self, folder: &Path) -> Result<PathBuf> {
        let mut layers = vec![self.archive.clone()];
        for number in 1..LAYERS {
            layers.push(small_layer(folder, number)?);
        }
        let image = folder.join("layers.tar");
        write_docker_archive(&image, &layers)?;
        Ok(image)
    }
}

/// Makes the rootfs in `bench`, unless it is there.
pub(crate) fn make(bench: &Path) -> Result<Rootfs> {
    let rootfs = Rootfs { folder: bench.join("rootfs"), archive: bench.join("rootfs.tar") };
    if rootfs.folder.is_dir() {
        return Ok(rootfs);
    }
    needs::install(&[MMDEBSTRAP])?;
    fs::create_dir_all(bench).with_context(|| format!("create {}", bench.display()))?;
    let mut make = Command::new("mmdebstrap");
    make.args(["--variant=minbase", "--include=python3-minimal", "--quiet", "bookworm"]).arg(&rootfs.archive);
    step::run(&mut make, MAKE_LIMIT)?;
    let unpacked = bench.join("rootfs.partial");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).context("remove a half-unpacked rootfs")?;
    }
    fs::create_dir(&unpacked)?;
    let mut unpack = Command::new("tar");
    // Device nodes of the host do not belong on its disk a second time; every contender makes its own /dev.
    unpack.arg("--extract").arg("--file").arg(&rootfs.archive).arg("--directory").arg(&unpacked);
    unpack.arg("--exclude=./dev/*");
    step::run(&mut unpack, MAKE_LIMIT)?;
    fs::rename(&unpacked, &rootfs.folder).context("put the rootfs in place")?;
    Ok(rootfs)
}
