//! The built-in image: what it shows of the host, what it hides, and when it is built again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use lazaret_core::ports::Images;
use lazaret_core::{Error, Image, ManualClock, Timestamp, Viewer};
use lazaret_images::registry::settings::RegistrySettings;
use lazaret_images::unpack::limits::UnpackLimits;
use lazaret_images::{HostError, ImageStore, ImagesError};
use tempfile::TempDir;

/// A small host: a merged /usr, public settings, and secrets of every kind next to them.
fn small_host() -> TempDir {
    let host = TempDir::new().unwrap();
    let at = |path: &str| host.path().join(path);
    for directory in [
        "usr/bin",
        "usr/lib",
        "usr/sbin",
        "etc/alternatives",
        "etc/ssl/certs",
        "etc/ssl/private",
        "etc/ssh",
        "etc/ld.so.conf.d",
        "etc/perl",
        "home/alice",
        "root",
        "var/lib",
        "srv",
        "opt",
    ] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "/usr/lib"),
        ("etc/alternatives/awk", "/usr/bin/mawk"),
        ("etc/ssl/certs/root.0", "root.pem"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    for (path, mode) in [
        ("etc/ld.so.cache", 0o644),
        ("etc/ld.so.conf.d/libc.conf", 0o644),
        ("etc/ssl/certs/root.pem", 0o644),
        ("etc/perl/public.pm", 0o644),
        ("etc/perl/private.pm", 0o640),
        ("etc/ssl/private/server.key", 0o600),
        ("etc/ssh/ssh_host_rsa_key", 0o600),
        ("etc/shadow", 0o640),
        ("etc/machine-id", 0o444),
        ("etc/hostname", 0o644),
        ("etc/pip.conf", 0o644),
        ("home/alice/notes", 0o644),
        ("root/.bashrc", 0o644),
        ("var/lib/secret", 0o644),
        ("srv/secret", 0o644),
        ("opt/secret", 0o644),
    ] {
        fs::write(at(path), format!("contents of {path}\n")).unwrap();
        fs::set_permissions(at(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::write(at("etc/passwd"), "alice:x:1000:1000::/home/alice:/bin/sh\n").unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    fs::write(at("etc/ssl/certs/both.pem"), key).unwrap();
    host
}

fn open(directory: &Path, host: &Path) -> Result<ImageStore, ImagesError> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_micros(1_700_000_000_000_000)));
    ImageStore::open(directory, host, clock, UnpackLimits::default(), RegistrySettings::default())
}

async fn host_image(store: &ImageStore) -> Image {
    store.find("host", Viewer::Server).await.unwrap().expect("the host image is always there")
}

/// The image's own root, without /usr.
async fn skeleton(store: &ImageStore, image: &Image) -> PathBuf {
    store.rootfs(&image.digest).await.unwrap().lowers[0].source.clone()
}

/// Every path below a directory, relative to it.
fn names_below(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            names.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn it_shows_public_settings_and_none_of_the_hosts_secrets() {
    let (host, data) = (small_host(), TempDir::new().unwrap());
    let store = open(data.path(), host.path()).unwrap();
    let image = host_image(&store).await;
    let root = skeleton(&store, &image).await;

    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "/usr/lib"),
        ("etc/alternatives/awk", "/usr/bin/mawk"),
        ("etc/ssl/certs/root.0", "root.pem"),
        ("var/run", "/run"),
    ] {
        assert_eq!(fs::read_link(root.join(link)).unwrap(), Path::new(target), "{link}");
    }
    for path in
        ["etc/ld.so.cache", "etc/ld.so.conf.d/libc.conf", "etc/ssl/certs/root.pem", "etc/perl/public.pm"]
    {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), format!("contents of {path}\n"));
    }
    let names = names_below(&root);
    for hidden in
        ["private", "ssh", "shadow", "machine-id", "hostname", "pip.conf", "both.pem", "alice", "secret"]
    {
        let shown: Vec<_> = names.iter().filter(|name| name.contains(hidden)).collect();
        assert!(shown.is_empty(), "{hidden} is shown as {shown:?}");
    }
    assert!(!fs::read_to_string(root.join("etc/passwd")).unwrap().contains("alice"));

    for (path, mode, owner) in [
        ("", 0o755, 0),
        ("tmp", 0o1777, 0),
        ("var/tmp", 0o1777, 0),
        ("root", 0o700, 0),
        ("home/user", 0o755, 1000),
        ("mnt/data", 0o755, 0),
        ("etc/passwd", 0o644, 0),
    ] {
        let metadata = fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()),
            (mode, owner, owner),
            "{path}"
        );
    }
    assert!(!names.iter().any(|name| name.starts_with("usr/") || name.starts_with("lib32")));
}

