//! `cp` with a real guest: what goes in comes out, and what a tenant prepares harms nobody.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lazaret_tests::Server;

use crate::{fail, lazaret, succeed, text};

/// What lies below `dir`: permissions, and a file's content or a link's target.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    fn walk(dir: &Path, below: &Path, into: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let metadata = path.symlink_metadata().expect("an entry's metadata");
            let content = if metadata.is_symlink() {
                path.read_link().expect("a link").into_os_string().as_bytes().to_vec()
            } else if metadata.is_file() {
                std::fs::read(&path).expect("a file")
            } else {
                walk(&path, &name, into);
                Vec::new()
            };
            into.insert(name, (metadata.permissions().mode(), content));
        }
    }
    let mut all = BTreeMap::new();
    walk(dir, Path::new(""), &mut all);
    all
}

fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
    std::fs::write(path, content).expect("write a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set permissions");
}

#[test]
fn a_tree_comes_out_as_it_went_in_whatever_its_names() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "box"]);
    let dir = tempfile::tempdir().expect("a directory");
    let (from, back) = (dir.path().join("from"), dir.path().join("back"));
    write(&from.join("empty"), "", 0o644);
    write(&from.join("run.sh"), "#!/bin/sh\n", 0o755);
    write(&from.join("deep/er/est/a b%?#&\n"), "odd", 0o600);
    write(&from.join(OsStr::from_bytes(b"not utf 8 \xff\xfe")), "bytes", 0o644);
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    write(&from.join("large"), &large, 0o640);

    succeed(&server, &["cp", text(&from), "box:/mnt"]);
    assert_eq!(succeed(&server, &["exec", "box", "/mnt/from/run.sh"]), "");
    succeed(&server, &["cp", "box:/mnt/from", text(&back)]);
    assert_eq!(tree(&back), tree(&from));

    // The same through tar streams, by way of another directory of the sandbox.
    let mut out = lazaret(&server, &["cp", "box:/mnt/from/.", "-"]).spawn().expect("start lazaret");
    let stream = out.stdout.take().expect("a pipe");
    let unpacked =
        lazaret(&server, &["cp", "-", "box:/srv/again"]).stdin(stream).status().expect("start lazaret");
    assert!(unpacked.success() && out.wait().expect("reap lazaret").success());
    let again = dir.path().join("again");
    succeed(&server, &["cp", "box:/srv/again", text(&again)]);
    assert_eq!(tree(&again), tree(&from));
}

#[test]
fn what_a_tenant_prepares_does_not_lead_out_of_the_copy() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "box"]);
    let prepare = "mkdir -p /srv/bad/sub && cd /srv/bad && echo fine > file && ln -s file near && ln -s /etc far && \
                   ln -s ../../up up && ln -s sub/../../x sly && mkfifo pipe && cp /bin/true setuid && chmod 6755 setuid";
    succeed(&server, &["exec", "box", "sh", "-c", prepare]);
    let dir = tempfile::tempdir().expect("a directory");
    let output = lazaret(&server, &["cp", "box:/srv/bad", text(dir.path())]).output().expect("start lazaret");
    assert!(output.status.success());
    let mut names: Vec<PathBuf> = tree(dir.path()).into_keys().collect();
    names.sort();
    assert_eq!(names, ["bad", "bad/file", "bad/near", "bad/setuid", "bad/sub"].map(PathBuf::from));
    let mode = std::fs::metadata(dir.path().join("bad/setuid")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let talk = String::from_utf8(output.stderr).expect("text");
    for skipped in ["far", "up", "sly", "pipe"] {
        assert!(talk.contains(&format!("skipped /srv/bad/{skipped}: ")), "{talk}");
    }
}

#[test]
fn a_destination_is_what_it_is_or_what_it_is_to_become() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "box"]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    write(&file, "data", 0o644);
    let read = |path| succeed(&server, &["exec", "box", "cat", path]);

    succeed(&server, &["cp", text(&file), "box:/mnt"]);
    assert_eq!(read("/mnt/file"), "data");
    succeed(&server, &["cp", text(&file), "box:/mnt/other"]);
    assert_eq!(read("/mnt/other"), "data");
    succeed(&server, &["exec", "box", "ln", "-s", "/mnt", "/srv/link"]);
    succeed(&server, &["cp", text(&file), "box:/srv/link/through"]);
    assert_eq!(read("/mnt/through"), "data");

    assert_eq!(fail(&server, &["cp", text(&file), "box:/nowhere/file"]).0, 1);
    assert_eq!(fail(&server, &["cp", text(dir.path()), "box:/mnt/file"]).0, 1);
    let (code, talk) = fail(&server, &["cp", "box:/nowhere", text(dir.path())]);
    assert_eq!((code, talk.as_str()), (1, "error: there is no /nowhere in the sandbox\n"));
    // Another user may write where it may write, and there alone.
    succeed(&server, &["cp", "-u", "nobody", text(&file), "box:/tmp/nobodys"]);
    assert_eq!(succeed(&server, &["exec", "box", "stat", "-c", "%U", "/tmp/nobodys"]), "nobody\n");
    assert_eq!(fail(&server, &["cp", "-u", "nobody", text(&file), "box:/mnt/theirs"]).0, 1);
}
