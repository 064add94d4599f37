//! What the tests and the benchmark need from the machine, and how to get it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::step;

/// Longest that the package manager may take for all packages.
const APT_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Longest that compiling cargo-nextest may take on two cores.
const NEXTEST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A Debian package and the probe that succeeds when it need not be installed.
pub(crate) struct Need {
    pub(crate) package: &'static str,
    pub(crate) probe: (&'static str, &'static [&'static str]),
    pub(crate) why: &'static str,
}

/// What `cargo xtask test` needs.
pub(crate) const OF_TESTS: &[Need] = &[
    Need { package: "e2fsprogs", probe: ("mkfs.ext4", &["-V"]), why: "a sandbox's disk is an ext4 file" },
    Need { package: "nftables", probe: ("nft", &["--version"]), why: "the gateway's rules" },
    Need { package: "iproute2", probe: ("ip", &["-V"]), why: "networks of the tests' own" },
    Need { package: "procps", probe: ("pkill", &["--version"]), why: "commands inside the host image" },
    Need { package: "curl", probe: ("curl", &["--version"]), why: "a line that `serve` prints uses it" },
    Need { package: "python3", probe: ("python3", &["-V"]), why: "client suites; Python in the host image" },
    Need {
        package: "python3-venv",
        probe: ("python3", &["-c", "import ensurepip, venv"]),
        why: "client suites",
    },
    Need {
        package: "nodejs",
        probe: ("node", &["--version"]),
        why: "client suites; JavaScript in the host image",
    },
    Need {
        package: "git",
        probe: ("git", &["http-backend", "-h"]),
        why: "repositories and servers that git is tested with",
    },
    Need { package: "busybox-static", probe: ("busybox", &["true"]), why: "an image without git" },
    Need { package: "npm", probe: ("npm", &["--version"]), why: "client suites" },
    Need {
        package: "docker-registry",
        probe: ("docker-registry", &["--version"]),
        why: "images are pulled from it",
    },
    Need { package: "skopeo", probe: ("skopeo", &["--version"]), why: "images are pushed with it" },
    Need { package: "buildah", probe: ("buildah", &["--version"]), why: "what it builds is compared with" },
    Need { package: "mmdebstrap", probe: ("mmdebstrap", &["--version"]), why: "a Debian image is made" },
    Need { package: "busybox-static", probe: ("/bin/busybox", &["true"]), why: "an image without libc" },
    Need {
        package: "python3-matplotlib",
        // As below.
        probe: ("/usr/bin/python3", &["-c", "import matplotlib"]),
        why: "figures of code in the host image",
    },
    Need {
        package: "python3-pylsp",
        probe: ("/usr/bin/pylsp", &["--version"]),
        why: "the language server in the host image",
    },
    Need {
        package: "python3-requests",
        // Debian's own interpreter, which is the one in the host image.
        probe: ("/usr/bin/python3", &["-c", "import requests"]),
        why: "a client in the host image that is to reach an allowed name",
    },
];

/// Installs the Debian packages of `needs` that are missing.
///
/// # Errors
/// If something is missing and cannot be installed here; the message is the command that would.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !step::probe(need.probe.0, need.probe.1)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("missing: {} ({})", need.package, need.why);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this is not Debian: install what these packages hold: {}", packages.join(" "));
    }
    apt_get(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    step::run(&mut command, APT_LIMIT).context("install Debian packages")
}

/// True if cargo-nextest is there, compiling it first if it is not.
pub(crate) fn have_nextest() -> Result<bool> {
    let probe = || step::probe("cargo", &["nextest", "--version"]);
    if probe() {
        return Ok(true);
    }
    let installed =
        step::run(Command::new("cargo").args(["install", "--locked", "cargo-nextest"]), NEXTEST_LIMIT);
    if let Err(error) = installed {
        eprintln!("{error:#}");
    }
    Ok(probe())
}