#[tokio::test]
async fn it_is_built_again_when_the_host_changes_and_the_old_one_stays() {
    let (host, data) = (small_host(), TempDir::new().unwrap());
    let store = open(data.path(), host.path()).unwrap();
    let first = host_image(&store).await;
    assert_eq!(host_image(&store).await, first);
    assert!(first.built_in);

    fs::write(host.path().join("etc/ld.so.cache"), "another library\n").unwrap();
    let second = host_image(&store).await;
    assert_ne!(second.digest, first.digest);
    let cache = |root: PathBuf| fs::read_to_string(root.join("etc/ld.so.cache")).unwrap();
    assert_eq!(cache(skeleton(&store, &second).await), "another library\n");
    assert_eq!(cache(skeleton(&store, &first).await), "contents of etc/ld.so.cache\n");

    let names: Vec<_> = store
        .list(Viewer::Server)
        .await
        .unwrap()
        .into_iter()
        .map(|image| (image.names, image.digest))
        .collect();
    assert_eq!(names, [(vec!["host".to_owned()], second.digest), (vec![], first.digest)]);
    store.remove(&first.digest.to_string(), Viewer::Server).await.unwrap();
    assert!(matches!(store.rootfs(&first.digest).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.remove("host", Viewer::Server).await, Err(Error::Invalid { field: "image", .. })));
    assert!(matches!(
        store.remove(&second.digest.to_string(), Viewer::Server).await,
        Err(Error::Invalid { field: "image", .. })
    ));
}

#[tokio::test]
async fn a_restart_finds_the_same_image_and_clears_what_a_crash_left() {
    let (host, data) = (small_host(), TempDir::new().unwrap());
    let store = open(data.path(), host.path()).unwrap();
    let image = host_image(&store).await;
    assert!(matches!(open(data.path(), host.path()), Err(ImagesError::Busy(_))));
    drop(store);

    // A kill between the steps of a build leaves a work directory, or a tree without a record.
    let half_made = data.path().join("work/half/rootfs/etc");
    fs::create_dir_all(&half_made).unwrap();
    let unnamed = data.path().join("rootfs").join("ab".repeat(32));
    fs::create_dir(&unnamed).unwrap();

    let store = open(data.path(), host.path()).unwrap();
    // Not even before anybody has asked for it by name.
    assert!(matches!(
        store.remove(&image.digest.to_string(), Viewer::Server).await,
        Err(Error::Invalid { field: "image", .. })
    ));
    assert_eq!(host_image(&store).await, image);
    assert!(!half_made.exists() && !unnamed.exists());
    assert_eq!(fs::metadata(data.path()).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn a_host_that_cannot_serve_is_refused_by_name() {
    let data = TempDir::new().unwrap();
    let host = small_host();
    let inside = host.path().join("usr/data");
    assert!(matches!(open(&inside, host.path()), Err(ImagesError::Host(HostError::DataInsideUsr { .. }))));

    fs::remove_file(host.path().join("lib")).unwrap();
    fs::create_dir(host.path().join("lib")).unwrap();
    let store = open(data.path(), host.path()).unwrap();
    let found = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(store.find("host", Viewer::Server));
    let Err(Error::Unsupported { what }) = found else { panic!("{found:?}") };
    assert!(what.contains("lib is a directory of its own"), "{what}");
}

/// Mounts the image the plain way and runs the host's programs in it. Skipped where that takes rights that the test
/// does not have.
#[tokio::test]
async fn programs_of_the_host_run_in_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting needs root");
        return;
    }
    let data = TempDir::new().unwrap();
    let store = open(data.path(), Path::new("/")).unwrap();
    let root = skeleton(&store, &host_image(&store).await).await;
    let script = "mount --make-rprivate / && mount --bind \"$0\" \"$0\" && mount --bind -o ro /usr \"$0/usr\" \
                  && mount -t proc proc \"$0/proc\" && mount -t tmpfs tmpfs \"$0/tmp\" \
                  && mount --bind /dev \"$0/dev\" && exec chroot \"$0\" /usr/bin/env -i PATH=/usr/bin:/bin sh -c \"$1\"";
    for (program, command, want) in [
        ("sh", "id -un; ls /home", "root\nuser\n"),
        (
            "python3",
            "/usr/bin/python3 -c 'import json, ssl; print(len(ssl.create_default_context().get_ca_certs()) > 0)'",
            "True\n",
        ),
        ("perl", "perl -MPOSIX -e 'print getcwd(), \"\\n\"'", "/\n"),
        ("awk", "awk 'BEGIN { print 6 * 7 }'", "42\n"),
        (
            "cc",
            "echo 'int main(void){return 7;}' > /tmp/a.c && cc /tmp/a.c -o /tmp/a && /tmp/a; echo $?",
            "7\n",
        ),
        ("git", "cd /tmp && git init -q r && git -C r status --short && echo ok", "ok\n"),
        ("node", "node -p '1+1'", "2\n"),
        ("java", "java -version 2>&1 | grep -c Runtime", "1\n"),
    ] {
        if !Path::new("/usr/bin").join(program).exists() {
            eprintln!("skipped {program}: the host has none");
            continue;
        }
        let output = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "sh", "-c", script])
            .arg(&root)
            .arg(command)
            .output()
            .unwrap();
        let seen = String::from_utf8_lossy(&output.stdout);
        assert_eq!(seen, want, "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
