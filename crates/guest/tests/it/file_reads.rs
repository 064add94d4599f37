//! Looking at files and reading them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

use lazaret_protocol::{
    ErrorKind, FileKind, List, Metadata, Read, Readlink, RequestBody, Stat, Target, Walk,
};

use crate::support::{Event, Sandbox};

fn read(target: Target) -> RequestBody {
    RequestBody::Read(Read { target, offset: 0, len: None })
}

fn contents(sandbox: &Sandbox, request: Read) -> Vec<u8> {
    let mut client = sandbox.request(RequestBody::Read(request));
    assert!(matches!(client.expect(), Event::Metadata(_)));
    let mut contents = Vec::new();
    loop {
        match client.expect() {
            Event::Data(bytes) => contents.extend(bytes),
            Event::Done => return contents,
            other => panic!("{other:?} in a file"),
        }
    }
}

fn stat(sandbox: &Sandbox, target: Target, follow: bool) -> Metadata {
    match sandbox.request(RequestBody::Stat(Stat { target, follow })).expect() {
        Event::Metadata(metadata) => metadata,
        other => panic!("no metadata: {other:?}"),
    }
}

/// Names and kinds of a listing, sorted, and whether it was cut.
fn entries(sandbox: &Sandbox, body: RequestBody) -> (Vec<(Vec<u8>, FileKind)>, bool) {
    let mut client = sandbox.request(body);
    let mut all = Vec::new();
    loop {
        match client.expect() {
            Event::Entries(entries) => {
                all.extend(entries.into_iter().map(|entry| (entry.path.0, entry.metadata.kind)));
            }
            Event::ListEnd { truncated } => {
                all.sort_by(|a, b| a.0.cmp(&b.0));
                return (all, truncated);
            }
            other => panic!("{other:?} in a listing"),
        }
    }
}

fn make_fifo(path: &str) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o666)).expect("a FIFO");
}

#[test]
fn a_file_is_read_whole_and_in_parts() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("data");
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &bytes).expect("a file");
    let part =
        |offset, len| contents(&sandbox, Read { target: Target::absolute(path.as_str()), offset, len });
    assert_eq!(part(0, None), bytes);
    assert_eq!(part(100_001, Some(200_000)), bytes[100_001..300_001]);
    assert_eq!(part(1_199_990, Some(200_000)), bytes[1_199_990..]);
    assert_eq!(part(5_000_000, None), b"");
    assert_eq!(part(u64::MAX, None), b"");
    assert_eq!(part(0, Some(0)), b"");
}

#[test]
fn files_of_proc_have_contents_although_their_size_is_nothing() {
    let sandbox = Sandbox::start();
    let request = Read { target: Target::absolute("/proc/version"), offset: 0, len: None };
    assert!(contents(&sandbox, request).starts_with(b"Linux version"));
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let sandbox = Sandbox::start();
    make_fifo(&sandbox.path("fifo"));
    let socket = sandbox.path("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for (path, kind) in [
        (sandbox.path("fifo"), ErrorKind::NotARegularFile),
        (socket, ErrorKind::NotARegularFile),
        ("/dev/zero".to_owned(), ErrorKind::NotARegularFile),
        ("/dev/tty".to_owned(), ErrorKind::NotARegularFile),
        (sandbox.path(""), ErrorKind::IsADirectory),
        (sandbox.path("nothing"), ErrorKind::NotFound),
        (sandbox.path("fifo/x"), ErrorKind::NotADirectory),
        (String::new(), ErrorKind::BadPath),
        ("relative".to_owned(), ErrorKind::BadPath),
        ("/a\0b".to_owned(), ErrorKind::BadPath),
        (format!("/{}", "x".repeat(256)), ErrorKind::NameTooLong),
        (format!("/{}", "x/".repeat(2048)), ErrorKind::NameTooLong),
    ] {
        let failure = sandbox.refused(read(Target::absolute(path.as_str())));
        assert_eq!(failure.kind, kind, "{path:?}: {failure:?}");
    }
}

