//! The arrows between our crates: which may depend on which, and what `core` must never see.
//!
//! ```text
//!   cli ──HTTP──▶ server ──▶ api ──▶ core ◀── store · images · egress · runtime ──▶ protocol ◀── guest · git
//! ```
//!
//! Tests may reach further, so dev-dependencies are not judged. A new arrow is a change of the architecture: it is made here, in ARCHITECTURE.md and in the commit message.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::workspace;

/// Each crate with those of our crates that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("lazaret-core", &[]),
    ("lazaret-protocol", &[]),
    ("lazaret-git", &["lazaret-protocol"]),
    ("lazaret-guest", &["lazaret-protocol"]),
    ("lazaret-store", &["lazaret-core"]),
    ("lazaret-images", &["lazaret-core"]),
    ("lazaret-runtime", &["lazaret-core", "lazaret-protocol"]),
    ("lazaret-transpile", &["lazaret-core"]),
    ("lazaret-egress", &["lazaret-core"]),
    ("lazaret-api", &["lazaret-core"]),
    ("lazaret-cli", &["lazaret-core"]),
    (
        "lazaret-server",
        &[
            "lazaret-api",
            "lazaret-cli",
            "lazaret-core",
            "lazaret-egress",
            "lazaret-images",
            "lazaret-runtime",
            "lazaret-store",
            "lazaret-transpile",
        ],
    ),
    ("lazaret-tests", &[]),
    ("xtask", &["lazaret-tests"]),
];

/// Libraries that would bring a wire format, SQL, HTTP or system calls into the core. JSON is there for what language servers in
/// sandboxes speak; without `serde` no noun can become a wire type.
const BANNED_IN_CORE: &[&str] = &["axum", "http", "hyper", "libc", "rusqlite", "rustix", "serde", "utoipa"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
    /// Set for crates of this workspace only.
    path: Option<String>,
}

pub(super) fn run() -> Result<()> {
    let output = workspace::cargo()
        .args(["metadata", "--locked", "--no-deps", "--format-version", "1"])
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("read the answer of cargo metadata")?;
    let wrong = judge(&metadata.packages);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// What is wrong with the arrows, a line each.
fn judge(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!("crate {} has no line in xtask/src/check/arrows.rs", package.name));
            continue;
        };
        let shipped =
            package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        for dependency in shipped {
            let name = dependency.name.as_str();
            let ours = dependency.path.is_some() && !allowed.contains(&name);
            let banned = package.name == "lazaret-core" && BANNED_IN_CORE.contains(&name);
            if ours || banned {
                wrong.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate with dependencies that are ours or not.
    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependency = |&(name, ours): &(&str, bool)| Dependency {
            name: name.to_owned(),
            kind: None,
            path: ours.then(String::new),
        };
        Package { name: name.to_owned(), dependencies: dependencies.iter().map(dependency).collect() }
    }

    #[test]
    fn an_arrow_out_of_the_core_or_between_adapters_is_refused() {
        for (from, to, ours) in [
            ("lazaret-core", "lazaret-store", true),
            ("lazaret-core", "serde", false),
            ("lazaret-store", "lazaret-images", true),
            ("lazaret-guest", "lazaret-core", true),
        ] {
            assert_eq!(judge(&[package(from, &[(to, ours)])]), [format!("{from} must not depend on {to}")]);
        }
    }

    #[test]
    fn what_only_the_tests_of_a_crate_use_is_not_judged() {
        let mut tested = package("lazaret-api", &[("lazaret-store", true)]);
        tested.dependencies[0].kind = Some("dev".to_owned());
        assert_eq!(judge(&[tested]), [""; 0]);
    }

    #[test]
    fn the_drawn_arrows_and_foreign_libraries_pass_and_an_unknown_crate_does_not() {
        let drawn = package("lazaret-api", &[("lazaret-core", true), ("serde", false)]);
        assert_eq!(judge(&[drawn]), [""; 0]);
        let unknown = judge(&[package("lazaret-new", &[])]);
        assert_eq!(unknown, ["crate lazaret-new has no line in xtask/src/check/arrows.rs"]);
    }
}
