//! `cp` against a sandbox that does its worst.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::fake::Fake;
use crate::program::{run, run_with_input};

/// Paths below `dir`, with a mark for what they are, in order.
fn tree(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, prefix: &str, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().display());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                into.push(format!("{name}/"));
                walk(&entry.path(), &format!("{name}/"), into);
            } else if kind.is_symlink() {
                into.push(format!("{name} -> {}", entry.path().read_link().unwrap().display()));
            } else {
                into.push(name);
            }
        }
    }
    let mut paths = Vec::new();
    walk(dir, "", &mut paths);
    paths.sort();
    paths
}

#[tokio::test]
async fn a_tree_comes_out_without_the_links_that_lead_away_and_without_set_id_bits() {
    let fake = Fake::start().await;
    fake.directory(
        "srv",
        &[
            ("/srv/a", "file", None),
            ("/srv/sub", "directory", None),
            ("/srv/near", "link", Some("sub/b")),
            ("/srv/far", "link", Some("/etc/passwd")),
            ("/srv/up", "link", Some("../x")),
            ("/srv/fifo", "other", None),
        ],
    );
    fake.directory("srv/sub", &[("/srv/sub/b", "file", None), ("/srv/sub/up", "link", Some("../a"))]);
    fake.file("srv/a", "first");
    fake.file("srv/sub/b", "other");
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(&fake, &["cp", "box:/srv", dir.path().to_str().unwrap()]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let want = ["srv/", "srv/a", "srv/near -> sub/b", "srv/sub/", "srv/sub/b", "srv/sub/up -> ../a"];
    assert_eq!(tree(dir.path()), want);
    let a = dir.path().join("srv/a");
    assert_eq!(std::fs::read(&a).unwrap(), b"first");
    assert_eq!(std::fs::metadata(&a).unwrap().permissions().mode() & 0o7000, 0);
    let want = "skipped /srv/far: it points out of the copy, at /etc/passwd\n\
                skipped /srv/up: it points out of the copy, at ../x\n\
                skipped /srv/fifo: it is neither a file nor a directory nor a link\n";
    assert_eq!(outcome.stderr, want);
}

#[tokio::test]
async fn a_name_that_climbs_fails_the_copy_and_writes_nothing() {
    let fake = Fake::start().await;
    fake.directory("srv", &[("/srv/..", "directory", None)]);
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(&fake, &["cp", "box:/srv", dir.path().join("out").to_str().unwrap()]).await;
    let want = "error: the sandbox reports a file name that is none: '/srv/..'\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, want));
    assert_eq!(tree(dir.path()), ["out/"]);
}

#[tokio::test]
async fn a_link_that_is_there_already_is_not_entered() {
    let fake = Fake::start().await;
    fake.directory("srv", &[("/srv/sub", "directory", None)]);
    fake.directory("srv/sub", &[("/srv/sub/b", "file", None)]);
    fake.file("srv/sub/b", "owned");
    let (dir, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(victim.path(), dir.path().join("sub")).unwrap();
    let outcome = run(&fake, &["cp", "box:/srv/.", dir.path().to_str().unwrap()]).await;
    let want = "error: sub is in the way of a directory\nhint: remove it, or copy to another place\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, want));
    assert_eq!(tree(victim.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_that_was_typed_is_followed_inside_the_sandbox() {
    let fake = Fake::start().await;
    fake.entry("etc/localtime", "link", Some("../usr/zone"));
    fake.entry("usr/zone", "file", None);
    fake.file("usr/zone", "zone");
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(&fake, &["cp", "box:/etc/localtime", dir.path().to_str().unwrap()]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(std::fs::read(dir.path().join("localtime")).unwrap(), b"zone");
}

#[tokio::test]
async fn a_local_tree_goes_in_with_its_modes_and_without_its_links() {
    let fake = Fake::start().await;
    fake.directory("srv", &[]);
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    std::fs::create_dir(&top).unwrap();
    std::fs::write(top.join("a b%"), "data").unwrap();
    std::fs::set_permissions(top.join("a b%"), std::fs::Permissions::from_mode(0o750)).unwrap();
    symlink("a b%", top.join("link")).unwrap();
    let outcome = run(&fake, &["cp", top.to_str().unwrap(), "box:/srv"]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let want = format!("skipped {}: it is a link; -L copies what it points at\n", top.join("link").display());
    assert_eq!(outcome.stderr, want);
    let written: Vec<_> = fake.seen().into_iter().filter(|(method, ..)| method != "GET").collect();
    let (mkdir, put) = (&written[0], &written[1]);
    assert_eq!((mkdir.0.as_str(), mkdir.1.as_str()), ("POST", "sandboxes/box/files/srv/top"));
    let want = "sandboxes/box/files/srv/top/a%20b%25?mode=0750&parents=false";
    assert_eq!((put.0.as_str(), put.1.as_str(), put.2.as_str()), ("PUT", want, "data"));
}

#[tokio::test]
async fn a_tar_stream_goes_in_and_comes_out() {
    let fake = Fake::start().await;
    fake.directory("srv", &[("/srv/a", "file", None)]);
    fake.file("srv/a", "first");
    let outcome = run(&fake, &["cp", "box:/srv", "-"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let mut tar = tar::Archive::new(outcome.stdout.as_slice());
    let names: Vec<_> =
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
    assert_eq!(names, [Path::new("srv"), Path::new("srv/a")]);

    let sent = run_with_input(&fake, &["cp", "-", "box:/in"], &outcome.stdout).await;
    assert_eq!((sent.code, sent.stderr.as_str()), (0, ""));
    let put = fake.seen().pop().unwrap();
    let want = "sandboxes/box/files/in/srv/a?mode=0755&parents=false";
    assert_eq!((put.0.as_str(), put.1.as_str(), put.2.as_str()), ("PUT", want, "first"));
}
