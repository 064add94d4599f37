//! Directories, names, permissions and owners.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use lazaret_protocol::{
    Chmod, Chown, ErrorKind, Mkdir, OwnerPart, Remove, Rename, RequestBody, Symlink, Target,
};

use crate::support::Sandbox;

fn target(sandbox: &Sandbox, name: &str) -> Target {
    Target::absolute(sandbox.path(name).as_str())
}

fn exists(sandbox: &Sandbox, name: &str) -> bool {
    std::fs::symlink_metadata(sandbox.path(name)).is_ok()
}

fn mode(sandbox: &Sandbox, name: &str) -> u32 {
    std::fs::symlink_metadata(sandbox.path(name)).expect("an entry").mode() & 0o7777
}

#[test]
fn directories_are_made_with_the_mode_that_was_asked_for() {
    let sandbox = Sandbox::start();
    let mkdir = |name: &str, parents| {
        RequestBody::Mkdir(Mkdir { target: target(&sandbox, name), mode: Some(0o1777), parents })
    };
    sandbox.done(mkdir("a", false));
    assert_eq!(mode(&sandbox, "a"), 0o1777);
    assert_eq!(sandbox.refused(mkdir("a", false)).kind, ErrorKind::AlreadyExists);
    sandbox.done(mkdir("a", true));
    assert_eq!(sandbox.refused(mkdir("x/y/z", false)).kind, ErrorKind::NotFound);
    sandbox.done(mkdir("x/y/z", true));
    assert_eq!((mode(&sandbox, "x"), mode(&sandbox, "x/y/z")), (0o755, 0o1777));
    std::fs::write(sandbox.path("file"), "").expect("a file");
    assert_eq!(sandbox.refused(mkdir("file", true)).kind, ErrorKind::AlreadyExists);
    assert_eq!(sandbox.refused(mkdir("file/x", true)).kind, ErrorKind::NotADirectory);
    let root = RequestBody::Mkdir(Mkdir { target: Target::absolute("/"), mode: None, parents: false });
    assert_eq!(sandbox.refused(root).kind, ErrorKind::BadPath);
}

#[test]
fn a_tree_is_removed_without_following_its_links() {
    let sandbox = Sandbox::start();
    std::fs::create_dir_all(sandbox.path("tree/a/b/c")).expect("directories");
    std::fs::create_dir(sandbox.path("precious")).expect("a directory");
    std::fs::write(sandbox.path("precious/file"), "").expect("a file");
    std::fs::write(sandbox.path("tree/a/b/file"), "").expect("a file");
    symlink("../../precious", sandbox.path("tree/a/link")).expect("a link");
    let remove =
        |name: &str, recursive| RequestBody::Remove(Remove { target: target(&sandbox, name), recursive });
    assert_eq!(sandbox.refused(remove("tree", false)).kind, ErrorKind::DirectoryNotEmpty);
    sandbox.done(remove("tree", true));
    assert!(!exists(&sandbox, "tree") && exists(&sandbox, "precious/file"));
    symlink("precious", sandbox.path("link")).expect("a link");
    sandbox.done(remove("link", true));
    assert!(!exists(&sandbox, "link") && exists(&sandbox, "precious/file"));
    sandbox.done(remove("precious/file", false));
    sandbox.done(remove("precious", false));
    assert_eq!(sandbox.refused(remove("precious", true)).kind, ErrorKind::NotFound);
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let sandbox = Sandbox::start();
    std::fs::create_dir_all(sandbox.path(&format!("deep/{}", "d/".repeat(300)))).expect("directories");
    let remove = RequestBody::Remove(Remove { target: target(&sandbox, "deep"), recursive: true });
    assert_eq!(sandbox.refused(remove).kind, ErrorKind::TreeTooDeep);
}

#[test]
fn removing_beneath_a_root_does_not_leave_it() {
    let sandbox = Sandbox::start();
    std::fs::create_dir_all(sandbox.path("root")).expect("a directory");
    std::fs::create_dir_all(sandbox.path("outside/dir")).expect("a directory");
    symlink("../outside", sandbox.path("root/link")).expect("a link");
    let root = sandbox.path("root");
    for path in ["../outside", "link/dir"] {
        let target = Target::beneath(root.as_str(), path);
        let remove = RequestBody::Remove(Remove { target, recursive: true });
        assert_eq!(sandbox.refused(remove).kind, ErrorKind::Escapes, "{path}");
    }
    let link = Target::beneath(root.as_str(), "link");
    sandbox.done(RequestBody::Remove(Remove { target: link, recursive: true }));
    assert!(!exists(&sandbox, "root/link") && exists(&sandbox, "outside/dir"));
}

