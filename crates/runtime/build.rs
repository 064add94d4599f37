//! Builds the programs that run inside sandboxes, so that `cargo build` of the server is all there is to build.
//!
//! The guest and its git program run in any image, with or without a C library, so they are linked statically; and they
//! are programs of another profile, small and without the server's features. Cargo cannot yet express either for a
//! dependency (artifact dependencies are unstable), so this script calls cargo once more for each, with a target folder
//! of their own and the same lock file. The git program has dependencies that the server has not, so a first build fetches
//! them here.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The profile in the workspace's `Cargo.toml`.
const PROFILE: &str = "guest";

/// Variables by which an outer cargo, clippy or a user would change how the guest is built. What remains in the
/// environment (jobserver, compiler, proxies) is meant for all of a build.
const NOT_PASSED_ON: [&str; 5] = [
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_RUSTFLAGS",
];

fn main() {
    let out = PathBuf::from(variable("OUT_DIR"));
    let crates = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let target = variable("TARGET");
    for package in ["guest", "git", "protocol"] {
        println!("cargo::rerun-if-changed={}", crates.join(package).join("src").display());
        println!("cargo::rerun-if-changed={}", crates.join(package).join("Cargo.toml").display());
    }
    println!("cargo::rerun-if-changed={}", crates.join("../Cargo.toml").display());
    for (package, variable) in [("guest", "LAZARET_GUEST"), ("git", "LAZARET_GIT")] {
        let program = build(&crates, package, &target, &out.join("guest"));
        println!("cargo::rustc-env={variable}={}", program.display());
    }
}

fn build(crates: &Path, package: &str, target: &str, target_dir: &Path) -> PathBuf {
    let name = format!("lazaret-{package}");
    let mut cargo = Command::new(variable("CARGO"));
    for name in NOT_PASSED_ON {
        cargo.env_remove(name);
    }
    cargo
        // With `--target`, these flags reach the program and its dependencies, not their build scripts and macros.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .arg("build")
        .args(["--package", &name, "--profile", PROFILE, "--target", target])
        .arg("--locked")
        .arg("--manifest-path")
        .arg(crates.join(package).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir);
    let status = cargo.status().unwrap_or_else(|error| panic!("cannot run {cargo:?}: {error}"));
    assert!(status.success(), "building {name} failed: {status}; the command was {cargo:?}");
    target_dir.join(target).join(PROFILE).join(name)
}

/// A variable that cargo sets for build scripts.
#[expect(clippy::disallowed_methods, reason = "build scripts are told everything by the environment")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo did not set {name}: {error}"))
}
