//! Uploads.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use lazaret_protocol::{Disposition, ErrorKind, FileKind, HostMessage, RequestBody, Target, Write};

use crate::support::{Client, Event, Sandbox, until};

fn request(target: Target) -> Write {
    Write { target, disposition: Disposition::Replace, mode: None, parents: false }
}

fn begin(sandbox: &Sandbox, write: Write) -> Client {
    sandbox.request(RequestBody::Write(write))
}

fn upload(sandbox: &Sandbox, write: Write, bytes: &[u8]) -> Event {
    let mut client = begin(sandbox, write);
    for chunk in bytes.chunks(65_536) {
        // A guest that has refused the request does not take the data.
        if !client.try_send(&HostMessage::Data(chunk)) {
            break;
        }
    }
    let _ = client.try_send(&HostMessage::Commit);
    client.expect()
}

fn refusal(sandbox: &Sandbox, write: Write) -> ErrorKind {
    match upload(sandbox, write, b"new") {
        Event::Failure(failure) => failure.kind,
        other => panic!("not refused: {other:?}"),
    }
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.directory()).expect("the test's directory");
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.retain(|name| name != "guest.sock");
    names.sort();
    names
}

#[test]
fn an_upload_appears_whole_with_its_mode_and_its_user() {
    let sandbox = Sandbox::start();
    std::fs::set_permissions(sandbox.directory(), PermissionsExt::from_mode(0o777)).expect("permissions");
    let path = sandbox.path("file");
    let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let target = Target { user: Some("nobody".into()), ..Target::absolute(path.as_str()) };
    let written = upload(&sandbox, Write { mode: Some(0o666), ..request(target) }, &bytes);
    let Event::Written(written) = written else { panic!("not written: {written:?}") };
    assert_eq!((written.bytes, written.metadata.size), (2_000_000, 2_000_000));
    assert_eq!((written.metadata.kind, written.metadata.mode), (FileKind::File, 0o666));
    assert_eq!(std::fs::read(&path).expect("the file"), bytes);
    let host = std::fs::metadata(&path).expect("the file");
    assert_eq!((host.uid(), host.gid(), host.mode() & 0o7777), (65_534, 65_534, 0o666));
    assert_eq!(names(&sandbox), ["file"]);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_its_owner() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("file");
    std::fs::write(&path, "old").expect("a file");
    std::os::unix::fs::chown(&path, Some(12), Some(34)).expect("an owner");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4751)).expect("permissions");
    upload(&sandbox, Write { mode: Some(0o600), ..request(Target::absolute(path.as_str())) }, b"new");
    let host = std::fs::metadata(&path).expect("the file");
    assert_eq!((host.uid(), host.gid(), host.mode() & 0o7777), (12, 34, 0o4751));
    assert_eq!(std::fs::read(&path).expect("the file"), b"new");
}

#[test]
fn a_host_that_goes_before_it_commits_leaves_no_trace() {
    let sandbox = Sandbox::start();
    std::fs::write(sandbox.path("old"), "old").expect("a file");
    for name in ["old", "new"] {
        let mut client = begin(&sandbox, request(Target::absolute(sandbox.path(name).as_str())));
        for _ in 0..20 {
            client.send(&HostMessage::Data(&[b'x'; 65_536]));
        }
        drop(client);
    }
    // A file without a name is not to be seen even before; one with a name has to be gone in a moment.
    until("no trace of the uploads", || (names(&sandbox) == ["old"]).then_some(()));
    assert_eq!(std::fs::read(sandbox.path("old")).expect("the file"), b"old");
}

#[test]
fn nothing_is_seen_of_an_upload_until_it_is_committed() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("file");
    let mut client = begin(&sandbox, request(Target::absolute(path.as_str())));
    client.send(&HostMessage::Data(b"some bytes"));
    // A second upload to the same place, from beginning to end, shows that the first one is under way.
    upload(&sandbox, request(Target::absolute(sandbox.path("other").as_str())), b"");
    assert_eq!(names(&sandbox), ["other"]);
    client.send(&HostMessage::Commit);
    assert!(matches!(client.expect(), Event::Written(_)));
    assert_eq!(std::fs::read(&path).expect("the file"), b"some bytes");
}

#[test]
fn a_new_file_takes_no_name_that_is_taken() {
    let sandbox = Sandbox::start();
    let new = |name: &str| Write {
        disposition: Disposition::CreateNew,
        ..request(Target::absolute(sandbox.path(name).as_str()))
    };
    assert!(matches!(upload(&sandbox, new("file"), b"first"), Event::Written(_)));
    assert_eq!(refusal(&sandbox, new("file")), ErrorKind::AlreadyExists);
    symlink("nowhere", sandbox.path("link")).expect("a link");
    assert_eq!(refusal(&sandbox, new("link")), ErrorKind::AlreadyExists);
    // Two at once: the kernel decides.
    let mut one = begin(&sandbox, new("race"));
    let mut two = begin(&sandbox, new("race"));
    one.send(&HostMessage::Data(b"one"));
    two.send(&HostMessage::Data(b"two"));
    // An empty upload elsewhere gives both time to be past their first look; either order is right.
    upload(&sandbox, request(Target::absolute(sandbox.path("other").as_str())), b"");
    one.send(&HostMessage::Commit);
    assert!(matches!(one.expect(), Event::Written(_)));
    let _ = two.try_send(&HostMessage::Commit);
    assert_eq!(two.expect_failure().kind, ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(sandbox.path("race")).expect("the file"), b"one");
}

