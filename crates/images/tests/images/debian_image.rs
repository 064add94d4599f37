//! A real root file system, made by Debian's tools, arrives as `tar` would unpack it, in each of its packagings.
//!
//! Skipped, with a line that says so, where `mmdebstrap`, `umoci` or `skopeo` is missing or the archive of Debian
//! cannot be reached.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::Store;

/// What there is to know about an entry of a tree.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
    contents: Vec<u8>,
}

/// Every entry of a tree by its path. Of files the digest is kept, of symlinks the target.
fn tree(root: &Path) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let contents = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                crate::support::sha256(&fs::read(&path).unwrap()).as_bytes().to_vec()
            } else {
                Vec::new()
            };
            let kind = metadata.file_type();
            // Made by the runtime, not taken from an image.
            if kind.is_char_device() || kind.is_block_device() {
                continue;
            }
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            let links = if metadata.is_dir() { 0 } else { metadata.nlink() };
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            let owner = (metadata.uid(), metadata.gid());
            seen.insert(name, Seen { mode: metadata.mode(), owner, modified, links, contents });
        }
    }
    seen
}

/// Runs a program; the end of what it said if it failed.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program}: {}", said.lines().last().unwrap_or_default()))
}

/// Compares two trees; `time` says whether times of change are those of the archive.
fn same(packaging: &str, found: &BTreeMap<String, Seen>, wanted: &BTreeMap<String, Seen>) {
    let missing: Vec<_> = wanted.keys().filter(|name| !found.contains_key(*name)).collect();
    let extra: Vec<_> = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{packaging}: missing {missing:?}, extra {extra:?}");
    for (name, entry) in wanted {
        assert_eq!(&found[name], entry, "{packaging}: {name}");
    }
}

#[tokio::test]
async fn a_debian_root_file_system_arrives_as_tar_would_unpack_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: owners can only be set by root");
        return;
    }
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name).to_str().unwrap().to_owned();
    let rootfs = at("rootfs.tar");
    let made = run(
        "mmdebstrap",
        &["--quiet", "--variant=extract", "--include=base-files,passwd", "bookworm", &rootfs],
    );
    if let Err(reason) = made {
        eprintln!("skipped: {reason}");
        return;
    }
    fs::create_dir(at("wanted")).unwrap();
    run("tar", &["--extract", "--numeric-owner", "--file", &rootfs, "--directory", &at("wanted")]).unwrap();
    let wanted = tree(Path::new(&at("wanted")));
    assert!(wanted.len() > 500, "a real root file system has more than {} entries", wanted.len());
    assert!(wanted.values().any(|seen| seen.mode & 0o4000 != 0), "it has setuid programs");

    let store = Store::new();
    let image = store.import(fs::read(&rootfs).unwrap(), Some("debian")).await.unwrap();
    same("rootfs tar", &tree(&store.root(&image).await), &wanted);

    let layout = at("layout");
    let packed = run("umoci", &["init", "--layout", &layout])
        .and_then(|()| run("umoci", &["new", "--image", &format!("{layout}:base")]))
        .and_then(|()| run("umoci", &["raw", "add-layer", "--image", &format!("{layout}:base"), &rootfs]))
        .and_then(|()| {
            run(
                "skopeo",
                &[
                    "copy",
                    &format!("oci:{layout}:base"),
                    &format!("docker-archive:{}:debian:saved", at("saved.tar")),
                ],
            )
        })
        .and_then(|()| {
            run(
                "skopeo",
                &[
                    "copy",
                    &format!("oci:{layout}:base"),
                    &format!("oci-archive:{}:debian:oci", at("oci.tar")),
                ],
            )
        });
    if let Err(reason) = packed {
        eprintln!("skipped the packaged forms: {reason}");
        return;
    }
    // A layout in a directory comes as a tar of the directory.
    run("tar", &["--create", "--file", &at("layout.tar"), "--directory", &layout, "."]).unwrap();
    let image = store.import(fs::read(at("layout.tar")).unwrap(), Some("debian:layout")).await.unwrap();
    same("layout.tar", &tree(&store.root(&image).await), &wanted);
    for (file, name) in [("saved.tar", "debian:saved"), ("oci.tar", "debian:oci")] {
        let image = store.import(fs::read(at(file)).unwrap(), None).await.unwrap();
        assert!(image.names.iter().any(|its| its == name), "{:?}", image.names);
        same(file, &tree(&store.root(&image).await), &wanted);
    }
}