#[test]
fn a_user_reads_what_the_user_may() {
    let sandbox = Sandbox::start();
    let secret = sandbox.path("secret");
    std::fs::write(&secret, "secret").expect("a file");
    std::fs::set_permissions(sandbox.directory(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("permissions");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("permissions");
    let as_user = |user: &str| Target { user: Some(user.into()), ..Target::absolute(secret.as_str()) };
    assert_eq!(sandbox.refused(read(as_user("nobody"))).kind, ErrorKind::PermissionDenied);
    assert_eq!(sandbox.refused(read(as_user("eve"))).kind, ErrorKind::UnknownUser);
    // The threads that acted as somebody are root again.
    for _ in 0..10 {
        let request = Read { target: as_user("root"), offset: 0, len: None };
        assert_eq!(contents(&sandbox, request), b"secret");
    }
}

#[test]
fn links_are_followed_in_the_whole_sandbox_and_never_beneath_a_root() {
    let sandbox = Sandbox::start();
    let root = sandbox.path("root");
    std::fs::create_dir_all(sandbox.path("root/dir")).expect("a directory");
    std::fs::write(sandbox.path("outside"), "outside").expect("a file");
    std::fs::write(sandbox.path("root/dir/inside"), "inside").expect("a file");
    symlink("../outside", sandbox.path("root/up")).expect("a link");
    symlink("/etc/shadow", sandbox.path("root/shadow")).expect("a link");
    symlink("dir", sandbox.path("root/alias")).expect("a link");
    symlink("loop", sandbox.path("root/loop")).expect("a link");
    let whole = |path: &str| Read { target: Target::absolute(path), offset: 0, len: None };
    assert_eq!(contents(&sandbox, whole(&sandbox.path("root/up"))), b"outside");
    assert_eq!(contents(&sandbox, whole(&sandbox.path("root/alias/inside"))), b"inside");
    let looped = sandbox.refused(read(Target::absolute(sandbox.path("root/loop").as_str())));
    assert_eq!(looped.kind, ErrorKind::SymlinkLoop);
    let beneath = |path: &str| Target::beneath(root.as_str(), path);
    assert_eq!(contents(&sandbox, Read { target: beneath("dir/inside"), offset: 0, len: None }), b"inside");
    assert_eq!(
        contents(&sandbox, Read { target: beneath("dir/../dir/inside"), offset: 0, len: None }),
        b"inside"
    );
    for path in ["up", "shadow", "alias/inside", "loop", "../outside", "dir/../../outside"] {
        let failure = sandbox.refused(read(beneath(path)));
        assert_eq!(failure.kind, ErrorKind::Escapes, "{path}: {failure:?}");
    }
    assert_eq!(sandbox.refused(read(beneath("/etc/passwd"))).kind, ErrorKind::BadPath);
}

#[test]
fn magic_links_of_proc_are_not_followed() {
    let sandbox = Sandbox::start();
    for path in ["/proc/self/fd/3", "/proc/self/exe", "/proc/1/root/etc/passwd", "/proc/self/cwd/etc/passwd"]
    {
        let failure = sandbox.refused(read(Target::absolute(path)));
        assert_eq!(failure.kind, ErrorKind::SymlinkLoop, "{path}: {failure:?}");
    }
}

#[test]
fn metadata_is_that_of_the_file_or_of_the_link() {
    let sandbox = Sandbox::start();
    let file = sandbox.path("file");
    std::fs::write(&file, "12345").expect("a file");
    std::os::unix::fs::chown(&file, Some(12), Some(34)).expect("an owner");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o4640))
        .expect("permissions");
    symlink("file", sandbox.path("link")).expect("a link");
    let host = std::fs::metadata(&file).expect("metadata");
    let got = stat(&sandbox, Target::absolute(file.as_str()), true);
    assert_eq!((got.kind, got.size, got.mode, got.uid, got.gid), (FileKind::File, 5, 0o4640, 12, 34));
    assert_eq!((got.mtime_s, i64::from(got.mtime_ns)), (host.mtime(), host.mtime_nsec()));
    assert_eq!((got.inode, got.link_target.clone()), (host.ino(), None));
    let link = Target::absolute(sandbox.path("link").as_str());
    assert_eq!(stat(&sandbox, link.clone(), true), got);
    let itself = stat(&sandbox, link.clone(), false);
    assert_eq!((itself.kind, itself.link_target), (FileKind::Symlink, Some("file".into())));
    let beneath = Target::beneath(sandbox.directory().as_os_str().as_bytes(), "link");
    assert_eq!(stat(&sandbox, beneath.clone(), false).kind, FileKind::Symlink);
    let followed = sandbox.refused(RequestBody::Stat(Stat { target: beneath, follow: true }));
    assert_eq!(followed.kind, ErrorKind::BadPath);
    let mut client = sandbox.request(RequestBody::Readlink(Readlink { target: link }));
    assert_eq!(client.expect(), Event::Link(b"file".to_vec()));
    let target = Target::absolute(file.as_str());
    assert_eq!(sandbox.refused(RequestBody::Readlink(Readlink { target })).kind, ErrorKind::BadPath);
}