#[test]
fn renaming_replaces_only_on_request() {
    let sandbox = Sandbox::start();
    std::fs::write(sandbox.path("a"), "a").expect("a file");
    std::fs::write(sandbox.path("b"), "b").expect("a file");
    let rename = |replace| {
        let to = sandbox.path("b").into();
        RequestBody::Rename(Rename { target: target(&sandbox, "a"), to, replace })
    };
    assert_eq!(sandbox.refused(rename(false)).kind, ErrorKind::AlreadyExists);
    sandbox.done(rename(true));
    assert!(!exists(&sandbox, "a"));
    assert_eq!(std::fs::read(sandbox.path("b")).expect("the file"), b"a");
    assert_eq!(sandbox.refused(rename(true)).kind, ErrorKind::NotFound);
    let escape = Rename {
        target: Target::beneath(sandbox.directory().to_str().expect("text"), "b"),
        to: "../b".into(),
        replace: true,
    };
    assert_eq!(sandbox.refused(RequestBody::Rename(escape)).kind, ErrorKind::Escapes);
}

#[test]
fn modes_change_even_of_files_that_nobody_may_open() {
    let sandbox = Sandbox::start();
    std::fs::set_permissions(sandbox.directory(), PermissionsExt::from_mode(0o755)).expect("permissions");
    std::fs::write(sandbox.path("file"), "").expect("a file");
    std::fs::set_permissions(sandbox.path("file"), PermissionsExt::from_mode(0o000)).expect("permissions");
    std::os::unix::fs::chown(sandbox.path("file"), Some(65_534), None).expect("an owner");
    let chmod = |name: &str, user: Option<&str>, mode| {
        let target = Target { user: user.map(Into::into), ..target(&sandbox, name) };
        RequestBody::Chmod(Chmod { target, mode })
    };
    sandbox.done(chmod("file", Some("nobody"), 0o640));
    assert_eq!(mode(&sandbox, "file"), 0o640);
    sandbox.done(chmod("file", None, 0o4755));
    assert_eq!(mode(&sandbox, "file"), 0o4755);
    assert_eq!(sandbox.refused(chmod("file", Some("daemon"), 0o777)).kind, ErrorKind::PermissionDenied);
    assert_eq!(sandbox.refused(chmod("file", None, 0o10000)).kind, ErrorKind::BadRequest);
    symlink("file", sandbox.path("link")).expect("a link");
    let beneath = Target::beneath(sandbox.directory().to_str().expect("text"), "link");
    let refused = sandbox.refused(RequestBody::Chmod(Chmod { target: beneath, mode: 0o777 }));
    assert_eq!(refused.kind, ErrorKind::Escapes);
}

#[test]
fn owners_change_by_name_and_by_number_and_only_by_root() {
    let sandbox = Sandbox::start();
    std::fs::set_permissions(sandbox.directory(), PermissionsExt::from_mode(0o755)).expect("permissions");
    std::fs::write(sandbox.path("file"), "").expect("a file");
    let chown = |user: Option<&str>, owner: &str| {
        let target = Target { user: user.map(Into::into), ..target(&sandbox, "file") };
        RequestBody::Chown(Chown { target, owner: owner.into(), only: None })
    };
    for (owner, want) in [("nobody", (65_534, 65_534)), ("12:34", (12, 34)), ("daemon:0", (1, 0))] {
        sandbox.done(chown(None, owner));
        let host = std::fs::metadata(sandbox.path("file")).expect("the file");
        assert_eq!((host.uid(), host.gid()), want);
    }
    assert_eq!(sandbox.refused(chown(None, "eve")).kind, ErrorKind::UnknownUser);
    assert_eq!(sandbox.refused(chown(Some("nobody"), "nobody")).kind, ErrorKind::PermissionDenied);
}

#[test]
fn one_part_of_an_owner_changes_alone() {
    let sandbox = Sandbox::start();
    std::fs::write(sandbox.path("file"), "").expect("a file");
    let chown = |owner: &str, only| {
        RequestBody::Chown(Chown { target: target(&sandbox, "file"), owner: owner.into(), only: Some(only) })
    };
    let host = || std::fs::metadata(sandbox.path("file")).map(|file| (file.uid(), file.gid()));
    sandbox.done(chown("daemon", OwnerPart::User));
    assert_eq!(host().expect("the file"), (1, 0));
    sandbox.done(chown("nogroup", OwnerPart::Group));
    assert_eq!(host().expect("the file"), (1, 65_534));
    sandbox.done(chown("7", OwnerPart::Group));
    assert_eq!(host().expect("the file"), (1, 7));
    for only in [OwnerPart::User, OwnerPart::Group] {
        assert_eq!(sandbox.refused(chown("eve", only)).kind, ErrorKind::UnknownUser);
    }
}