#[test]
fn appending_adds_to_the_end_and_makes_what_is_missing() {
    let sandbox = Sandbox::start();
    let append = || Write {
        disposition: Disposition::Append,
        parents: true,
        ..request(Target::absolute(sandbox.path("a/log").as_str()))
    };
    upload(&sandbox, append(), b"one ");
    upload(&sandbox, append(), b"two");
    assert_eq!(std::fs::read(sandbox.path("a/log")).expect("the file"), b"one two");
}

#[test]
fn missing_directories_are_made_only_on_request() {
    let sandbox = Sandbox::start();
    let write = request(Target::absolute(sandbox.path("a/b/c/file").as_str()));
    assert_eq!(refusal(&sandbox, write.clone()), ErrorKind::NotFound);
    assert!(matches!(upload(&sandbox, Write { parents: true, ..write }, b"x"), Event::Written(_)));
    assert_eq!(std::fs::metadata(sandbox.path("a/b")).expect("a directory").mode() & 0o7777, 0o755);
    let beneath = Target::beneath(sandbox.directory().to_str().expect("text"), "d/e/file");
    assert!(matches!(upload(&sandbox, Write { parents: true, ..request(beneath) }, b"x"), Event::Written(_)));
    assert_eq!(std::fs::read(sandbox.path("d/e/file")).expect("the file"), b"x");
}

#[test]
fn a_link_is_written_through_in_the_whole_sandbox_and_refused_beneath_a_root() {
    let sandbox = Sandbox::start();
    std::fs::create_dir(sandbox.path("root")).expect("a directory");
    std::fs::write(sandbox.path("file"), "old").expect("a file");
    symlink("../file", sandbox.path("root/link")).expect("a link");
    symlink("link", sandbox.path("root/link2")).expect("a link");
    symlink("/etc", sandbox.path("root/etc")).expect("a link");
    upload(&sandbox, request(Target::absolute(sandbox.path("root/link2").as_str())), b"new");
    assert_eq!(std::fs::read(sandbox.path("file")).expect("the file"), b"new");
    assert!(std::fs::symlink_metadata(sandbox.path("root/link2")).expect("the link").is_symlink());
    let root = sandbox.path("root");
    for path in ["link", "link2", "etc/lazaret-test", "../file"] {
        for parents in [false, true] {
            let write = Write { parents, ..request(Target::beneath(root.as_str(), path)) };
            assert_eq!(refusal(&sandbox, write), ErrorKind::Escapes, "{path}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let sandbox = Sandbox::start();
    std::fs::create_dir(sandbox.path("dir")).expect("a directory");
    std::fs::write(sandbox.path("file"), "").expect("a file");
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.path("fifo"), rustix::fs::Mode::from_raw_mode(0o666))
        .expect("a FIFO");
    symlink("loop", sandbox.path("loop")).expect("a link");
    for disposition in [Disposition::Replace, Disposition::Append] {
        for (path, kind) in [
            (sandbox.path("dir"), ErrorKind::IsADirectory),
            (sandbox.path("new/"), ErrorKind::IsADirectory),
            (sandbox.path("fifo"), ErrorKind::NotARegularFile),
            ("/dev/full".to_owned(), ErrorKind::NotARegularFile),
            (sandbox.path("file/x"), ErrorKind::NotADirectory),
            (sandbox.path("loop"), ErrorKind::SymlinkLoop),
            (sandbox.path(&"x".repeat(256)), ErrorKind::NameTooLong),
            (format!("{}x", "/x".repeat(2048)), ErrorKind::NameTooLong),
            ("/a\0b".to_owned(), ErrorKind::BadPath),
            ("file".to_owned(), ErrorKind::BadPath),
        ] {
            let write = Write { disposition, ..request(Target::absolute(path.as_str())) };
            assert_eq!(refusal(&sandbox, write), kind, "{path} {disposition:?}");
        }
    }
    let target = Target { user: Some("nobody".into()), ..Target::absolute("/etc/lazaret-test") };
    assert_eq!(refusal(&sandbox, request(target)), ErrorKind::PermissionDenied);
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_file() {
    let sandbox = Sandbox::start();
    // A tmpfs of 64 KiB, mounted in the sandbox's own mount namespace.
    let mount = format!("mount -t tmpfs -o size=64k none {0} && printf old > {0}/file", sandbox.path(""));
    assert_eq!(sandbox.sh(&mount), "");
    let path = sandbox.path("file");
    let failure = upload(&sandbox, request(Target::absolute(path.as_str())), &[b'x'; 1_000_000]);
    let Event::Failure(failure) = failure else { panic!("not refused: {failure:?}") };
    assert_eq!(failure.kind, ErrorKind::NoSpace);
    assert_eq!(sandbox.sh(&format!("cat {path}; ls -A {}", sandbox.path(""))), "oldfile");
}