#[test]
fn a_directory_is_listed_with_names_that_are_not_text() {
    let sandbox = Sandbox::start();
    let root = sandbox.path("root");
    std::fs::create_dir_all(sandbox.path("root/dir")).expect("a directory");
    for name in [b"\xff\xfe".as_slice(), b"new\nline", b".hidden"] {
        let path = std::path::Path::new(&root).join(OsStr::from_bytes(name));
        std::fs::write(path, "").expect("a file");
    }
    make_fifo(&sandbox.path("root/fifo"));
    symlink("nowhere", sandbox.path("root/link")).expect("a link");
    let list = |limit| RequestBody::List(List { target: Target::absolute(root.as_str()), limit });
    let want = vec![
        (b".hidden".to_vec(), FileKind::File),
        (b"dir".to_vec(), FileKind::Directory),
        (b"fifo".to_vec(), FileKind::Fifo),
        (b"link".to_vec(), FileKind::Symlink),
        (b"new\nline".to_vec(), FileKind::File),
        (b"\xff\xfe".to_vec(), FileKind::File),
    ];
    assert_eq!(entries(&sandbox, list(100)), (want.clone(), false));
    assert_eq!(entries(&sandbox, list(6)), (want, false));
    let (some, truncated) = entries(&sandbox, list(5));
    assert_eq!((some.len(), truncated), (5, true));
    assert_eq!(entries(&sandbox, list(0)), (vec![], true));
    let file = RequestBody::List(List { target: Target::absolute("/etc/passwd"), limit: 1 });
    assert_eq!(sandbox.refused(file).kind, ErrorKind::NotADirectory);
}

#[test]
fn many_entries_with_long_names_fit_into_frames() {
    let sandbox = Sandbox::start();
    let root = sandbox.path("root");
    std::fs::create_dir(&root).expect("a directory");
    for index in 0..2000 {
        std::fs::write(format!("{root}/{index:0>250}"), "").expect("a file");
    }
    let (all, truncated) =
        entries(&sandbox, RequestBody::List(List { target: Target::absolute(root.as_str()), limit: 5000 }));
    assert_eq!((all.len(), truncated), (2000, false));
}

#[test]
fn a_walk_finds_the_regular_files_of_a_tree_and_leaves_it_nowhere() {
    let sandbox = Sandbox::start();
    let root = sandbox.path("root");
    std::fs::create_dir_all(sandbox.path("root/a/b")).expect("directories");
    for name in ["top", "a/one", "a/b/two"] {
        std::fs::write(sandbox.path(&format!("root/{name}")), name).expect("a file");
    }
    make_fifo(&sandbox.path("root/a/fifo"));
    symlink("/etc", sandbox.path("root/etc")).expect("a link");
    symlink("..", sandbox.path("root/a/up")).expect("a link");
    let walk =
        |limit| RequestBody::Walk(Walk { target: Target::absolute(root.as_str()), limit, selection: None });
    let file = |name: &str| (name.as_bytes().to_vec(), FileKind::File);
    assert_eq!(entries(&sandbox, walk(9)), (vec![file("a/b/two"), file("a/one"), file("top")], false));
    let (some, truncated) = entries(&sandbox, walk(2));
    assert_eq!((some.len(), truncated), (2, true));
}

#[test]
fn a_walk_of_a_tree_that_is_too_deep_says_so() {
    let sandbox = Sandbox::start();
    let root = sandbox.path("deep");
    std::fs::create_dir_all(format!("{root}/{}", "d/".repeat(300))).expect("directories");
    std::fs::write(format!("{root}/d/d/file"), "").expect("a file");
    let walk =
        RequestBody::Walk(Walk { target: Target::absolute(root.as_str()), limit: 10, selection: None });
    assert_eq!(entries(&sandbox, walk), (vec![(b"d/d/file".to_vec(), FileKind::File)], true));
}

#[test]
fn a_host_that_goes_while_it_reads_leaves_the_guest_free() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("large");
    std::fs::File::create(&path).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
    for _ in 0..10 {
        let mut client = sandbox.request(read(Target::absolute(path.as_str())));
        assert!(matches!(client.expect(), Event::Metadata(_)));
    }
    assert_eq!(sandbox.sh("echo alive"), "alive");
}