#[test]
fn a_directory_is_not_moved_into_itself() {
    let sandbox = Sandbox::start();
    std::fs::create_dir(sandbox.path("a")).expect("a directory");
    let to = sandbox.path("a/b");
    let rename = Rename { target: target(&sandbox, "a"), to: to.as_str().into(), replace: false };
    assert_eq!(sandbox.refused(RequestBody::Move(rename.clone())).kind, ErrorKind::BadPath);
    assert_eq!(sandbox.refused(RequestBody::Rename(rename)).kind, ErrorKind::BadPath);
    assert!(exists(&sandbox, "a"));
}

#[test]
fn a_move_to_another_file_system_takes_everything_along() {
    let sandbox = Sandbox::start();
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
    let to = format!("{}/new", elsewhere.path().display());
    std::fs::create_dir_all(sandbox.path("tree/a/empty")).expect("directories");
    std::fs::write(sandbox.path("tree/a/file"), "content").expect("a file");
    std::fs::set_permissions(sandbox.path("tree/a/file"), PermissionsExt::from_mode(0o640))
        .expect("permissions");
    std::fs::set_permissions(sandbox.path("tree/a"), PermissionsExt::from_mode(0o550)).expect("permissions");
    std::os::unix::fs::chown(sandbox.path("tree/a/file"), Some(7), Some(8)).expect("an owner");
    symlink("a/file", sandbox.path("tree/link")).expect("a link");
    let before = std::fs::metadata(sandbox.path("tree/a/file")).expect("the file").mtime_nsec();
    let rename = Rename { target: target(&sandbox, "tree"), to: to.as_str().into(), replace: false };
    assert_eq!(sandbox.refused(RequestBody::Rename(rename.clone())).kind, ErrorKind::CrossDevice);
    sandbox.done(RequestBody::Move(rename.clone()));
    assert!(!exists(&sandbox, "tree"));
    let file = std::fs::metadata(format!("{to}/a/file")).expect("the file");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777, file.mtime_nsec()), (7, 8, 0o640, before));
    assert_eq!(std::fs::metadata(format!("{to}/a")).expect("it").mode() & 0o7777, 0o550);
    assert_eq!(std::fs::read_to_string(format!("{to}/link")).expect("the file"), "content");
    assert!(std::fs::metadata(format!("{to}/a/empty")).expect("it").is_dir());

    std::fs::write(sandbox.path("tree"), "again").expect("a file");
    assert_eq!(sandbox.refused(RequestBody::Move(rename)).kind, ErrorKind::AlreadyExists);
    assert!(exists(&sandbox, "tree"));
    std::fs::create_dir(sandbox.path("special")).expect("a directory");
    let socket = std::os::unix::net::UnixListener::bind(sandbox.path("special/socket")).expect("a socket");
    let special = Rename {
        target: target(&sandbox, "special"),
        to: format!("{}/special", elsewhere.path().display()).into_bytes().into(),
        replace: false,
    };
    assert_eq!(sandbox.refused(RequestBody::Move(special)).kind, ErrorKind::NotARegularFile);
    drop(socket);
    let left = std::fs::read_dir(elsewhere.path()).expect("the directory").count();
    assert_eq!(left, 1, "a move that failed leaves no copy");
}

#[test]
fn a_link_points_wherever_it_is_told() {
    let sandbox = Sandbox::start();
    let link = |points_to: &[u8]| {
        RequestBody::Symlink(Symlink { target: target(&sandbox, "link"), points_to: points_to.into() })
    };
    sandbox.done(link(b"../no where"));
    let points_to = std::fs::read_link(sandbox.path("link")).expect("a link");
    assert_eq!(points_to.to_str(), Some("../no where"));
    assert_eq!(sandbox.refused(link(b"x")).kind, ErrorKind::AlreadyExists);
    for bad in [b"".as_slice(), b"a\0b"] {
        assert_eq!(sandbox.refused(link(bad)).kind, ErrorKind::BadPath);
    }
}
